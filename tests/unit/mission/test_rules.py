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
    NETWORK_PATIENCE,
    Ask,
    Availability,
    Decision,
    DropAgent,
    LastPlace,
    NextAgent,
    NobodyLeft,
    ParkAgent,
    Retry,
    Tally,
    WaitForAgent,
    after_failure,
    backoff,
    choose_agent,
    is_rework_allowed,
    parking_seconds,
    reviewers,
)

K = FailureKind


def failure(kind: FailureKind, retry_after: float | None = None) -> Failure:
    return Failure(kind, f"it is {kind.value}", retry_after)


TABLE: list[tuple[FailureKind, int, Decision]] = [
    # kind, how many failures of it in a row, what follows when two retries are allowed
    (K.NOT_INSTALLED, 1, DropAgent()),
    (K.AUTH, 1, DropAgent()),
    (K.BAD_MODEL, 1, DropAgent()),
    (K.BUDGET, 1, NextAgent()),
    (K.RATE_LIMIT, 1, ParkAgent(0.0)),
    (K.RATE_LIMIT, 50, ParkAgent(0.0)),
    (K.NETWORK, 1, Retry(2.0)),
    (K.NETWORK, 5, Retry(32.0)),
    (K.NETWORK, NETWORK_PATIENCE, Retry(60.0)),
    (K.NETWORK, NETWORK_PATIENCE + 1, NextAgent()),
    *[
        (kind, count, decision)
        for kind in (
            K.TIMEOUT,
            K.STALLED,
            K.CRASHED,
            K.LOG_FULL,
            K.NO_VERDICT,
            K.HANDOVER_REFUSED,
            K.CHECKS_FAILED,
        )
        for count, decision in ((1, Retry(2.0)), (2, Retry(4.0)), (3, NextAgent()))
    ],
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


@pytest.mark.parametrize("kind", sorted(LIES_IN_THE_AGENT))
def test_what_lies_in_the_agent_spends_no_retry(kind: FailureKind) -> None:
    assert Tally().after(kind).spent == 0


def test_a_reset_time_that_was_told_is_kept_to() -> None:
    decision = after_failure(failure(K.RATE_LIMIT, 3600.0), Tally(), 2, 0.0)
    assert decision == ParkAgent(3600.0)
    assert parking_seconds(3600.0, strikes=7) == 3600.0


def test_resting_doubles_from_half_a_minute_to_a_quarter_of_an_hour() -> None:
    assert [parking_seconds(0.0, n) for n in range(1, 8)] == [30, 60, 120, 240, 480, 900, 900]


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_a_retry_never_waits_longer_than_a_minute(failures: int, jitter: float) -> None:
    decision = after_failure(failure(K.CRASHED), Tally(spent=failures), 10_000, jitter)
    assert isinstance(decision, Retry)
    assert 2.0 <= decision.delay <= 60.0
    assert backoff(failures, 2.0, 60.0) <= 60.0


@given(st.lists(st.sampled_from([k for k in K if k is not K.RATE_LIMIT]), min_size=1), st.integers(0, 5))
def test_no_agent_is_asked_without_end(kinds: list[FailureKind], max_retries: int) -> None:
    """Whatever it fails with, but for limits, which wait: after so many failures another one is asked."""
    tally, asked = Tally(), 0
    for kind in kinds * (NETWORK_PATIENCE + max_retries + 2):
        tally, asked = tally.after(kind), asked + 1
        if not isinstance(after_failure(failure(kind), tally, max_retries, 0.5), Retry):
            break
    assert asked <= NETWORK_PATIENCE + 1 + max_retries + 1


GIVEN_UP = Tally(spent=3, given_up=K.CRASHED)
OFFLINE = Tally(network=11, given_up=K.NETWORK)
AUTH = failure(K.AUTH)

CHOICES = {
    "the first one": ({}, {}, {}, Ask("a")),
    "the next, when the first is out": ({}, {"a": AUTH}, {}, Ask("b")),
    "the next, when the first rests": ({}, {}, {"a": 50.0}, Ask("b")),
    "the first again, when its rest is over": ({}, {}, {"a": 10.0}, Ask("a")),
    "the next, when the first failed too often": ({"a": GIVEN_UP}, {}, {}, Ask("b")),
    "whoever rests the shortest": ({}, {}, {"a": 50.0, "b": 30.0}, WaitForAgent(30.0, ("a", "b"))),
    "a resting one rather than none": ({"a": GIVEN_UP}, {}, {"b": 30.0}, WaitForAgent(30.0, ("b",))),
    "nobody, and it lies in the agents": (
        {"b": OFFLINE},
        {"a": AUTH},
        {},
        NobodyLeft(False, ("a: it is auth", "b: given up after 11 failures, the last one: network")),
    ),
    "nobody, and it lies in the work": (
        {"b": GIVEN_UP},
        {"a": AUTH},
        {},
        NobodyLeft(True, ("a: it is auth", "b: given up after 3 failures, the last one: crashed")),
    ),
}


@pytest.mark.parametrize(("tallies", "out", "parked", "expected"), CHOICES.values(), ids=CHOICES.keys())
def test_asked_next_is(
    tallies: dict[str, Tally], out: dict[str, Failure], parked: dict[str, float], expected: object
) -> None:
    assert choose_agent(("a", "b"), tallies, Availability(10.0, out, parked)) == expected


def test_a_dropped_agent_keeps_its_reason_even_when_it_had_failed_before() -> None:
    choice = choose_agent(("a",), {"a": evolve(GIVEN_UP)}, Availability(0.0, {"a": AUTH}, {}))
    assert isinstance(choice, NobodyLeft)
    assert choice.reasons == ("a: it is auth",)


def test_the_implementer_reviews_last_unless_one_agent_does_all() -> None:
    assert reviewers(("a", "b", "c"), "a", single_agent=False) == ("b", "c", "a")
    assert reviewers(("a",), "a", single_agent=False) == ("a",)
    assert reviewers(("b", "c"), "a", single_agent=True) == ("a",)
    assert reviewers(("a", "b", "c"), "b", ["a"], single_agent=False) == ("c", "b", "a")


@pytest.mark.parametrize(("rejections", "allowed"), [(1, True), (2, True), (3, False)])
def test_more_rejections_than_retries_end_the_rework(rejections: int, allowed: bool) -> None:
    assert is_rework_allowed(rejections, max_retries=2) is allowed
