"""People, and agents that know the host's own commands, move work packages at every moment, to every lane."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import trio
from attrs import evolve
from conformance.fake.command_line import Said
from tests.sim.test_patience import breaks_between
from tests.sim.world import Act, Stopped, World, reject

from spec_kitty_orchestrator.agents.spec import Role
from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.host.contract.lanes import Lane
from spec_kitty_orchestrator.report.events import LaneChanged, VerdictGiven

NewWorld = Callable[..., World]
LONG = 300.0  # seconds of an attempt: several looks at the host fall into it

MOMENTS = {Role.IMPLEMENTATION: "in_progress", Role.REVIEW: "in_review"}
"""During which attempt it is moved, and where we have it then."""


def move_after(world: World, seconds: float, lane: str, **changes: Any) -> Callable[[], None]:
    """A person's move, so many seconds of the clock after the run began; it is made by a sibling's agent."""

    def move() -> None:
        world.fake.wps["WP01"].update(lane=lane, **changes)

    world.acts["WP02", "implementation"] = [Act(seconds=seconds, then=move)]
    return move


TO_END = {
    # where the person puts it, and who holds it → where it stands at the end, whether the mission is accepted
    Lane.PLANNED: ("done", True),
    Lane.CLAIMED: ("claimed", False),
    Lane.IN_PROGRESS: ("in_progress", False),
    Lane.FOR_REVIEW: ("done", True),
    Lane.IN_REVIEW: ("in_review", False),
    Lane.APPROVED: ("approved", False),
    Lane.DONE: ("done", False),
    Lane.BLOCKED: ("blocked", False),
    Lane.CANCELED: ("canceled", False),
}
MOVES = [(role, lane) for role, lane in itertools.product(MOMENTS, Lane) if MOMENTS[role] != lane.value]


@pytest.mark.parametrize(("role", "lane"), MOVES, ids=lambda value: value.value)
def test_a_work_package_that_a_person_moves_stops_its_agent_and_goes_on_from_there(
    new_world: NewWorld, role: Role, lane: Lane
) -> None:
    world = new_world("WP01", "WP02")
    holder = None if lane is Lane.PLANNED else "a person"
    world.acts["WP01", role.value] = [Act(seconds=LONG)]
    move_after(world, 30.0 if role is Role.IMPLEMENTATION else 150.0, lane.value, holder=holder)
    end = world.orchestrate()
    at_the_end, accepted = TO_END[lane]
    assert world.lanes()["WP01"] == at_the_end
    assert end.exit_code is (ExitCode.ACCEPTED if accepted else ExitCode.ATTENTION)
    assert ("accept-mission" in world.host.commands()) is accepted
    agents_own_move = role is Role.IMPLEMENTATION and lane is Lane.FOR_REVIEW
    assert world.stopped == (0 if agents_own_move else 1)
    if not accepted:
        assert [made.wp_id for made in world.attempts].count("WP01") == (
            1 if role is Role.IMPLEMENTATION else 2
        )


def moves_at(world: World, moves: Mapping[float, str]) -> None:
    """A person moves WP01 at these seconds of the clock, or as soon after as the host is asked anything."""
    ask, to_do = world.host.respond, dict(sorted(moves.items()))

    def call(argv: Sequence[str]) -> Said:
        while to_do and trio.current_time() >= min(to_do):
            world.fake.wps["WP01"].update(lane=to_do.pop(min(to_do)), holder="a person")
        return ask(argv)

    world.host.respond = call


@pytest.mark.parametrize("role", MOMENTS)
def test_what_a_person_blocks_while_we_work_on_it_is_gone_on_with_once_they_unblock_it(
    new_world: NewWorld, role: Role
) -> None:
    """The host calls whoever unblocks it its holder."""
    world = new_world("WP01", "WP02")
    world.acts["WP02", "implementation"] = [Act(seconds=1000)]
    world.acts["WP01", role.value] = [Act(seconds=LONG)]
    moves_at(world, {100.0: "blocked", 200.0: "in_progress"})
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert world.stopped == 1
    assert len(world.asked("WP01", "implementation")) == 2


def test_what_a_person_blocks_and_unblocks_while_it_is_put_off_is_gone_on_with(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02")
    world.acts["WP02", "implementation"] = [Act(seconds=1000)]
    breaks_between(world, 50.0, 150.0, "transition")
    moves_at(world, {100.0: "blocked", 200.0: "in_progress"})
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED


def test_what_a_person_unblocks_to_planned_and_claims_is_theirs(new_world: NewWorld) -> None:
    """Once we have claimed it anew, that it was blocked is over: another claim is looked for as ever."""
    world = new_world("WP01", "WP02")
    world.acts["WP02", "implementation"] = [Act(seconds=1000)]
    world.acts["WP01", "implementation"] = [Act(seconds=LONG)] * 2
    moves_at(world, {100.0: "blocked", 200.0: "planned"})
    with pytest.raises(Stopped):
        world.orchestrate(stop_after=300)
    world.fake.wps["WP01"].update(lane="in_progress", holder="a person")
    assert world.orchestrate().exit_code is ExitCode.ATTENTION
    assert len(world.asked("WP01", "implementation")) == 2


def test_a_person_who_takes_it_back_with_words_is_heard(new_world: NewWorld) -> None:
    """Their edit of the prompt file reaches the next attempt."""
    world = new_world("WP01", "WP02")
    world.acts["WP01", "implementation"] = [Act(seconds=LONG)]
    move = move_after(world, 30.0, "planned", holder=None)

    def edit_and_move() -> None:
        (prompt,) = world.root.glob("kitty-specs/*/tasks/WP01*.md")
        prompt.write_text(prompt.read_text() + "\nAnd mind the umlauts.\n")
        move()

    world.acts["WP02", "implementation"] = [Act(seconds=30.0, then=edit_and_move)]
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    first, second = world.prompts("WP01", "implementation")
    assert "umlauts" not in first
    assert "And mind the umlauts." in second


def test_one_that_is_approved_by_others_while_we_worked_on_it_is_no_proof(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02")
    world.acts["WP01", "implementation"] = [Act(seconds=LONG)]
    move_after(world, 30.0, "done")
    end = world.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert "  WP01 done: moved to done by someone else while we worked on it" in end.lines
    assert "accept-mission" in end.lines[-1]
    # The next run finds it done: a person has seen it by then.
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED


def moved_by_agent(world: World, lane: str) -> Callable[[], None]:
    return lambda: world.fake.wps["WP01"].update(lane=lane)


def test_an_implementer_that_hands_over_by_itself_costs_no_attempt(single: World) -> None:
    """The host's own prompts tell agents to run `move-task --to for_review`."""
    single.acts["WP01", "implementation"] = [Act(then=moved_by_agent(single, "for_review"))]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert [made.role for made in single.attempts] == [Role.IMPLEMENTATION, Role.REVIEW]
    assert LaneChanged("WP01", "for_review", by_us=True) in single.events


def test_an_implementer_that_hands_over_by_itself_without_a_commit_is_asked_again(single: World) -> None:
    moves = Act(commit=False, then=moved_by_agent(single, "for_review"))
    single.acts["WP01", "implementation"] = [moves]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert len(single.asked("WP01", "implementation")) == 2
    assert len(single.asked("WP01", "review")) == 1


@pytest.mark.parametrize("lane", ["approved", "done"])
def test_an_implementer_that_approves_itself_is_no_proof(single: World, lane: str) -> None:
    single.acts["WP01", "implementation"] = [Act(then=moved_by_agent(single, lane))]
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert single.said(VerdictGiven) == []
    assert "accept-mission" not in single.host.commands()


@pytest.mark.parametrize("lane", ["approved", "done"])
@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.value)
def test_an_agent_that_approves_itself_just_before_a_stop_is_no_proof(
    new_world: NewWorld, role: Role, lane: str
) -> None:
    """No look at the host comes between, and the run that goes on finds it there."""
    world = new_world("WP01", "WP02")
    world.settings = evolve(world.settings, refresh_seconds=10_000)
    world.acts["WP01", role.value] = [Act(seconds=LONG)]
    move = moved_by_agent(world, lane)
    world.acts["WP02", role.value] = [Act(seconds=100.0, then=move)]
    with pytest.raises(Stopped):
        world.orchestrate(stop_after=200.0)
    assert world.lanes()["WP01"] == lane
    end = world.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert f"  WP01 {lane}: moved to {lane} by someone else while we worked on it" in end.lines
    assert "accept-mission" not in world.host.commands()


def test_an_agent_that_takes_back_its_work_package_each_time_is_not_asked_for_ever(single: World) -> None:
    def take_back() -> None:
        single.fake.wps["WP01"].update(lane="planned", holder=None)

    single.acts["WP01", "implementation"] = [Act(then=take_back)] * 50
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert len(single.attempts) == 6
    assert "moved to planned by someone else" in end.lines[1]


@pytest.mark.parametrize("in_flight", [False, True])
def test_what_people_take_out_of_the_mission_is_forgotten(new_world: NewWorld, in_flight: bool) -> None:
    world = new_world("WP01", "WP02", "WP03")
    world.settings = evolve(world.settings, max_concurrent_wps=1 + in_flight)
    world.acts["WP01", "implementation"] = [Act(seconds=LONG, then=lambda: world.fake.wps.pop("WP02"))]
    world.acts["WP02", "implementation"] = [Act(seconds=LONG + 30.0)]
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert world.lanes() == {"WP01": "done", "WP03": "done"}


def test_a_reviewer_that_records_its_approval_itself_is_believed_for_its_verdict(single: World) -> None:
    single.acts["WP01", "review"] = [Act(then=moved_by_agent(single, "done"))]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert len(single.said(VerdictGiven)) == 1


def test_a_reviewer_that_approves_at_the_host_and_rejects_in_words_approves_nothing(single: World) -> None:
    act = reject("mend a.py:3")
    single.acts["WP01", "review"] = [
        Act(verdict=act.verdict, feedback=act.feedback, then=moved_by_agent(single, "done"))
    ]
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert "accept-mission" not in single.host.commands()


def test_somebody_who_takes_the_review_just_before_us_keeps_it(single: World) -> None:
    """The host lets everybody in; `no_op` tells that somebody was there first."""
    respond = single.host.respond

    def take(argv: Any) -> Any:
        if argv[1] == "start-review":
            single.fake.wps["WP01"]["lane"] = "in_review"
        return respond(argv)

    single.host.respond = take
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert "somebody else reviews it" in end.lines[1]
    assert single.asked("WP01", "review") == []
    single.host.respond = respond
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    assert single.asked("WP01", "review") == []


@pytest.mark.parametrize("taken_out", [True, False], ids=["taken out", "taken back"])
def test_one_that_approved_itself_and_is_taken_out_or_back_afterwards_is_held_against_nobody(
    new_world: NewWorld, taken_out: bool
) -> None:
    """Done again with a reviewer's verdict, there is proof for it."""
    world = new_world("WP01", "WP02")
    world.acts["WP01", "implementation"] = [Act(then=moved_by_agent(world, "done"))]

    def clear() -> None:
        if taken_out:
            del world.fake.wps["WP01"]
        else:
            world.fake.wps["WP01"].update(lane="planned", holder=None)

    world.acts["WP02", "implementation"] = [Act(seconds=LONG, then=clear)]
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert len(world.said(VerdictGiven)) == 1 + (not taken_out)
