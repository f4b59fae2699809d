"""When what a run may cost, or its time, is used up: what is begun finishes, and nothing new begins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from conformance.fake.in_process import Fault
from tests.sim.test_patience import breaks_between, refuses_until
from tests.sim.world import Act, Stopped, World, reject

from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.mission.acceptance import MissionEnd
from spec_kitty_orchestrator.processes.ending import EndedBy
from spec_kitty_orchestrator.report.events import (
    AttemptEnded,
    RetryPlanned,
    WaitingForAgents,
    WpLeft,
    WpPutOff,
)
from spec_kitty_orchestrator.report.run_events import BudgetUsedUp
from spec_kitty_orchestrator.report.totals import Total

NewWorld = Callable[..., World]
FIVE = [f"WP{number:02}" for number in range(1, 6)]
A_DOLLAR = Act(cost_usd=1.0)


def limited(world: World, **limits: Any) -> World:
    """With another budget from here on."""
    world.settings = evolve(world.settings, **limits)
    return world


def made(world: World) -> Counter[tuple[str, str]]:
    return Counter((each.wp_id, each.role.value) for each in world.attempts)


def ended_by_budget(end: MissionEnd, words: str) -> None:
    assert end.exit_code is ExitCode.NO_AGENT
    assert words in end.lines[-1]
    assert "go on with: spec-kitty-orchestrator resume" in end.lines[-1]


# Money.


def test_when_the_money_is_spent_those_at_work_finish_and_nothing_else_begins(new_world: NewWorld) -> None:
    """Three of five are at work when the first one's cost is more than the run may have."""
    world = limited(new_world(*FIVE), max_cost_usd=5.0, max_concurrent_wps=3)
    for number, wp_id in enumerate(FIVE):
        world.acts[wp_id, "implementation"] = [Act(60.0 + 30 * number, cost_usd=1.0 if number else 5.0)]
    world.acts["WP03", "implementation"][0] = Act(200.0, cost_usd=1.0)
    end = world.orchestrate()
    assert made(world) == {(wp_id, "implementation"): 1 for wp_id in FIVE[:3]}
    assert world.lanes() == {**dict.fromkeys(FIVE[:3], "for_review"), "WP04": "planned", "WP05": "planned"}
    ended_by_budget(end, "budget spent: 7.00 of 5.00 USD (max_cost_usd); go on with")
    assert end.lines[-1].endswith("resume --max-cost-usd MORE")
    assert [event.line for event in world.said(BudgetUsedUp)] == [
        "budget spent: 5.00 of 5.00 USD (max_cost_usd): agents at work finish, nothing new begins"
    ]
    assert all("the run's budget is spent (max_cost_usd); then: " in line for line in end.lines[1:-1])
    assert len(end.lines) == 1 + len(FIVE) + 1
    said = [type(event) for event in world.events]
    assert said.index(BudgetUsedUp) == said.index(AttemptEnded) + 1  # before it is handed over
    assert world.remember().work_packages["WP01"].last_error is None


def test_with_more_money_a_run_goes_on_and_no_attempt_is_made_twice(diamond: World) -> None:
    world = limited(diamond, max_cost_usd=2.5)
    world.weather = lambda _: A_DOLLAR
    ended_by_budget(world.orchestrate(), "4.00 of 2.50 USD")
    attempts = len(world.attempts)
    calls = len(world.host.log)
    ended_by_budget(world.orchestrate(), "4.00 of 2.50 USD")  # at once, with the same words
    assert len(world.attempts) == attempts
    assert {argv[1] for argv in world.host.log[calls:]} <= {"mission-state", "list-ready"}
    assert limited(world, max_cost_usd=100.0).orchestrate().exit_code is ExitCode.ACCEPTED
    assert set(made(world).values()) == {1}
    assert len(world.attempts) == 8
    assert world.store.load().totals.run == Total(8, None, None, 8.0)  # type: ignore[union-attr]


def test_what_earlier_starts_have_cost_counts(single: World) -> None:
    """The first start is stopped while its second agent is at work: of that one nothing is known."""
    world = limited(single, max_cost_usd=1.0)
    world.acts["WP01", "implementation"] = [Act(cost_usd=0.75)]
    world.acts["WP01", "review"] = [Act(seconds=9999)]
    with pytest.raises(Stopped):
        world.orchestrate(stop_after=1000)
    world.acts["WP01", "review"] = [evolve(reject("more"), cost_usd=0.25)]
    end = world.orchestrate()
    ended_by_budget(
        end, "budget spent: at least 1.00 of 1.00 USD (max_cost_usd; 1 of 3 attempts told no cost)"
    )
    assert world.lanes() == {"WP01": "in_progress"}  # the review was told
    assert world.store.load().work_packages["WP01"].feedback == "more"  # type: ignore[union-attr]


def test_a_new_run_begins_with_the_whole_budget(single: World) -> None:
    world = limited(single, max_cost_usd=1.0)
    world.acts["WP01", "implementation"] = [A_DOLLAR]
    ended_by_budget(world.orchestrate(), "1.00 of 1.00 USD")
    world.resume = False
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED


def test_a_mission_that_is_done_with_its_last_dollar_is_accepted(single: World) -> None:
    world = limited(single, max_cost_usd=2.0)
    world.weather = lambda _: A_DOLLAR
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED


def test_what_nobody_could_go_on_with_is_not_the_budgets_fault(single: World) -> None:
    world = limited(single, max_cost_usd=1.0).with_agents(max_retries=0)
    world.acts["WP01", "review"] = [evolve(reject("no"), cost_usd=1.0)]
    end = world.orchestrate()
    assert (end.exit_code, world.lanes()) == (ExitCode.ATTENTION, {"WP01": "blocked"})


def test_agents_that_tell_no_cost_spend_nothing_of_it(single: World) -> None:
    world = limited(single, max_cost_usd=0.01).with_agents(implementation=("codex",), review=("codex",))
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    total = world.store.load().totals.run  # type: ignore[union-attr]
    assert (total.cost_usd, total.untold, total.cost) == (None, 2, "cost not told")


def test_a_failure_is_not_tried_again_with_money_that_is_spent(single: World) -> None:
    world = limited(single, max_cost_usd=1.0)
    world.acts["WP01", "review"] = [Act(verdict=None, cost_usd=1.0)]
    ended_by_budget(world.orchestrate(), "1.00 of 1.00 USD")
    assert world.said(RetryPlanned) == []
    assert len(world.asked("WP01", "review")) == 1
    limited(world, max_cost_usd=9.0)
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED


@pytest.mark.parametrize(("role", "lane"), [("implementation", "in_progress"), ("review", "in_review")])
def test_what_is_spent_while_the_host_answers_keeps_an_agent_from_its_start(
    new_world: NewWorld, role: str, lane: str
) -> None:
    """The host is giving the second one out, two seconds after the first, when that one's agent ends."""
    world = limited(new_world("WP01", "WP02"), max_cost_usd=1.0)
    for wp_id in ("WP01", "WP02"):
        world.acts[wp_id, role] = [Act(seconds=0.5, cost_usd=1.0)]
    ended_by_budget(world.orchestrate(), "1.00 of 1.00 USD")
    assert [each.role.value for each in world.attempts].count(role) == 1
    assert lane in world.lanes().values()
    assert limited(world, max_cost_usd=9.0).orchestrate().exit_code is ExitCode.ACCEPTED
    assert set(made(world).values()) == {1}


def test_money_that_is_spent_ends_the_wait_for_a_resting_agent(new_world: NewWorld) -> None:
    """WP02 waits for its reviewer, for two minutes at that time, while WP01 spends what there is."""
    world = limited(new_world("WP01", "WP02"), max_cost_usd=1.0).with_agents(review=("codex",))
    world.agent_acts["codex"] = [Act(fails="http429", seconds=1.0)] * 9
    world.acts["WP02", "implementation"] = [Act(seconds=20.0)]
    world.acts["WP01", "implementation"] = [Act(seconds=200.0, cost_usd=1.0)]
    ended_by_budget(world.orchestrate(), "1.00 of 1.00 USD")
    assert len(world.asked("WP02", "review")) == 3
    assert world.wall < 215


LIMITED = (
    '{"type":"result","subtype":"success","is_error":true,"api_error_status":429,'
    '"result":"API Error: try again in 1 hour"}\n'
)


# Time.


def test_when_the_time_is_over_those_at_work_finish_and_are_handed_over(new_world: NewWorld) -> None:
    world = limited(new_world("WP01", "WP02"), max_runtime_seconds=30.0, max_concurrent_wps=1)
    world.acts["WP01", "implementation"] = [Act(seconds=100)]
    end = world.orchestrate()
    assert made(world) == {("WP01", "implementation"): 1}
    assert world.lanes() == {"WP01": "for_review", "WP02": "planned"}
    assert any("time over: 30 of 30 s" in event.line for event in world.said(BudgetUsedUp))
    ended_by_budget(end, "of 30 s (max_runtime_seconds); go on with: spec-kitty-orchestrator resume")
    assert 100 < float(end.lines[-1].split()[2]) < 130


def test_while_those_at_work_finish_the_host_is_asked_no_more_than_before(new_world: NewWorld) -> None:
    """WP02 is refused, and is not tried again when the time is over."""
    world = limited(new_world("WP01", "WP02"), max_runtime_seconds=250.0)
    world.acts["WP01", "implementation"] = [Act(seconds=3000.0)]
    refused = refuses_until(world, "WP02", "LANE_ALLOCATION_FAILED", lambda: False)
    ended_by_budget(world.orchestrate(), "time over")
    assert max(refused) < 260.0
    looks = sum(argv[1] == "mission-state" for argv in world.host.log)
    assert looks <= 3100 / world.settings.refresh_seconds + len(refused) + 5
    assert world.lanes() == {"WP01": "for_review", "WP02": "planned"}


def test_each_start_has_the_whole_time(single: World) -> None:
    world = limited(single, max_runtime_seconds=60.0)
    starts = 1
    while (end := world.orchestrate()).exit_code is ExitCode.NO_AGENT:
        ended_by_budget(end, "time over")
        starts += 1
    assert (end.exit_code, starts) == (ExitCode.ACCEPTED, 2)
    assert made(world) == {("WP01", "implementation"): 1, ("WP01", "review"): 1}


def everybody_rests(world: World) -> None:
    world.weather = lambda _: Act(says=LIMITED)


def a_reviewer_is_waited_for(world: World) -> None:
    world.with_agents(review=("codex", "claude-code"))
    world.agent_acts["codex"] = [Act(fails="http429")] * 99


def a_retry_sleeps(world: World) -> None:
    crash = Act(seconds=45.0, returncode=1, ended_by=EndedBy.IDLE)
    world.acts["WP01", "implementation"] = [crash] * 9
    world.with_agents(max_retries=9)
    # 2, 4, 8, 16, 32, 60 seconds: the time is over in the last of them.
    limited(world, max_runtime_seconds=370.0)


def the_host_refuses(world: World) -> None:
    refuses_until(world, "WP01", "LANE_ALLOCATION_FAILED", lambda: False)


def the_host_does_not_even_say_how_it_stands(world: World) -> None:
    breaks_between(world, 50, 1e9)


def the_host_breaks_down(world: World) -> None:
    world.host.faults["start-implementation"] = [Fault.CRASH_BEFORE] * 1000


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (everybody_rests, WaitingForAgents),
        (a_reviewer_is_waited_for, WaitingForAgents),
        (a_retry_sleeps, RetryPlanned),
        (the_host_refuses, WpPutOff),
        (the_host_breaks_down, WpPutOff),
        (the_host_does_not_even_say_how_it_stands, WpPutOff),
    ],
)
def test_the_time_ends_every_wait(
    new_world: NewWorld, trouble: Callable[[World], None], told: type[Any]
) -> None:
    world = limited(new_world("WP01"), max_runtime_seconds=250.0)
    trouble(world)
    end = world.orchestrate()
    ended_by_budget(end, "time over")
    assert world.said(told)
    assert world.said(WpLeft)
    most = world.settings.max_runtime_seconds or 0.0
    assert most <= world.wall <= most + 10.0
    assert "then: spec-kitty-orchestrator resume" in end.lines[1]
