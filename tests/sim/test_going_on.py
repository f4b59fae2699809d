"""Runs that go on in every case: after trouble, after another mission, and with what a person asks for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve
from conformance.fake.in_process import Fault
from tests.sim.world import Act, Stopped, World, reject

from spec_kitty_orchestrator.agents.spec import FailureKind, Role
from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.mission.rules import Tally
from spec_kitty_orchestrator.report.events import LaneChanged, Notice
from spec_kitty_orchestrator.settings.values import Asked

NewWorld = Callable[..., World]
TWO = ("claude-code", "codex")
LONG = 1000.0


def block(world: World) -> None:
    """Has a run block WP01, which its reviewer sends back too often; the last words are `three`."""
    world.acts["WP01", "review"] = [reject(word) for word in ("one", "two", "three")]
    assert world.orchestrate().exit_code is ExitCode.ATTENTION
    assert world.lanes()["WP01"] == "blocked"


def said(world: World) -> list[str]:
    return [event.line for event in world.said(Notice)]


def implementers(world: World) -> list[str]:
    return world.asked("WP01", "implementation")


# What is blocked.


def test_what_we_blocked_is_tried_again_when_a_person_asks_for_it(single: World) -> None:
    block(single)
    single.acts["WP01", "review"] = [reject("four"), reject("five")]  # all retries are there again
    single.wishes = Asked(retry_blocked=True)
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert "three" in single.prompts("WP01", "implementation")[3]


def test_without_being_asked_a_run_that_goes_on_leaves_what_is_blocked(single: World) -> None:
    block(single)
    made = len(single.attempts)
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    assert single.lanes()["WP01"] == "blocked"
    assert len(single.attempts) == made


def test_what_others_blocked_is_named_with_the_command_that_goes_on_with_it(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02")
    world.fake.wps["WP02"]["lane"] = "blocked"
    block(world)
    world.wishes = Asked(retry_blocked=True)
    assert world.orchestrate().exit_code is ExitCode.ATTENTION
    assert world.lanes() == {"WP01": "done", "WP02": "blocked"}
    assert "retry WP02" in said(world)[-1]


def test_what_is_not_asked_for_stays_blocked(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02").with_agents(max_retries=0)
    for wp_id in world.lanes():
        world.acts[wp_id, "review"] = [reject("No.")]
    assert world.orchestrate().exit_code is ExitCode.ATTENTION
    world.flags, world.wishes = evolve(world.flags, only=("WP01",)), Asked(retry_blocked=True)
    world.orchestrate()
    assert world.lanes() == {"WP01": "done", "WP02": "blocked"}


def test_what_a_person_blocked_after_all_is_theirs(single: World) -> None:
    """We had blocked it, they unblocked it, and blocked it again while an agent worked on it."""
    block(single)
    single.fake.wps["WP01"]["lane"] = "in_progress"

    def block_again() -> None:
        single.fake.wps["WP01"]["lane"] = "blocked"

    single.acts["WP01", "implementation"] = [Act(then=block_again)]
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    single.wishes = Asked(retry_blocked=True)
    single.orchestrate()
    assert single.lanes() == {"WP01": "blocked"}


def test_what_a_person_blocked_is_unblocked_when_it_is_named(single: World) -> None:
    single.fake.wps["WP01"]["lane"] = "blocked"
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    single.wishes = Asked(("WP01",))
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.GARBLE_AFTER])
def test_what_cannot_be_unblocked_keeps_nothing_else_from_going_on(new_world: NewWorld, fault: Fault) -> None:
    world = new_world("WP01", "WP02")
    for wp_id in world.lanes():
        world.fake.wps[wp_id]["lane"] = "blocked"
    world.wishes = Asked(("WP01", "WP02"))
    world.host.faults["transition"] = [fault, fault]
    world.orchestrate()
    assert world.lanes()["WP02"] == "done"
    assert world.lanes()["WP01"] == ("done" if fault is Fault.GARBLE_AFTER else "blocked")
    if fault is Fault.CRASH_BEFORE:
        assert "WP01 was not unblocked" in said(world)[0]


# What is said of it.


def test_what_a_person_says_reaches_the_implementer_until_it_is_handed_over(single: World) -> None:
    block(single)
    single.acts["WP01", "review"] = [reject("four")]
    single.wishes = Asked(("WP01",), feedback="Use the other library.")
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    words = "The person who runs this mission says: Use the other library."
    assert [words in prompt for prompt in single.prompts("WP01", "implementation")[3:]] == [True, False]
    assert "three" in single.prompts("WP01", "implementation")[3]
    assert words in single.prompts("WP01", "review")[-1]


def test_what_a_person_says_of_work_that_is_up_for_review_reaches_its_reviewer(single: World) -> None:
    single.acts["WP01", "review"] = [Act(seconds=LONG)]
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=300.0)
    single.acts["WP01", "review"] = [reject("as it was said")]
    single.wishes = Asked(("WP01",), feedback="Use the other library.")
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert "its reviewer is told" in said(single)[0]
    assert "Use the other library." in single.prompts("WP01", "review")[1]
    assert "Use the other library." in single.prompts("WP01", "implementation")[1]


@pytest.mark.parametrize("wishes", [Asked(("WP01",), feedback="Mind it."), Asked(("WP01",), agent="codex")])
def test_work_that_was_ended_before_a_person_said_so_is_not_handed_over_as_it_is(
    single: World, wishes: Asked
) -> None:
    single.host.faults["transition"] = [Fault.CRASH_BEFORE] * 200
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=100.0)
    single.host.faults.clear()
    assert single.remember().record("WP01").finished_by
    single.wishes = wishes
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert len(implementers(single)) == 2


def test_an_approval_that_the_host_has_not_heard_of_is_given_anew_when_a_person_says_more(
    single: World,
) -> None:
    single.acts["WP01", "review"] = [Act(then=lambda: single.host.faults.update(transition=crashing))]
    crashing: list[Fault | None] = [Fault.CRASH_BEFORE] * 200
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=200.0)
    single.host.faults.clear()
    assert single.remember().record("WP01").verdict
    single.wishes = Asked(("WP01",), feedback="Mind it.")
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert len(single.prompts("WP01", "review")) == 2


# Who is asked.


def test_the_agent_that_a_person_asks_for_comes_first_until_it_is_handed_over(single: World) -> None:
    single.with_agents(implementation=("claude-code",), review=("claude-code",))
    block(single)
    single.acts["WP01", "review"] = [reject("four")]
    single.wishes = Asked(("WP01",), agent="codex")
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert implementers(single) == ["claude-code"] * 3 + ["codex", "claude-code"]


def test_the_agent_that_a_person_asks_for_is_asked_by_the_run_after_a_stop_too(single: World) -> None:
    single.with_agents(implementation=TWO, review=("claude-code",))
    single.fake.wps["WP01"]["lane"] = "blocked"
    single.wishes = Asked(("WP01",), agent="codex")
    single.acts["WP01", "implementation"] = [Act(seconds=LONG)]
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=100.0)
    single.wishes = Asked()
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert implementers(single) == ["codex", "codex"]


def test_agents_that_were_given_up_are_asked_again_when_a_person_asks_for_it(single: World) -> None:
    given_up = Tally(3, given_up=FailureKind.CRASHED)
    for wishes, lane in ((Asked(), "blocked"), (Asked(("WP01",)), "done")):
        single.fake.wps["WP01"]["lane"] = "planned"
        state = single.remember()
        state.record("WP01").set_tally(Role.IMPLEMENTATION, "claude-code", given_up)
        single.store.save(state)
        single.wishes = wishes
        single.orchestrate()
        assert single.lanes() == {"WP01": lane}


@pytest.mark.parametrize(("wishes", "lane"), [(Asked(), "blocked"), (Asked(("WP01",)), "done")])
def test_what_was_sent_back_before_no_longer_counts_when_a_person_asks_for_it(
    single: World, wishes: Asked, lane: str
) -> None:
    single.acts["WP01", "review"] = [reject("one"), reject("two")]
    single.acts["WP01", "implementation"] = [Act(), Act(), Act(seconds=LONG)]
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=400.0)
    single.acts["WP01", "review"] = [reject("three")]
    single.wishes = wishes
    single.orchestrate()
    assert single.lanes() == {"WP01": lane}


def test_agents_that_the_settings_no_longer_name_are_no_trouble(single: World) -> None:
    single.with_agents(implementation=TWO, review=TWO)
    single.acts["WP01", "review"] = [Act(seconds=LONG)]
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=300.0)
    state = single.remember("WP01")
    record = state.record("WP01")
    record.implementer, record.last_reviewers, record.asked_agent = "gone", ["gone"], "gone"
    for role in list(record.tallies):
        record.set_tally(role, "gone", Tally(3))
    single.store.save(state)
    single.with_agents(implementation=("claude-code",), review=("claude-code",))
    single.acts["WP01", "review"] = [reject("once more")]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert implementers(single)[-1] == "claude-code"


# After another mission, or as another actor.


def test_a_mission_goes_on_with_its_own_after_a_run_of_another(single: World) -> None:
    """The review that is held would be left to somebody else, if it were forgotten."""
    first = single.fake.slug
    single.acts["WP01", "review"] = [Act(seconds=LONG)]
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=300.0)
    single.plan("other-01FAKE01", "WP01", "WP02")
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert f"resume --mission {first}" in said(single)[0]
    single.fake.slug = first
    assert single.lanes() == {"WP01": "in_review"}
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED


def test_an_actor_that_comes_back_finds_its_own_again(single: World) -> None:
    single.acts["WP01", "review"] = [Act(seconds=LONG)]
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=300.0)
    single.actor, mine = "somebody", single.actor
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    single.actor = mine
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED


@pytest.mark.parametrize("lane", ["approved", "done"])
def test_a_new_run_after_a_kill_takes_no_approval_for_a_persons(single: World, lane: str) -> None:
    single.settings = evolve(single.settings, refresh_seconds=10_000)
    on_the_disk: list[bytes] = []
    look = Act(then=lambda: on_the_disk.append(single.store.path.read_bytes()))
    single.acts["WP01", "implementation"] = [look]
    single.orchestrate()
    single.host.log.clear()
    single.store.path.write_bytes(on_the_disk[0])  # as a kill leaves it, with the agent at work
    single.fake.wps["WP01"]["lane"] = lane
    single.resume = False
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert "accept-mission" not in single.host.commands()


# What people add and take out.


def add(world: World, wp_id: str) -> None:
    world.fake.wps[wp_id] = {**new(world), "lane_id": "lane-z"}
    (prompt,) = world.root.glob("kitty-specs/*/tasks/WP01*.md")
    prompt.with_name(f"{wp_id}-thing.md").write_text(f"# {wp_id}\n")


def new(world: World) -> dict[str, object]:
    found = dict(world.fake.wps["WP01"])
    return {**found, "lane": "planned", "holder": None, "subtasks": dict.fromkeys(found["subtasks"], False)}


def test_work_packages_that_people_add_while_a_run_is_at_it_are_picked_up(single: World) -> None:
    single.acts["WP01", "implementation"] = [Act(then=lambda: add(single, "WP02"))]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.lanes() == {"WP01": "done", "WP02": "done"}


def test_work_packages_that_people_add_and_take_out_between_runs(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02")
    world.acts["WP01", "implementation"] = world.acts["WP02", "implementation"] = [Act(seconds=LONG)]
    with pytest.raises(Stopped):
        world.orchestrate(stop_after=100.0)
    world.fake.wps.pop("WP02")
    add(world, "WP03")
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert world.lanes() == {"WP01": "done", "WP03": "done"}


def test_unblocking_is_told_to_the_host_with_its_reason(single: World) -> None:
    block(single)
    single.wishes = Asked(retry_blocked=True)
    single.orchestrate()
    (unblocking,) = [
        call for call in single.host.log if any("a person asked for it" in word for word in call)
    ]
    assert unblocking[unblocking.index("--to") + 1] == "in_progress"
    assert "--force" not in unblocking
    assert LaneChanged("WP01", "in_progress", by_us=True) in single.events
    assert not any(isinstance(event, LaneChanged) and not event.by_us for event in single.events)
