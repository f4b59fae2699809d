"""Agents rest, come back, are tried by one alone, and are out when nothing else can go on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from spec_kitty_orchestrator.agents.failure import Failure
from spec_kitty_orchestrator.agents.spec import FailureKind
from spec_kitty_orchestrator.mission.agent_pool import LOOK_SECONDS, PROBE_SECONDS, AgentPool
from spec_kitty_orchestrator.mission.rules import Rest
from spec_kitty_orchestrator.report.events import Event
from spec_kitty_orchestrator.report.run_events import AgentDropped, AgentParked

K = FailureKind
ME, OTHER = "WP01", "WP02"


class Day:
    """A time of day that tests set, and the pool that goes by it."""

    def __init__(self, remembered: dict[str, Rest] | None = None) -> None:
        self.time = 1000.0
        self.said: list[Event] = []
        self.saved = 0
        self.idle = True
        self.pool = AgentPool(lambda: self.time, self.said.append, remembered or {}, self.save)
        self.pool.nothing_else = lambda: self.idle

    def save(self) -> None:
        self.saved += 1

    def fails(self, kind: FailureKind, told: float | None = None, agent: str = "a") -> float | None:
        """Parks an agent; for how long it rests then."""
        self.pool.park(agent, Failure(kind, f"it is {kind.value}", told))
        until = self.pool.availability(ME).parked.get(agent)
        return None if until is None else until - self.time

    def rests(self) -> list[float]:
        """The rests that were told."""
        return [event.seconds for event in self.said if isinstance(event, AgentParked)]

    async def looks(self, **waiting: tuple[str, ...]) -> list[str]:
        """Has somebody look while these wait; the agents that are out then."""
        with ExitStack() as stack:
            for wp_id, agents in waiting.items():
                stack.enter_context(self.pool.waiting(wp_id, agents))
            await self.pool.pause(self.time)
        return sorted(self.pool.out)


def test_failures_side_by_side_are_one_strike() -> None:
    day = Day()
    assert [day.fails(K.RATE_LIMIT) for _ in range(4)] == [30.0] * 4
    assert day.rests() == [30.0]


def test_the_next_failure_rests_longer_until_an_attempt_got_through() -> None:
    day = Day()
    assert day.fails(K.RATE_LIMIT) == 30.0
    day.time += 31
    assert day.fails(K.RATE_LIMIT) == 60.0
    day.time += 61
    day.pool.worked("a")
    assert day.fails(K.RATE_LIMIT) == 30.0
    assert day.rests() == [30.0, 60.0, 30.0]


def test_a_shorter_rest_never_cuts_a_longer_one_short() -> None:
    day = Day()
    assert day.fails(K.RATE_LIMIT, 3600.0) == 3605.0
    assert day.fails(K.RATE_LIMIT, 5.0) == 3605.0


def test_of_two_kinds_of_trouble_the_longer_rest_counts_and_each_has_its_own_rhythm() -> None:
    day = Day()
    assert day.fails(K.RATE_LIMIT, 3600.0) == 3605.0
    assert day.fails(K.NETWORK) == 3605.0
    assert day.fails(K.AUTH) == 3605.0
    day.time += 3606
    assert day.fails(K.NETWORK) == 4.0
    assert day.fails(K.AUTH) == 900.0


def test_a_rest_is_told_when_it_grows_not_each_time() -> None:
    day = Day()
    for _ in range(60):
        rest = day.fails(K.NETWORK)
        assert rest is not None
        day.time += rest
    assert day.rests() == [2, 4, 8, 16, 32, 64, 128, 256, 300]


def test_a_rest_of_hours_is_told_each_time() -> None:
    day = Day()
    for _ in range(2):
        day.fails(K.RATE_LIMIT, 6 * 3600.0)
        day.fails(K.RATE_LIMIT, 6 * 3600.0)
        day.time += 6 * 3600
    assert day.rests() == [6 * 3600, 6 * 3600]


def test_a_program_that_is_missing_for_three_tries_is_out() -> None:
    day = Day()
    for _ in range(2):
        assert day.fails(K.NOT_INSTALLED) == 5.0
        day.time += 5
    day.fails(K.NOT_INSTALLED)
    assert day.pool.out == {"a": Failure(K.NOT_INSTALLED, "it is not_installed")}
    assert [event for event in day.said if isinstance(event, AgentDropped)]


def test_an_agent_that_has_failed_is_tried_by_one_alone_for_a_minute() -> None:
    day = Day()
    day.fails(K.NETWORK)
    day.time += 2
    day.pool.takes(ME, "a")
    day.pool.takes(ME, "a")  # to claim, and then to implement
    assert day.pool.availability(ME).parked["a"] <= day.time
    assert day.pool.availability(OTHER).parked["a"] == day.time + PROBE_SECONDS
    day.time += PROBE_SECONDS
    assert day.pool.availability(OTHER).parked["a"] <= day.time


def test_a_probe_that_fails_is_the_next_strike_and_one_that_gets_through_frees_the_agent_for_all() -> None:
    day = Day()
    day.fails(K.NETWORK)
    day.time += 2
    day.pool.takes(ME, "a")
    assert day.fails(K.NETWORK) == 4.0
    assert day.pool.availability(OTHER).parked["a"] == day.time + 4
    day.time += 4
    day.pool.takes(ME, "a")
    day.pool.worked("a")
    assert day.pool.availability(OTHER).parked == {}


def test_an_agent_without_trouble_is_asked_by_everybody_at_once() -> None:
    day = Day()
    day.pool.takes(ME, "a")
    assert day.pool.availability(OTHER).parked == {}


def test_a_limit_is_remembered_for_the_next_run_and_nothing_else_is() -> None:
    day = Day()
    for number, kind in enumerate((K.NETWORK, K.AUTH, K.BUDGET, K.BAD_MODEL)):
        day.fails(kind, agent=str(number))
    assert (day.pool.remembered, day.saved) == ({}, 0)
    day.fails(K.RATE_LIMIT, 3600.0)
    assert day.pool.remembered == {"a": Rest(4605.0, K.RATE_LIMIT, 1, "it is rate_limit")}
    assert day.saved == 1
    day.pool.worked("a")
    assert (day.pool.remembered, day.saved) == ({}, 2)


def test_what_is_remembered_goes_on_and_what_is_over_is_forgotten() -> None:
    rest = Rest(1600.0, K.RATE_LIMIT, 4)
    day = Day({"a": rest, "b": evolve(rest, until=999.0)})
    assert day.pool.availability(ME).parked == {"a": 1600.0}
    assert list(day.pool.remembered) == ["a"]
    day.time = 1600.0
    assert day.fails(K.RATE_LIMIT) == 480.0


def test_a_clock_that_is_set_back_keeps_nobody_resting_for_days() -> None:
    day = Day()
    day.fails(K.RATE_LIMIT, 3600.0)
    day.time -= 7 * 3600
    assert day.pool.availability(ME).parked == {}
    assert day.fails(K.RATE_LIMIT) == 60.0


def test_what_a_clock_that_was_wrong_has_left_is_forgotten_and_does_not_come_true_hours_later() -> None:
    day = Day({"a": Rest(1000.0 + 10 * 3600, K.RATE_LIMIT, 4)})
    day.time += 5 * 3600
    assert day.pool.availability(ME).parked == {}
    assert day.pool.remembered == {}


async def test_an_agent_whose_rest_is_over_is_asked_before_it_is_out() -> None:
    day = Day()
    for rest in (60, 900):
        day.fails(K.AUTH)
        day.time += rest
    assert await day.looks(WP01=("a",)) == []
    day.fails(K.AUTH)
    assert await day.looks(WP01=("a",)) == ["a"]


@pytest.mark.parametrize("kind", [K.AUTH, K.BAD_MODEL, K.BUDGET])
async def test_when_all_wait_for_agents_that_need_a_person_these_are_out(kind: FailureKind) -> None:
    day = Day()
    day.fails(kind)
    assert await day.looks(WP01=("a",)) == []  # it has failed but once
    day.time += 60
    day.fails(kind)
    assert await day.looks(WP01=("a",)) == ["a"]
    assert day.pool.out["a"] == Failure(kind, f"it is {kind.value}")


async def test_nobody_is_out_while_anything_else_can_go_on() -> None:
    day = Day()
    for _ in range(2):
        day.fails(K.AUTH)
        day.time += 60
    day.idle = False
    assert await day.looks(WP01=("a",)) == []  # somebody is at work
    day.idle = True
    day.fails(K.RATE_LIMIT, agent="limited")
    day.fails(K.NETWORK, agent="offline")
    for other in ("limited", "offline", "well"):
        assert await day.looks(WP01=("a",), WP02=(other,)) == []
        assert await day.looks(WP01=("a", other), WP02=("a",)) == []
    assert await day.looks(WP01=("a",), WP02=("a",)) == ["a"]


async def wake(day: Day, *changes: Callable[[], None]) -> list[float]:
    """When two who wait for an hour are woken, with a second before each change."""
    woken: list[float] = []

    async def wait() -> None:
        await day.pool.pause(day.time + 3600)
        woken.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        for change in changes:
            await trio.sleep(1)
            change()
    return woken


async def test_who_waits_is_woken_when_an_attempt_got_through(autojump_clock: MockClock) -> None:
    day = Day()
    day.fails(K.RATE_LIMIT)
    assert await wake(day, lambda: day.pool.worked("a")) == [1.0, 1.0]


async def test_who_waits_is_woken_when_an_agent_is_out(autojump_clock: MockClock) -> None:
    day = Day()

    def fail() -> None:
        day.fails(K.NOT_INSTALLED)
        day.time += 5

    assert await wake(day, fail, fail, fail) == [3.0, 3.0]


async def test_who_waits_looks_at_the_time_of_day_all_the_same(autojump_clock: MockClock) -> None:
    assert await wake(Day()) == [LOOK_SECONDS, LOOK_SECONDS]
