"""What is refused or breaks down for a while costs time, and nothing else: no work package, no attempt."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import trio
from attrs import evolve
from conformance.fake.checks import about
from conformance.fake.command_line import Said, reply
from conformance.fake.in_process import Fault
from conformance.fake.rules import Refused
from tests.sim.world import Act, World

from spec_kitty_orchestrator.errors import ExitCode, HostError
from spec_kitty_orchestrator.mission.patience import LONGEST_PAUSE_SECONDS, Patience
from spec_kitty_orchestrator.report.events import LaneChanged, VerdictGiven, WpLeft, WpPutOff

NewWorld = Callable[..., World]
THIRTY = [f"WP{number:02}" for number in range(1, 31)]
CRASHED = Said(1, b"", b"Traceback (most recent call last):\nFileExistsError: .git/index.lock\n")
CHANGES = ("start-implementation", "start-review", "transition", "accept-mission")


def breaks_between(world: World, first: float, last: float, *commands: str) -> list[float]:
    """The host crashes on some commands, or all, for a while; the times of the calls that crashed."""
    ask, crashed = world.host.respond, []

    def call(argv: Sequence[str]) -> Said:
        now = trio.current_time()
        if first <= now < last and (not commands or argv[1] in commands):
            crashed.append(now)
            return CRASHED
        return ask(argv)

    world.host.respond = call
    return crashed


def claims(world: World) -> list[str]:
    asked = [argv for argv in world.host.log if argv[1] == "start-implementation"]
    return [argv[argv.index("--wp") + 1] for argv in asked]


def paper_path(world: World, lane_id: str) -> Path:
    return world.root / ".worktrees" / f"{world.fake.slug}-{lane_id}"


# The host breaks down.


@pytest.mark.parametrize("begins", range(2, 160, 3))
def test_a_lock_that_is_held_for_thirty_seconds_costs_no_more_than_time(single: World, begins: int) -> None:
    crashed = breaks_between(single, begins, begins + 30.0, *CHANGES)
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.asked("WP01", "implementation") == single.asked("WP01", "review") == ["claude-code"]
    assert len(single.said(VerdictGiven)) == 1
    assert all(event.by_us for event in single.said(LaneChanged))  # type: ignore[attr-defined]
    assert len(crashed) <= 10


@pytest.mark.parametrize("command", ["start-implementation", "transition", "start-review"])
@pytest.mark.parametrize("fault", [Fault.CRASH_AFTER, Fault.GARBLE_AFTER, Fault.HANG_AFTER])
def test_a_move_whose_replies_are_all_lost_is_found_where_it_went(
    single: World, command: str, fault: Fault
) -> None:
    """The looks that would tell are lost as well, until the host is well again."""
    single.host.faults[command] = [fault] * 3
    single.host.faults["mission-state"] = [None] + [Fault.CRASH_BEFORE] * 4
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.asked("WP01", "implementation") == single.asked("WP01", "review") == ["claude-code"]
    assert all(event.by_us for event in single.said(LaneChanged))  # type: ignore[attr-defined]


def test_thirty_work_packages_outlast_an_hour_without_a_host_while_one_is_at_work(
    new_world: NewWorld,
) -> None:
    """Nothing spins meanwhile: one of them tries for all, and the looks are the setting's."""
    world = new_world(*THIRTY)
    world.acts["WP01", "implementation"] = [Act(seconds=5000)]
    crashed = breaks_between(world, 200, 3800)
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert len(crashed) <= 3600 / world.settings.refresh_seconds + 3 * 3600 / LONGEST_PAUSE_SECONDS
    assert Counter(made.role.value for made in world.attempts) == {"implementation": 30, "review": 30}


def test_while_the_host_cannot_change_anything_one_of_thirty_tries_for_all(new_world: NewWorld) -> None:
    world = new_world(*THIRTY)
    world.acts["WP01", "implementation"] = [Act(seconds=5000)]
    crashed = breaks_between(world, 200, 3800, *CHANGES)
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert 100 < len(crashed) <= 2 * 3600 / LONGEST_PAUSE_SECONDS + 60
    assert Counter(made.role.value for made in world.attempts) == {"implementation": 30, "review": 30}


def test_a_host_that_never_comes_back_ends_the_run_after_the_patience(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02")
    breaks_between(world, 50, 1e9)
    with pytest.raises(HostError, match=r"index\.lock"):
        world.orchestrate()
    assert world.said(WpPutOff)
    assert Counter(made.role.value for made in world.attempts) == {"implementation": 2}


def test_what_was_finished_before_a_breakdown_is_handed_over_by_the_next_run(single: World) -> None:
    """Killed or given up in between: the work is not paid for again, nor is the review."""
    ask = single.host.respond
    for moment, role in ((45.0, "implementation"), (30.0, "review")):
        breaks_between(single, moment, 1e9)
        with pytest.raises(HostError):
            single.orchestrate()
        single.host.respond = ask
        assert single.asked("WP01", role) == ["claude-code"]
    assert single.lanes() == {"WP01": "in_review"}
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.asked("WP01", "implementation") == single.asked("WP01", "review") == ["claude-code"]


def test_an_attempt_that_ends_begins_the_patience_anew(new_world: NewWorld) -> None:
    """Another one is refused all the time: that says nothing of what breaks down an hour later."""
    world = new_world("WP01", "WP02")
    world.acts["WP02", "implementation"] = [Act(seconds=3000)]
    refuses_until(world, "WP01", "LANE_ALLOCATION_FAILED", lambda: False)
    breaks_between(world, 3000, 3200, "transition")
    assert world.orchestrate().exit_code is ExitCode.ATTENTION
    assert world.lanes() == {"WP01": "planned", "WP02": "done"}


def test_an_approval_that_was_not_told_counts_only_for_its_commit(single: World) -> None:
    single.host.faults["transition"] = [None] + [Fault.CRASH_BEFORE] * 1000
    assert single.orchestrate().exit_code is ExitCode.HOST
    single.host.faults.clear()
    single.fake.commit("WP01")
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert len(single.asked("WP01", "review")) == 2


def test_an_acceptance_that_breaks_down_is_asked_again(single: World) -> None:
    crashed = breaks_between(single, 100, 300, "accept-mission")
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert 3 <= len(crashed) <= 20


# The host refuses.


def refuses_until(world: World, wp_id: str, code: str, until: Callable[[], bool]) -> list[float]:
    """The host refuses the claims of one work package; when it did."""
    ask, refused_at = world.host.respond, []
    data = {**about(world.fake.missions[world.fake.slug]), "wp_id": wp_id, "reason": "uncommitted changes"}

    def call(argv: Sequence[str]) -> Said:
        if argv[1] == "start-implementation" and wp_id in argv and not until():
            refused_at.append(trio.current_time())
            refused = Refused(code, "uncommitted changes in the lane's workspace", **data)
            return reply(argv[1], refused.data, [], refused)
        return ask(argv)

    world.host.respond = call
    return refused_at


def test_a_lane_with_a_persons_half_done_work_is_asked_for_until_it_is_free(new_world: NewWorld) -> None:
    """Hours later, as long as others are at work; what depends on it goes on then."""
    world = new_world(WP01=[], WP02=["WP01"], WP03=[])
    world.acts["WP03", "implementation"] = [Act(seconds=7200)]
    refused = refuses_until(world, "WP01", "LANE_ALLOCATION_FAILED", lambda: trio.current_time() > 7000)
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert len(refused) <= 7000 / (0.75 * LONGEST_PAUSE_SECONDS) + 20
    assert max(later - sooner for sooner, later in itertools.pairwise(refused)) < LONGEST_PAUSE_SECONDS + 10
    assert len(world.said(WpPutOff)) == 1  # told once, not each time


def test_a_refusal_that_stays_ends_the_run_after_the_patience(new_world: NewWorld) -> None:
    world = new_world(WP01=[], WP02=["WP01"], WP03=[])
    refused = refuses_until(world, "WP01", "LANE_ALLOCATION_FAILED", lambda: False)
    end = world.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert world.lanes() == {"WP01": "planned", "WP02": "planned", "WP03": "done"}
    assert refused[-1] - refused[0] >= world.settings.patience_seconds
    assert len(refused) <= 30
    assert "uncommitted changes in the lane's workspace" in end.lines[1]
    assert end.lines[1].endswith("then: spec-kitty-orchestrator resume")
    assert [event.wp_id for event in world.said(WpLeft)] == ["WP01"]  # type: ignore[attr-defined]


def test_what_changes_anywhere_is_reason_to_ask_again_at_once(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02")
    world.acts["WP02", "implementation"] = [Act(seconds=1000)]
    free: list[float] = []
    refused = refuses_until(world, "WP01", "LANE_ALLOCATION_FAILED", lambda: bool(free))
    world.acts["WP02", "implementation"] = [Act(seconds=1000, then=lambda: free.append(trio.current_time()))]
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    began = next(made.started for made in world.attempts if made.wp_id == "WP01")
    assert began - free[0] < 15
    assert len(refused) < 30


def test_one_that_list_ready_names_and_the_host_refuses_does_not_spin(new_world: NewWorld) -> None:
    world = new_world(WP01=["WP09"])
    ask = world.host.respond

    def names_it(argv: Sequence[str]) -> Said:
        if argv[1] == "list-ready":
            ready = [{"wp_id": "WP01", "lane": "planned", "dependencies_satisfied": True}]
            data = {**about(world.fake.missions[world.fake.slug]), "ready_work_packages": ready}
            return reply(argv[1], data, [], None)
        return ask(argv)

    world.host.respond = names_it
    assert world.orchestrate().exit_code is ExitCode.ATTENTION
    assert len(world.host.log) < 60
    assert claims(world).count("WP01") < 20


def test_refused_ones_wait_for_a_slot_without_spinning(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02")
    world.settings = evolve(world.settings, max_concurrent_wps=1)
    world.acts["WP02", "implementation"] = [Act(seconds=1000)]
    refused = refuses_until(world, "WP01", "LANE_ALLOCATION_FAILED", lambda: trio.current_time() > 500)
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert len(refused) < 5
    assert world.host.commands().count("mission-state") < 60


# A worktree that its agent deletes.


def test_a_worktree_that_its_implementer_deletes_is_made_anew_by_the_next_claim(single: World) -> None:
    gone = paper_path(single, "lane-a")
    single.acts["WP01", "implementation"] = [Act(commit=False, then=lambda: shutil.rmtree(gone))]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.asked("WP01", "implementation") == ["claude-code"] * 2


def test_a_worktree_that_its_reviewer_deletes_is_waited_for_with_the_command_that_makes_it_anew(
    single: World,
) -> None:
    gone = paper_path(single, "lane-a")
    single.acts["WP01", "review"] = [Act(then=lambda: shutil.rmtree(gone))]
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    branch = f"kitty/mission-{single.fake.slug}-lane-a"
    assert f"then: git worktree prune; git worktree add {gone} {branch}; and run again" in end.lines[1]
    assert len(single.asked("WP01", "review")) == 1
    single.fake.workspaces.create(gone, branch, branch, ())
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert len(single.asked("WP01", "review")) == 2


# Lanes that are shared.


@pytest.mark.parametrize("is_known", [True, False])
def test_one_that_is_put_off_with_work_in_the_lane_keeps_its_lane(
    new_world: NewWorld, is_known: bool
) -> None:
    """Else the other one's claim would be merged into it, and its commits be judged with the first one's."""
    lanes = {"WP02": "lane-x", "WP03": "lane-x"}
    world = new_world(WP01=[], WP02=["WP01"], WP03=["WP01"], lanes=lanes)
    world.settings = evolve(world.settings, max_concurrent_wps=1)
    world.stand("WP01", "done")
    if is_known:
        state = world.remember()
        for wp_id in lanes:
            state.record(wp_id).branch = f"kitty/mission-{world.fake.slug}-lane-x"
        world.store.save(state)
    breaks_between(world, 60, 300, "start-review")
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    order = [(made.wp_id, made.role.value) for made in world.attempts]
    roles = ["implementation", "review"]
    assert order == [("WP02", role) for role in roles] + [("WP03", role) for role in roles]
    assert claims(world) == ["WP02", "WP03"]


def test_after_a_stop_the_one_with_work_in_the_lane_goes_first(new_world: NewWorld) -> None:
    """The other one is claimed as well, and comes first in the host's order."""
    world = new_world("WP01", "WP02", lanes={"WP01": "lane-x", "WP02": "lane-x"})
    branch = f"kitty/mission-{world.fake.slug}-lane-x"
    for wp_id in ("WP01", "WP02"):
        world.stand(wp_id, "in_progress")
    state = world.remember("WP01", "WP02")
    state.record("WP01").claiming = True
    for wp_id in ("WP01", "WP02"):
        state.record(wp_id).branch = branch
    world.store.save(state)
    world.fake.change("WP02")
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    order = [wp_id for wp_id, _ in itertools.groupby(made.wp_id for made in world.attempts)]
    assert order == ["WP02", "WP01"]


def test_half_done_work_of_another_one_is_never_taken_for_ones_own(new_world: NewWorld) -> None:
    """A lane's other work package is a person's, with files that nobody has committed."""
    world = new_world("WP01", "WP02", lanes={"WP01": "lane-x", "WP02": "lane-x"})
    for wp_id, actor in (("WP01", "the-run"), ("WP02", "somebody")):
        world.stand(wp_id, "in_progress", actor)
    state = world.remember("WP01")
    state.record("WP01").claiming = True
    world.store.save(state)
    world.fake.change("WP02")
    assert world.orchestrate().exit_code is ExitCode.ATTENTION
    assert world.attempts == []


def test_those_who_were_tied_together_by_one_that_is_gone_still_take_turns_in_their_lane(
    new_world: NewWorld,
) -> None:
    lanes = {"WP01": "lane-x", "WP02": "lane-x"}
    world = new_world(WP01=[], WP02=["WP04"], WP03=["WP01", "WP02"], WP04=[], lanes=lanes)
    take_out = Act(then=lambda: world.fake.wps.pop("WP03"))
    world.acts["WP04", "implementation"] = [take_out]
    world.acts["WP01", "implementation"] = [Act(seconds=1000)]
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    order = [wp_id for wp_id in claims(world) if wp_id in lanes]
    assert order == ["WP01", "WP02"]
    began = [made.started for made in world.attempts if made.wp_id == "WP02"]
    assert began[0] > max(made.started for made in world.attempts if made.wp_id == "WP01")


# The patience itself.


def test_pauses_double_up_to_the_longest_and_a_change_lifts_them() -> None:
    now = 0.0
    patience = Patience(lambda: now, 600.0)
    assert [patience.put_off("WP01") for _ in range(7)] == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert patience.seconds_until_due("WP01") == 60.0
    patience.lift()
    assert patience.seconds_until_due("WP01") == 0.0
    assert patience.put_off("WP01") == 2.0


def test_those_who_are_due_at_about_the_same_time_are_due_together() -> None:
    now = 0.0
    patience = Patience(lambda: now, 600.0)
    for _ in range(6):
        patience.put_off("WP01")
    now = 10.0
    assert [patience.put_off("WP02") for _ in range(6)][-1] == 50.0


def test_the_patience_counts_from_the_first_refusal_after_a_change() -> None:
    now = 0.0
    patience = Patience(lambda: now, 600.0)
    assert not patience.is_over
    now = 1e6
    patience.put_off("WP01")
    assert not patience.is_over
    now += 600.0
    assert patience.is_over
    patience.lift()
    assert not patience.is_over
