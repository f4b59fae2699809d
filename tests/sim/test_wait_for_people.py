"""With `wait_for_people` a run that can do nothing more waits until somebody moves something."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
import trio
from tests.sim.test_patience import breaks_between, refuses_until
from tests.sim.test_pause import HOUR, LOGGED_OUT, limited, orders
from tests.sim.world import Stopped, World, reject

from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.report.events import LaneChanged, WpLeft
from spec_kitty_orchestrator.report.run_events import AgentDropped, AgentsNeedAPerson, WaitingForPeople
from spec_kitty_orchestrator.run.ordering import Order
from spec_kitty_orchestrator.settings.values import Flags

NewWorld = Callable[..., World]
SOON = 90.0
"""A look at the host, and what the host itself takes."""


@pytest.fixture
def waiting(new_world: NewWorld) -> World:
    """WP02 needs WP01; the run waits for people."""
    return limited(new_world(WP01=[], WP02=["WP01"]), wait_for_people=True)


def moved(world: World, lane: str, wp_id: str = "WP01", **changes: Any) -> Callable[[], Awaitable[None]]:
    """What a person does at the host."""

    async def move() -> None:
        await trio.lowlevel.checkpoint()
        world.fake.wps[wp_id].update(lane=lane, **changes)

    return move


def blocked(world: World) -> None:
    world.with_agents(max_retries=0)
    world.acts["WP01", "review"] = [reject("No.")]


def reviewed_by_somebody(world: World) -> None:
    world.stand("WP01", "in_review", "somebody")


def claimed_by_somebody(world: World) -> None:
    world.stand("WP01", "in_progress", "somebody")


def canceled(world: World) -> None:
    world.fake.wps["WP01"]["lane"] = "canceled"


TO_MOVE: Mapping[str, tuple[Callable[[World], None], str]] = {
    "blocked, and taken back": (blocked, "planned"),
    "in somebody's review, and approved": (reviewed_by_somebody, "approved"),
    "in somebody's work, and handed over": (claimed_by_somebody, "for_review"),
    "canceled, and planned after all": (canceled, "planned"),
}


@pytest.mark.parametrize(("begins", "to"), TO_MOVE.values(), ids=TO_MOVE)
def test_what_people_hold_is_waited_for_and_gone_on_with_once_they_move_it(
    waiting: World, begins: Callable[[World], None], to: str
) -> None:
    begins(waiting)
    waiting.happens((7 * HOUR, moved(waiting, to, holder=None)))
    assert waiting.orchestrate().exit_code is ExitCode.ACCEPTED
    after = [each for each in waiting.attempts if each.started >= 7 * HOUR]
    assert after[0].started - 7 * HOUR <= SOON
    assert len(waiting.said(WaitingForPeople)) == 1


def test_without_it_the_same_ends_the_run(waiting: World) -> None:
    blocked(waiting)
    assert limited(waiting, wait_for_people=False).orchestrate().exit_code is ExitCode.ATTENTION
    assert waiting.said(WaitingForPeople) == []


def test_waiting_asks_the_host_once_for_each_look_and_says_each_thing_once(waiting: World) -> None:
    blocked(waiting)
    with pytest.raises(Stopped):
        waiting.orchestrate(stop_after=4 * HOUR)
    (said,) = waiting.said(WaitingForPeople)
    assert "WP01 blocked" in said.line
    assert "WP02 planned: waits for WP01 (blocked)" in said.line
    looks = waiting.host.commands().count("mission-state")
    assert looks <= 4 * HOUR / waiting.settings.refresh_seconds + 10
    assert waiting.host.commands().count("list-ready") <= 3
    assert len(waiting.said(WpLeft)) == 1


def test_what_is_blocked_again_is_told_again(waiting: World) -> None:
    waiting.with_agents(max_retries=0)
    waiting.acts["WP01", "review"] = [reject("No."), reject("No again.")]
    waiting.happens(*[(hour * HOUR, moved(waiting, "planned", holder=None)) for hour in (2, 4)])
    assert waiting.orchestrate().exit_code is ExitCode.ACCEPTED
    assert len(waiting.said(WaitingForPeople)) == 2


def test_agents_that_are_logged_out_are_waited_for_until_a_person_logs_in(waiting: World) -> None:
    waiting.weather = lambda _: LOGGED_OUT if waiting.now() < 6 * HOUR else None
    assert waiting.orchestrate().exit_code is ExitCode.ACCEPTED
    assert waiting.said(AgentDropped) == []
    (said,) = waiting.said(AgentsNeedAPerson)
    assert "Not logged in" in said.line
    assert waiting.attempts[-1].started - 6 * HOUR <= 0.5 * HOUR


def test_what_is_refused_is_tried_until_it_is_mended_and_people_hear_of_it_once_patience_is_over(
    waiting: World,
) -> None:
    refuses_until(waiting, "WP01", "LANE_ALLOCATION_FAILED", lambda: trio.current_time() > 5 * HOUR)

    async def how_often_told() -> int:
        await trio.lowlevel.checkpoint()
        return len(waiting.said(WaitingForPeople))

    patience = waiting.settings.patience_seconds
    came = waiting.happens((patience - SOON, how_often_told), (patience + SOON, how_often_told))
    assert waiting.orchestrate().exit_code is ExitCode.ACCEPTED
    assert came == [0, 1]
    assert len(waiting.said(WaitingForPeople)) == 1


def test_a_host_that_is_broken_for_hours_is_waited_for(waiting: World) -> None:
    breaks_between(waiting, 30.0, 5 * HOUR)
    assert waiting.orchestrate().exit_code is ExitCode.ACCEPTED


def test_waiting_ends_when_the_time_is_over(waiting: World) -> None:
    blocked(waiting)
    end = limited(waiting, max_runtime_seconds=2 * HOUR).orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert "time over: 7200 of 7200 s" in end.lines[-1]


def test_waiting_ends_when_a_person_says_so(waiting: World) -> None:
    """At once, not only after the next look at the host."""
    blocked(limited(waiting, refresh_seconds=5 * HOUR))
    waiting.happens((HOUR, orders(waiting, Order.STOP)))
    assert waiting.orchestrate(stop_after=HOUR + 60).exit_code is ExitCode.ATTENTION


def test_a_pause_while_people_are_waited_for(waiting: World) -> None:
    blocked(waiting)
    waiting.happens(
        (1 * HOUR, orders(waiting, Order.PAUSE)),
        (2 * HOUR, moved(waiting, "planned", holder=None)),
        (3 * HOUR, orders(waiting, Order.UNPAUSE)),
    )
    assert waiting.orchestrate().exit_code is ExitCode.ACCEPTED
    assert [each for each in waiting.attempts if HOUR < each.started < 3 * HOUR] == []


def test_what_is_blocked_is_tried_again_by_the_run_that_waits(waiting: World) -> None:
    blocked(waiting)
    waiting.happens((HOUR, orders(waiting, Order.RETRY, wp_ids=("WP01",))))
    assert waiting.orchestrate().exit_code is ExitCode.ACCEPTED
    assert all(event.by_us for event in waiting.said(LaneChanged))  # type: ignore[attr-defined]


def test_nobody_is_waited_for_when_what_was_asked_for_is_done(waiting: World) -> None:
    waiting.flags = Flags(only=("WP01",))
    end = waiting.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert end.lines[0].startswith("what was asked for is done: WP01")
