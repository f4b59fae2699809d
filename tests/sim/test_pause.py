"""What a person orders of a live run: a pause, its end, an end after what is at work, another try."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import pytest
import trio
from attrs import evolve
from conformance.fake.command_line import Said
from tests.sim.test_budgets import made
from tests.sim.test_patience import breaks_between, refuses_until
from tests.sim.world import Act, Stopped, World, reject

from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.report.events import RetryPlanned, WpLeft
from spec_kitty_orchestrator.report.run_events import (
    AgentDropped,
    AgentParked,
    BudgetUsedUp,
    EndOrdered,
    RunPaused,
    RunUnpaused,
)
from spec_kitty_orchestrator.run.ordering import Answer, Order

NewWorld = Callable[..., World]
HOUR = 3600.0
ROLES = ("implementation", "review")
LOGGED_OUT = Act(seconds=1, fails="noauth")
SECONDS_OF_A_CALL = 2.0
BEGINNINGS = ("start-implementation", "start-review", "accept-mission", "merge-mission")


def pauses(world: World, begins: float, ends: float) -> list[object]:
    """The run is paused in between; returns what it answers."""
    return world.happens((begins, orders(world, Order.PAUSE)), (ends, orders(world, Order.UNPAUSE)))


def orders(world: World, order: Order, **asked: Any) -> Callable[[], Awaitable[Answer]]:
    return partial(world.order, order, **asked)


def begun(world: World) -> list[tuple[float, str]]:
    """When what was begun: calls that begin something, from here on, beside the attempts."""
    ask, calls = world.host.respond, []

    def respond(argv: Sequence[str]) -> Said:
        if argv[1] in BEGINNINGS:
            calls.append((trio.current_time() - SECONDS_OF_A_CALL, argv[1]))
        return ask(argv)

    world.host.respond = respond
    return calls


def limited(world: World, **changes: Any) -> World:
    world.settings = evolve(world.settings, **changes)
    return world


# A pause.


def test_in_a_pause_those_at_work_finish_and_hand_over_and_then_all_goes_on_at_once(
    new_world: NewWorld,
) -> None:
    """Of four two are at work: one implements, one is reviewed and sent back."""
    world = limited(new_world(WP01=[], WP02=[], WP03=["WP01"], WP04=["WP02"]), max_concurrent_wps=2)
    world.acts["WP02", "implementation"] = [Act(seconds=10.0)]
    world.acts["WP02", "review"] = [reject("Another way.")]
    answers = pauses(world, 50.0, 5 * HOUR)
    seen: dict[str, str] = {}

    async def look() -> None:
        await trio.sleep_until(4 * HOUR)
        seen.update(world.lanes())

    pausing = world.beside

    async def both() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            nursery.start_soon(pausing)

    world.beside = both
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert seen == {"WP01": "for_review", "WP02": "in_progress", "WP03": "planned", "WP04": "planned"}
    assert [each.taken for each in answers] == [True, True]  # type: ignore[attr-defined]
    before = [each for each in world.attempts if each.started < 5 * HOUR]
    assert {(each.wp_id, each.role.value) for each in before} == {
        ("WP01", "implementation"),
        ("WP02", "implementation"),
        ("WP02", "review"),
    }
    assert world.attempts[len(before)].started == 5 * HOUR
    assert [type(each) for each in world.events if isinstance(each, RunPaused | RunUnpaused)] == [
        RunPaused,
        RunUnpaused,
    ]
    assert world.remember().paused_since is None


@pytest.mark.parametrize("begins", [tenth / 10 for tenth in range(21, 300, 7)])
def test_whenever_a_pause_begins_nothing_begins_in_it(new_world: NewWorld, begins: float) -> None:
    """Claims, reviews and attempts that were decided on a moment before, too; calls that are out may end."""
    world = limited(new_world(WP01=[], WP02=["WP01"], WP03=["WP01"]), checks=(("make", "check"),))
    world.acts = {(wp, role): [Act(seconds=3.0)] * 2 for wp in ("WP01", "WP02", "WP03") for role in ROLES}
    world.acts["WP02", "implementation"][0] = Act(seconds=3.0, returncode=1)
    calls = begun(world)
    pauses(world, begins, 2 * HOUR)
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert [each for each in calls if begins < each[0] < 2 * HOUR] == []
    assert [each for each in world.attempts if begins < each.started < 2 * HOUR] == []
    assert set(made(world).values()) <= {1, 2}
    assert sum(made(world).values()) == 7


def test_a_claim_that_waits_for_the_first_one_is_not_made_in_a_pause(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02", "WP03")
    calls = begun(world)
    pauses(world, 3.0, HOUR)  # the first is out, from 2 to 4
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert [each for each in calls if each[0] < HOUR] == [(2.0, "start-implementation")]


def test_a_review_is_not_taken_when_a_pause_began_during_its_checks(single: World) -> None:
    limited(single, checks=(("make", "check"),)).stand("WP01", "for_review")
    single.fake.commit("WP01")
    calls = begun(single)
    single.command_acts = [(0, "", lambda: single.mission.run.pause.begin())]  # type: ignore[union-attr]
    single.happens((HOUR, orders(single, Order.UNPAUSE)))
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert len(single.commands) == 1
    assert calls[0][0] >= HOUR


def test_a_mission_is_neither_accepted_nor_given_up_while_it_is_paused(single: World) -> None:
    """And it goes on at once, not only after the next look at the host."""
    calls = begun(limited(single, refresh_seconds=2 * HOUR - 100.0))
    pauses(single, 75.0, 9 * HOUR)  # its last review is at work then
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert [call for when, call in calls if when > 75.0] == ["accept-mission"]
    assert calls[-1][0] == 9 * HOUR


@pytest.mark.parametrize("begins", range(120, 132))
def test_a_pause_that_begins_when_a_run_looks_once_more_before_its_end_puts_that_off(
    single: World, begins: int
) -> None:
    single.with_agents(max_retries=0)
    single.acts["WP01", "review"] = [reject("No.")]
    pauses(single, begins, HOUR)
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    assert single.said(RunUnpaused)


def test_a_pause_is_no_time_of_patience(new_world: NewWorld) -> None:
    """Refused all the time: patience is over ten minutes after the start, without the pause."""
    world = new_world("WP01")
    refuses_until(world, "WP01", "LANE_ALLOCATION_FAILED", lambda: trio.current_time() > 10 * HOUR + 300)
    pauses(world, 100.0, 10 * HOUR)
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert world.said(WpLeft) == []


def test_a_host_that_is_broken_for_a_pause_ends_nothing(single: World) -> None:
    breaks_between(single, 30.0, 10 * HOUR)
    pauses(single, 100.0, 10 * HOUR)
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED


def test_a_pause_is_no_running_time(single: World) -> None:
    limited(single, max_runtime_seconds=300.0)
    pauses(single, 30.0, 3 * HOUR)
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.said(BudgetUsedUp) == []


def test_a_pause_spins_for_nobody_whose_turn_comes_in_it(new_world: NewWorld) -> None:
    """One that was put off could be tried again at once, as the other one gives its place back."""
    world = limited(new_world("WP01", "WP02"), max_concurrent_wps=1)
    refuses_until(world, "WP01", "LANE_ALLOCATION_FAILED", lambda: trio.current_time() > HOUR)
    pauses(world, 100.0, HOUR)
    calls = begun(world)
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert world.asked("WP02", "review") == ["claude-code"]
    assert [each for each in calls if 100.0 < each[0] < HOUR] == []


def test_agents_that_need_a_person_are_not_given_up_in_a_pause(single: World) -> None:
    """They would be soon after they were asked twice, as nothing else can go on: it begins just before."""
    single.weather = lambda _: LOGGED_OUT if single.now() < 5 * HOUR else None
    pauses(single, 80.0, 5 * HOUR)
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.said(AgentDropped) == []
    assert len(single.attempts) == 4


def test_a_pause_is_no_time_that_another_reviewer_was_waited_for(single: World) -> None:
    """The implementer may judge itself after half an hour of that."""
    single.with_agents(review=("codex", "claude-code"))
    single.agent_acts["codex"] = [Act(seconds=1, fails="http429")] * 100
    pauses(single, 1000.0, 4 * HOUR)
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    first, *_, own = [each for each in single.attempts if each.role.value == "review"]
    assert (first.agent, own.agent) == ("codex", "claude-code")
    assert own.started - first.started == pytest.approx(4 * HOUR - 1000.0 + 1800.0, abs=60.0)


def test_a_budget_that_is_spent_in_a_pause_ends_the_run(new_world: NewWorld) -> None:
    world = limited(new_world("WP01", "WP02"), max_cost_usd=1.0)
    world.weather = lambda _: Act(cost_usd=1.0)
    world.happens((30.0, orders(world, Order.PAUSE)))
    end = world.orchestrate(stop_after=HOUR)
    assert end.exit_code is ExitCode.NO_AGENT
    assert sum(made(world).values()) == 2


@pytest.mark.parametrize("killed", [True, False])
def test_a_paused_run_stays_so_over_its_end_until_it_is_told_to_go_on(
    new_world: NewWorld, killed: bool
) -> None:
    world = new_world("WP01", "WP02")
    world.happens((30.0, orders(world, Order.PAUSE)))
    with pytest.raises(Stopped):
        world.orchestrate(stop_after=HOUR, killed=killed)
    assert sum(made(world).values()) == 2
    since = world.remember().paused_since
    assert since is not None
    calls = world.host.commands()
    world.happens((HOUR, orders(world, Order.UNPAUSE)))
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert len(world.attempts) == 4
    assert world.attempts[2].started >= HOUR
    looks = world.host.commands()[len(calls) :].count("mission-state")
    assert looks <= HOUR / world.settings.refresh_seconds + 10  # it does not spin
    assert "list-ready" not in world.host.commands()[len(calls) :]


def test_a_new_run_begins_unpaused(single: World) -> None:
    single.happens((30.0, orders(single, Order.PAUSE)))
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=HOUR)
    single.resume, single.beside = False, trio.lowlevel.checkpoint
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED


def test_what_is_ordered_twice_is_done_once(single: World) -> None:
    single.happens(*[(30.0 + number, orders(single, Order.PAUSE)) for number in range(3)])
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=HOUR)
    assert len(single.said(RunPaused)) == 1
    came = single.happens(*[(30.0 + number, orders(single, Order.UNPAUSE)) for number in range(3)])
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert [each.taken for each in came] == [True] * 3  # type: ignore[attr-defined]
    assert len(single.said(RunUnpaused)) == 1


# The end after what is at work.


def test_told_to_stop_those_at_work_finish_and_a_run_that_goes_on_does_nothing_twice(
    new_world: NewWorld,
) -> None:
    world = limited(new_world(*[f"WP{number:02}" for number in range(1, 6)]), max_concurrent_wps=3)
    world.acts["WP02", "implementation"] = [Act(seconds=10.0)]
    world.happens((50.0, orders(world, Order.STOP)))
    end = world.orchestrate(stop_after=HOUR)
    assert end.exit_code is ExitCode.TERMINATED
    assert [end.lines[-1]] == [
        "ended by a person, after what was at work; go on with: spec-kitty-orchestrator resume"
    ]
    assert world.lanes() == {
        "WP01": "for_review",
        "WP02": "done",
        "WP03": "for_review",
        "WP04": "planned",
        "WP05": "planned",
    }
    assert len(world.said(EndOrdered)) == 1
    world.beside = trio.lowlevel.checkpoint
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert set(made(world).values()) == {1}


@pytest.mark.parametrize("wait", ["an agent's rest", "a retry's delay", "a pause"])
def test_told_to_stop_nobody_is_waited_for(single: World, wait: str) -> None:
    if wait == "an agent's rest":
        single.weather = lambda _: Act(seconds=1, fails="stream-json-429")
    elif wait == "a retry's delay":
        single.acts["WP01", "implementation"] = [Act(seconds=1, returncode=1)] * 3
    else:
        single.happens((3.0, orders(single, Order.PAUSE)), (9.0, orders(single, Order.STOP)))
    if wait != "a pause":
        single.happens((9.0, orders(single, Order.STOP)))
    end = single.orchestrate(stop_after=12.0)
    assert end.exit_code is ExitCode.TERMINATED
    assert bool(single.said(RetryPlanned)) is (wait == "a retry's delay")
    assert bool(single.said(AgentParked)) is (wait == "an agent's rest")
    assert single.remember().paused_since is None


def test_told_to_stop_a_run_says_what_is_graver(single: World) -> None:
    """What was at work is blocked: nothing is left that a run could go on with."""
    single.with_agents(max_retries=0)
    single.acts["WP01", "review"] = [reject("No.")]
    single.happens((70.0, orders(single, Order.STOP)))
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    assert single.lanes() == {"WP01": "blocked"}


def test_a_run_that_ends_takes_no_more_orders(single: World) -> None:
    single.host.slow["accept-mission"] = 100.0
    came = single.happens(*[(200.0, orders(single, order)) for order in Order])
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert [each.taken for each in came] == [False] * len(Order)  # type: ignore[attr-defined]


# Another try.


def test_a_live_run_tries_again_what_it_had_blocked(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02").with_agents(max_retries=0)
    world.acts["WP01", "review"] = [reject("No.")]
    world.acts["WP02", "implementation"] = [Act(seconds=HOUR)]

    async def retry() -> int:
        """Whatever look at the host overlaps the move must say nothing."""
        assert world.mission is not None
        before = world.mission.view.epochs["WP01"]
        answer = await world.order(Order.RETRY, wp_ids=("WP01",), feedback="Use the other parser.")
        assert answer.taken
        return world.mission.view.epochs["WP01"] - before

    came = world.happens((600.0, retry))
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert came == [3]  # before the move, after it, and with its reply
    assert "Use the other parser." in world.prompts("WP01", "implementation")[1]
    assert all(event.by_us for event in world.events if type(event).__name__ == "LaneChanged")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"wp_ids": ("WP02",)}, "WP02: run"),
        ({"wp_ids": ("WP09",)}, "has no work package WP09"),
        ({"wp_ids": ("WP01",), "agent": "gemini"}, "gemini is not among the agents"),
    ],
)
def test_what_a_live_run_cannot_try_again_it_says(new_world: NewWorld, asked: Any, why: str) -> None:
    world = new_world("WP01", "WP02").with_agents(max_retries=0)
    world.acts["WP01", "review"] = [reject("No.")]
    world.acts["WP02", "implementation"] = [Act(seconds=HOUR)]
    came = world.happens((600.0, orders(world, Order.RETRY, **asked)))
    assert world.orchestrate().exit_code is ExitCode.ATTENTION
    (answer,) = came
    assert isinstance(answer, Answer)
    assert not answer.taken
    assert why in answer.line


def test_what_ends_tries_nothing_again(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02").with_agents(max_retries=0)
    world.acts["WP01", "review"] = [reject("No.")]
    world.acts["WP02", "implementation"] = [Act(seconds=HOUR)]

    async def retry() -> bool:
        await world.order(Order.STOP)
        return (await world.order(Order.RETRY, wp_ids=("WP01",))).taken

    came = world.happens((600.0, retry))
    world.orchestrate()
    assert came == [False]
    assert world.lanes()["WP01"] == "blocked"
