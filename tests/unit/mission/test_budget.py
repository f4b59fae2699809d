"""What ends at once when a run's budget is spent, and what is said of it."""

from __future__ import annotations

import os

import pytest
import trio
from trio.testing import MockClock

from spec_kitty_orchestrator.agents.spec import Role
from spec_kitty_orchestrator.agents.transcript import Usage
from spec_kitty_orchestrator.mission.budget import Budget, BudgetSpent
from spec_kitty_orchestrator.mission.pause import Pause
from spec_kitty_orchestrator.mission.records import SUCCEEDED, AttemptRecord, WpRecord
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.report.events import Event


def spends(records: dict[str, WpRecord], cost: float | None) -> None:
    keeper, usage = ProcessIdentity.of(os.getpid()), Usage(cost_usd=cost)
    made = AttemptRecord(Role.REVIEW, "pi", 1, "log", "then", keeper, outcome=SUCCEEDED, usage=usage)
    records.setdefault("WP01", WpRecord()).attempts.append(made)


async def test_who_waits_is_told_as_soon_as_it_is_for_nothing() -> None:
    records: dict[str, WpRecord] = {}
    told: list[Event] = []
    budget, went_on = Budget(1.0, None, records, told.append), []

    async def wait() -> None:
        with pytest.raises(BudgetSpent, match="the run's budget is spent"), budget.waiting():
            await trio.sleep_forever()
        went_on.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        spends(records, 0.75)
        budget.look()
        await trio.testing.wait_all_tasks_blocked()
        assert went_on == told == []
        spends(records, 0.75)
        budget.look()
    assert len(went_on) == 1
    budget.look()
    assert [event.line for event in told] == [
        "budget spent: 1.50 of 1.00 USD (max_cost_usd): agents at work finish, nothing new begins"
    ]
    spends(records, None)
    assert budget.words == (
        "budget spent: at least 1.50 of 1.00 USD (max_cost_usd; 1 of 3 attempts told no cost)"
    )
    with pytest.raises(BudgetSpent), budget.waiting():
        pytest.fail("nobody begins to wait")


def test_time_counts_from_the_start_and_none_is_left_when_it_is_over() -> None:
    async def run() -> None:
        await trio.sleep(50)
        budget = Budget(None, 60.0, {})
        await trio.sleep(59)
        budget.check()
        assert (budget.is_spent, budget.seconds_left) == (False, 1.0)
        await trio.sleep(1)
        with pytest.raises(BudgetSpent, match="max_runtime_seconds"):
            budget.check()
        await trio.sleep(5)
        assert budget.words == "time over: 65 of 60 s (max_runtime_seconds)"
        assert (budget.how_to_go_on, budget.seconds_left) == ("resume", float("inf"))

    trio.run(run, clock=MockClock(autojump_threshold=0))


async def test_without_limits_nothing_is_ever_spent() -> None:
    records: dict[str, WpRecord] = {}
    spends(records, 1e6)
    budget = Budget(None, None, records)
    budget.check()
    with budget.waiting():
        await trio.lowlevel.checkpoint()
    assert (budget.words, budget.seconds_left) == ("", float("inf"))


def test_no_time_passes_in_a_pause_and_nobody_waits_for_it_to_be_over() -> None:
    async def run() -> None:
        pause = Pause()
        budget = Budget(None, 60.0, {}, pause=pause)
        await trio.sleep(59)
        pause.begin()
        await trio.sleep(1000)
        budget.check()
        assert budget.seconds_left == float("inf")
        assert pause.end() == 1000.0
        assert budget.seconds_left == 1.0
        await trio.sleep(1)
        with pytest.raises(BudgetSpent):
            budget.check()
        assert budget.words == "time over: 60 of 60 s (max_runtime_seconds)"

    trio.run(run, clock=MockClock(autojump_threshold=0))
