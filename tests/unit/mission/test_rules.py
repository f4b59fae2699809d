"""What follows on a failure, as tables; and what must hold for any history, by Hypothesis."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from spec_kitty_orchestrator.agents.failure import Failure
from spec_kitty_orchestrator.agents.spec import FailureKind
from spec_kitty_orchestrator.mission.rules import (
    LIES_IN_THE_AGENT,
    RETRIES,
    SPENDS_NOTHING,
    Afresh,
    Ask,
    Availability,
    Decision,
    LastPlace,
    NextAgent,
    NobodyLeft,
    OwnWork,
    ParkAgent,
    Rest,
    Retry,
    Tally,
    WaitForAgent,
    after_failure,
    choose_agent,
    is_rework_allowed,
    rest_seconds,
    reviewers,
)

K = FailureKind


def failure(kind: FailureKind, retry_after: float | None = None) -> Failure:
    return Failure(kind, f"it is {kind.value}", retry_after)


TABLE: list[tuple[FailureKind, int, Decision]] = [
    # kind, how many failures of it in a row, what follows when two retries are allowed
    *[
        (kind, count, ParkAgent())
        for kind in (K.NOT_INSTALLED, K.AUTH, K.BAD_MODEL, K.BUDGET, K.RATE_LIMIT, K.NETWORK, K.NOT_LAUNCHED)
        for count in (1, 50)
    ],
    *[
        (kind, count, decision)
        for kind in (
            K.ATTEMPT_LIMIT,
            K.TIMEOUT,
            K.STALLED,
            K.CRASHED,
            K.LOG_FULL,
            K.NO_VERDICT,
            K.HANDOVER_REFUSED,
            K.CHECKS_FAILED,
            K.LOST,
        )
        for count, decision in ((1, Retry(2.0)), (2, Retry(4.0)), (3, NextAgent()))
    ],
    (K.SESSION_LOST, 1, Afresh()),
    (K.SESSION_LOST, 50, Afresh()),
    (K.WORK_CHANGED, 1, LastPlace()),
    (K.WORK_CHANGED, 2, LastPlace()),
    (K.WORK_CHANGED, 3, NextAgent()),
]


@pytest.mark.parametrize(("kind", "count", "expected"), TABLE)
def test_a_failure_is_followed_by(kind: FailureKind, count: int, expected: Decision) -> None:
    tally = Tally()
    for _ in range(count):
        tally = tally.after(kind)
    assert after_failure(failure(kind), tally, max_retries=2, jitter=0.0) == expected


def test_the_table_names_every_kind_of_failure() -> None:
    assert {kind for kind, _, _ in TABLE} == set(FailureKind)


@pytest.mark.parametrize("kind", sorted(SPENDS_NOTHING))
def test_what_lies_in_the_agent_or_in_nobody_spends_no_retry(kind: FailureKind) -> None:
    assert Tally().after(kind).spent == 0


HOUR = 3600.0


@pytest.mark.parametrize(
    ("kind", "told", "rests"),
    [
        (K.NOT_INSTALLED, None, [5, 5, None]),
        *[(kind, None, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]) for kind in (K.NETWORK, K.NOT_LAUNCHED)],
        (K.RATE_LIMIT, None, [30, 60, 120, 240, 480, 900, 900]),
        *[(kind, None, [60, 900, 900]) for kind in (K.AUTH, K.BAD_MODEL, K.BUDGET)],
        # What it told, and a margin; never sooner than without it, never later than in six hours.
        (K.RATE_LIMIT, HOUR, [3605, 3605]),
        (K.RATE_LIMIT, 0.1, [35, 65, 125, 245, 485, 905, 905]),
        (K.RATE_LIMIT, 0.0, [35, 65]),
        (K.RATE_LIMIT, 70 * HOUR, [6 * 3600, 6 * 3600]),
        (K.NETWORK, 20.0, [25, 25]),
        (K.BUDGET, 2 * HOUR, [7205]),
    ],
)
def test_an_agent_rests_for(kind: FailureKind, told: float | None, rests: list[float | None]) -> None:
    assert [rest_seconds(kind, told, strikes) for strikes in range(1, len(rests) + 1)] == rests


@given(st.sampled_from(sorted(LIES_IN_THE_AGENT)), st.none() | st.floats(-1e9, 1e9), st.integers(1, 1000))
def test_no_agent_is_asked_all_the_time_nor_forgotten(kind: FailureKind, told: float | None, n: int) -> None:
    seconds = rest_seconds(kind, told, n)
    assert seconds is None or 2 <= seconds <= 6 * HOUR


@pytest.mark.parametrize(
    ("kind", "strikes", "needed"),
    [
        (K.AUTH, 1, False),
        (K.AUTH, 2, True),
        (K.BUDGET, 2, True),
        (K.BAD_MODEL, 3, True),
        (K.RATE_LIMIT, 9, False),
        (K.NETWORK, 9, False),
        (K.NOT_INSTALLED, 2, False),
    ],
)
def test_a_person_is_needed_once_it_failed_twice(kind: FailureKind, strikes: int, needed: bool) -> None:
    assert Rest(0.0, kind, strikes).needs_a_person is needed


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_a_retry_never_waits_longer_than_a_minute(failures: int, jitter: float) -> None:
    decision = after_failure(failure(K.CRASHED), Tally(spent=failures), 10_000, jitter)
    assert isinstance(decision, Retry)
    assert 2.0 <= decision.delay <= 60.0
    assert RETRIES.after(failures) <= 60.0


@given(st.lists(st.sampled_from(sorted(set(K) - SPENDS_NOTHING)), min_size=1), st.integers(0, 5))
def test_no_agent_is_asked_without_end(kinds: list[FailureKind], max_retries: int) -> None:
    """Whatever it fails with, but for what lies in the agent: after so many failures another one is asked."""
    tally, asked = Tally(), 0
    for kind in kinds * (max_retries + 2):
        tally, asked = tally.after(kind), asked + 1
        if isinstance(after_failure(failure(kind), tally, max_retries, 0.5), NextAgent):
            break
    assert asked == max_retries + 1


GIVEN_UP = Tally(spent=3, given_up=K.CRASHED)
AUTH, MISSING = failure(K.AUTH), failure(K.NOT_INSTALLED)

CHOICES = {
    "the first one": ({}, {}, {}, Ask("a")),
    "the next, when the first is out": ({}, {"a": AUTH}, {}, Ask("b")),
    "the next, when the first rests": ({}, {}, {"a": 50.0}, Ask("b")),
    "the first again, when its rest is over": ({}, {}, {"a": 10.0}, Ask("a")),
    "the next, when the first failed too often": ({"a": GIVEN_UP}, {}, {}, Ask("b")),
    "whoever rests the shortest": ({}, {}, {"a": 50.0, "b": 30.0}, WaitForAgent(30.0, ("a", "b"))),
    "a resting one rather than none": ({"a": GIVEN_UP}, {}, {"b": 30.0}, WaitForAgent(30.0, ("b",))),
    "nobody, and it lies in the agents": (
        {},
        {"a": AUTH, "b": MISSING},
        {},
        NobodyLeft(False, ("a: it is auth", "b: it is not_installed")),
    ),
    "nobody, and a login would bring one back who has not tried": (
        {"b": GIVEN_UP},
        {"a": AUTH},
        {},
        NobodyLeft(False, ("a: it is auth", "b: given up after 3 failures, the last one: crashed")),
    ),
    "nobody, and it lies in the work": (
        {"b": GIVEN_UP},
        {"a": MISSING},
        {},
        NobodyLeft(True, ("a: it is not_installed", "b: given up after 3 failures, the last one: crashed")),
    ),
}


@pytest.mark.parametrize(("tallies", "out", "parked", "expected"), CHOICES.values(), ids=CHOICES.keys())
def test_asked_next_is(
    tallies: dict[str, Tally], out: dict[str, Failure], parked: dict[str, float], expected: object
) -> None:
    assert choose_agent(("a", "b"), tallies, Availability(10.0, out, parked)) == expected


OWN_CHOICES = {
    "another, when it can": ({}, {}, Ask("a")),
    "the other, which rests, is waited for": ({}, {"a": 50.0}, WaitForAgent(50.0, ("a",), "own")),
    "but not for ever": ({}, {"a": 500.0}, WaitForAgent(100.0, ("a",), "own")),
    "when both rest, for whoever can first": (
        {},
        {"a": 50.0, "own": 30.0},
        WaitForAgent(30.0, ("a", "own")),
    ),
    "nobody is waited for when the other is out": ({"a": AUTH}, {}, Ask("own")),
}


@pytest.mark.parametrize(("out", "parked", "expected"), OWN_CHOICES.values(), ids=OWN_CHOICES.keys())
def test_asked_to_review_is(out: dict[str, Failure], parked: dict[str, float], expected: object) -> None:
    who = Availability(10.0, out, parked)
    assert choose_agent(("a", "own"), {}, who, OwnWork("own", until=100.0)) == expected


def test_once_it_was_waited_enough_the_implementer_reviews_its_own_work() -> None:
    who = Availability(100.0, {}, {"a": 500.0})
    assert choose_agent(("a", "own"), {}, who, OwnWork("own", until=100.0)) == Ask("own")


def test_who_comes_after_the_implementer_is_not_waited_for() -> None:
    """It changed what it was to judge."""
    who = Availability(10.0, {}, {"last": 50.0})
    assert choose_agent(("own", "last"), {}, who, OwnWork("own", until=100.0)) == Ask("own")


def test_a_dropped_agent_keeps_its_reason_even_when_it_had_failed_before() -> None:
    choice = choose_agent(("a",), {"a": evolve(GIVEN_UP)}, Availability(0.0, {"a": AUTH}, {}))
    assert isinstance(choice, NobodyLeft)
    assert choice.reasons == ("a: it is auth",)


def test_the_implementer_reviews_last() -> None:
    assert reviewers(("a", "b", "c"), "a") == ("b", "c", "a")
    assert reviewers(("a",), "a") == ("a",)
    assert reviewers(("b", "c"), "gone") == ("b", "c")
    assert reviewers(("a", "b", "c"), "b", ["a"]) == ("c", "b", "a")


@pytest.mark.parametrize(("rejections", "allowed"), [(1, True), (2, True), (3, False)])
def test_more_rejections_than_retries_end_the_rework(rejections: int, allowed: bool) -> None:
    assert is_rework_allowed(rejections, max_retries=2) is allowed
