"""Whole missions in simulated time: what is started when, what it costs, and how a run ends."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence

import pytest
import trio
from attrs import evolve
from conformance.fake.command_line import Said
from conformance.fake.in_process import Fault
from tests.sim.conftest import DIAMOND
from tests.sim.world import A_DAY, Act, World, reject

from spec_kitty_orchestrator.errors import ExitCode, HostError
from spec_kitty_orchestrator.report.events import LaneChanged, WpLeft

NewWorld = Callable[..., World]


def without_times(line: str) -> str:
    return re.sub(r"since \d{4}-\d\d-\d\d \d\d:\d\d", "since TIME", line)


CALLS_PER_WP = 4  # start-implementation, for_review, start-review, done
CALLS_OF_A_RUN = 2  # mission-state, accept-mission; contract-version was asked before it is opened


@pytest.mark.parametrize(
    "planned",
    [
        DIAMOND,
        {f"WP{n:02}": [] for n in range(1, 17)},
        {f"WP{n:02}": ["WP01"] * (n > 1) for n in range(1, 17)},
    ],
    ids=["diamond", "16 apart", "16 behind one"],
)
def test_a_mission_takes_four_calls_for_each_work_package_and_three(
    planned: dict[str, list[str]], new_world: NewWorld
) -> None:
    world = new_world(**planned)
    world.settings = evolve(world.settings, refresh_seconds=A_DAY)  # no look at what people do meanwhile
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert set(world.lanes().values()) == {"done"}
    assert len(world.host.log) == CALLS_PER_WP * len(planned) + CALLS_OF_A_RUN


def test_what_is_independent_goes_side_by_side_up_to_the_limit(new_world: NewWorld) -> None:
    world = new_world(*(f"WP{n:02}" for n in range(1, 11)))
    assert (world.orchestrate()).exit_code is ExitCode.ACCEPTED
    assert world.most_at_work == 4


def test_a_chain_starts_each_link_at_once_without_asking_the_host_again(new_world: NewWorld) -> None:
    world = new_world(WP01=[], WP02=["WP01"], WP03=["WP02"])
    for wp_id in ("WP01", "WP02", "WP03"):
        world.acts[wp_id, "implementation"] = [Act(seconds=1)]
        world.acts[wp_id, "review"] = [Act(seconds=1)]
    assert (world.orchestrate()).exit_code is ExitCode.ACCEPTED
    steps = ["start-implementation", "transition", "start-review", "transition"]
    wanted = ["mission-state", *steps * 3, "accept-mission"]
    looks = [i for i, name in enumerate(world.host.commands()) if name == "mission-state"][1:]
    assert [name for i, name in enumerate(world.host.commands()) if i not in looks] == wanted


def test_the_next_host_call_follows_an_agents_end_at_once(single: World) -> None:
    single.acts["WP01", "implementation"] = [Act(seconds=7.0)]
    began: list[float] = []
    ask = single.host.respond

    def note(argv: Sequence[str]) -> Said:
        began.append(trio.current_time() - single.host.seconds)
        return ask(argv)

    single.host.respond = note
    single.orchestrate()
    ended = single.attempts[0].started + 7.0
    assert ended in began


def test_people_are_noticed_while_agents_work(diamond: World) -> None:
    def cancel_it() -> None:
        diamond.fake.wps["WP03"]["lane"] = "canceled"

    diamond.acts["WP02", "implementation"] = [Act(seconds=10, then=cancel_it)]
    diamond.acts["WP03", "implementation"] = [Act(seconds=100_000)]
    end = diamond.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert diamond.stopped == 1
    assert LaneChanged("WP03", "canceled", by_us=False) in diamond.events
    assert "moved to canceled by someone else while we worked on it" in end.lines[1]
    assert "  WP04 planned: waits for WP03 (canceled)" in end.lines


def test_our_own_approval_is_not_somebody_elses_when_its_reply_is_lost(single: World) -> None:
    """The looks that come while we wait for the reply show where the work package stands by then."""
    single.host.faults["transition"] = [None, Fault.HANG_AFTER]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert [event.lane for event in single.said(LaneChanged) if not event.by_us] == []  # type: ignore[attr-defined]
    assert single.said(WpLeft) == []


def test_our_own_blocking_is_not_somebody_elses_when_its_reply_is_lost(single: World) -> None:
    single.acts["WP01", "review"] = [reject("one"), reject("two"), reject("three")]
    single.host.faults["transition"] = [None] * 5 + [Fault.HANG_AFTER]
    end = single.orchestrate()
    assert without_times(end.lines[1]).startswith(
        "  WP01 blocked since TIME: sent back 3 times, most lately: three;"
    )


def test_what_people_approve_meanwhile_lets_its_dependents_start(new_world: NewWorld) -> None:
    world = new_world(WP01=[], WP02=["WP01"], WP03=[])
    world.stand("WP01", "blocked")

    def approve() -> None:
        world.fake.wps["WP01"]["lane"] = "done"

    world.acts["WP03", "implementation"] = [Act(seconds=50, then=approve)]
    world.acts["WP03", "review"] = [Act(seconds=500)]
    assert (world.orchestrate()).exit_code is ExitCode.ACCEPTED
    started = {made.wp_id: made.started for made in reversed(world.attempts)}
    assert started["WP02"] < 50 + 2 * world.settings.refresh_seconds + 10


def test_the_host_is_looked_at_no_more_often_than_the_setting_says(single: World) -> None:
    single.acts["WP01", "implementation"] = [Act(seconds=3000)]
    single.orchestrate()
    looks = single.host.commands().count("mission-state") - 1
    assert 80 <= looks <= 3100 / single.settings.refresh_seconds


def test_one_that_fails_never_stops_its_siblings(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02", "WP03")
    world.acts["WP02", "implementation"] = [Act(returncode=1)] * 9

    def break_it() -> None:
        raise ZeroDivisionError("a bug of ours")

    world.acts["WP03", "implementation"] = [Act(then=break_it)]
    end = world.orchestrate()
    assert world.lanes() == {"WP01": "done", "WP02": "blocked", "WP03": "in_progress"}
    assert end.exit_code is ExitCode.INTERNAL
    (trace,) = world.log_dir().glob("WP03-internal-error.txt")
    assert "ZeroDivisionError" in trace.read_text()


def test_a_stalled_run_names_what_each_waits_for(new_world: NewWorld) -> None:
    world = new_world(WP01=[], WP02=["WP01"], WP03=["WP02"], WP04=[])
    world.acts["WP01", "review"] = [reject("no")] * 3
    end = world.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert tuple(map(without_times, end.lines)) == (
        f"mission {world.fake.slug} is not finished:",
        "  WP01 blocked since TIME: sent back 3 times, most lately: no; "
        "try it again with: spec-kitty-orchestrator retry WP01 --feedback 'WHAT TO DO'",
        "  WP02 planned: waits for WP01 (blocked)",
        "  WP03 planned: waits for WP02 (planned)",
    )
    assert "accept-mission" not in world.host.commands()


def test_why_a_work_package_was_left_is_told_at_once_and_remembered(single: World) -> None:
    single.stand("WP01", "in_review", "someone")
    single.orchestrate()
    assert single.said(WpLeft) == [WpLeft("WP01", "somebody else reviews it")]
    single.fake.wps["WP01"]["lane"] = "blocked"
    end = single.orchestrate()
    assert "  WP01 blocked: blocked by somebody else;" in end.lines[1]


def test_nothing_is_left_of_a_mission_that_is_accepted(diamond: World) -> None:
    diamond.orchestrate()
    assert diamond.said(WpLeft) == []


def test_a_mission_that_is_all_done_is_only_accepted(diamond: World) -> None:
    for wp in diamond.fake.wps.values():
        wp["lane"] = "done"
    assert (diamond.orchestrate()).exit_code is ExitCode.ACCEPTED
    assert not diamond.attempts
    assert diamond.host.commands() == ["mission-state", "accept-mission"]


def test_approved_is_enough_when_the_setting_says_so(diamond: World) -> None:
    from spec_kitty_orchestrator.host.contract.lanes import Lane

    diamond.settings = evolve(diamond.settings, approval_lane=Lane.APPROVED)
    assert (diamond.orchestrate()).exit_code is ExitCode.ACCEPTED
    assert set(diamond.lanes().values()) == {"approved"}


def test_an_acceptance_that_the_host_refuses_is_told(single: World) -> None:
    """Somebody takes the work package back between our last look and the acceptance."""
    ask = single.host.respond

    def take_back(argv: Sequence[str]) -> Said:
        if argv[1] == "accept-mission":
            single.fake.wps["WP01"]["lane"] = "in_progress"
        return ask(argv)

    single.host.respond = take_back
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert "was not accepted" in end.lines[0]
    assert "WP01" in end.lines[0]


LOST = list(Fault)


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("command", ["start-implementation", "transition", "start-review", "accept-mission"])
def test_one_lost_reply_changes_nothing_but_the_time(single: World, command: str, fault: Fault) -> None:
    single.host.faults[command] = [fault]
    assert (single.orchestrate()).exit_code is ExitCode.ACCEPTED
    assert single.asked("WP01", "implementation") == single.asked("WP01", "review") == ["claude-code"]


def test_a_host_that_stays_broken_for_one_work_package_is_told_with_its_own_exit_code(
    new_world: NewWorld,
) -> None:
    world = new_world("WP01", "WP02")
    world.host.faults["start-review"] = [None] + [Fault.CRASH_BEFORE] * 1000
    end = world.orchestrate()
    assert end.exit_code is ExitCode.HOST
    assert sorted(world.lanes().values()) == ["done", "for_review"]
    assert "scripted crash" in "".join(end.lines)


def test_a_host_that_cannot_say_how_the_mission_stands_ends_the_run(single: World) -> None:
    single.host.faults["mission-state"] = [None] + [Fault.CRASH_BEFORE] * 1000
    single.stand("WP01", "blocked")
    with pytest.raises(HostError, match="scripted crash"):
        single.orchestrate()


def test_a_look_that_fails_while_agents_work_is_only_a_notice(single: World) -> None:
    single.host.faults["mission-state"] = [None, Fault.CRASH_BEFORE]
    single.acts["WP01", "implementation"] = [Act(seconds=100)]
    assert (single.orchestrate()).exit_code is ExitCode.ACCEPTED


def test_a_dependency_that_the_host_has_taken_back_is_waited_for(new_world: NewWorld) -> None:
    """The host refuses a claim that its own list-ready had named; nothing is lost, and nothing spins."""
    world = new_world(WP01=[], WP02=["WP01"], WP03=[])
    world.stand("WP01", "approved")
    ask = world.host.respond

    def take_back(argv: Sequence[str]) -> Said:
        if argv[1] == "start-implementation" and "WP02" in argv and world.fake.lane("WP01") == "approved":
            world.fake.wps["WP01"]["lane"] = "blocked"
        return ask(argv)

    def approve_again() -> None:
        world.host.respond = ask
        world.fake.wps["WP01"]["lane"] = "approved"

    world.host.respond = take_back
    world.acts["WP03", "implementation"] = [Act(seconds=200, then=approve_again)]
    world.acts["WP03", "review"] = [Act(seconds=500)]  # nothing of ours is accepted meanwhile
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert world.host.commands().count("start-implementation") <= 12
    started = {made.wp_id: made.started for made in reversed(world.attempts)}
    assert started["WP02"] < 200 + 2 * world.settings.refresh_seconds + 10


def test_a_dependency_that_was_added_meanwhile_is_waited_for_and_then_enough(new_world: NewWorld) -> None:
    """Nobody had told us of it before the host refused the claim; its acceptance is reason to ask again."""
    world = new_world("WP01", "WP02")
    world.fake.wps["WP02"]["dependencies"] = ["WP01"]
    ask = world.host.respond

    def unaware(argv: Sequence[str]) -> Said:
        world.fake.wps["WP02"]["dependencies"] = (
            [] if argv[1] in ("mission-state", "list-ready") else ["WP01"]
        )
        return ask(argv)

    world.host.respond = unaware
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    claims = [argv[argv.index("--wp") + 1] for argv in world.host.log if argv[1] == "start-implementation"]
    assert claims.count("WP01") == 1
    assert 2 <= claims.count("WP02") <= 12


def test_a_dependency_that_the_mission_does_not_hold_is_never_satisfied(new_world: NewWorld) -> None:
    world = new_world(WP01=[], WP02=["WP09"])
    end = world.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert end.lines[1:] == ("  WP02 planned: waits for WP09 (unknown)",)
    assert world.host.commands().count("start-implementation") == 1


def test_the_first_claim_of_a_run_goes_alone(new_world: NewWorld) -> None:
    """The host makes the mission's branch with it, where a second claim at the same time can collide."""
    world = new_world("WP01", "WP02", "WP03")
    ended: list[float] = []
    ask = world.host.respond

    def note(argv: Sequence[str]) -> Said:
        if argv[1] == "start-implementation":
            ended.append(trio.current_time())
        return ask(argv)

    world.host.respond = note
    world.orchestrate()
    first, *others = ended
    assert others == [first + world.host.seconds] * 2


# Lanes that are shared.


def test_work_packages_of_one_lane_are_never_at_work_at_once(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02", lanes={"WP02": "lane-a"})
    world.acts["WP01", "review"] = [reject("mend it")]
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert world.most_at_work == 1
    turns = [wp_id for wp_id, _ in itertools.groupby(made.wp_id for made in world.attempts)]
    assert sorted(turns) == ["WP01", "WP02"]


def test_one_that_waits_for_its_lane_leaves_its_slot_to_the_one_at_work_there(new_world: NewWorld) -> None:
    """One slot, and the reviewer of the first rests: the second is let in meanwhile, and must not keep it."""
    world = new_world("WP01", "WP02", "WP03", lanes={"WP02": "lane-a"}).with_agents(review=("codex",))
    world.settings = evolve(world.settings, max_concurrent_wps=1)
    world.agent_acts["codex"] = [Act(seconds=1, fails="http429")]
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert world.most_at_work == 1
    claims = [argv[argv.index("--wp") + 1] for argv in world.host.log if argv[1] == "start-implementation"]
    assert claims[:2] == ["WP01", "WP02"]


def test_one_that_waited_for_its_lane_waits_for_a_slot_as_well(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02", "WP03", "WP04", lanes={"WP02": "lane-a"})
    world.settings = evolve(world.settings, max_concurrent_wps=2)
    world.acts["WP03", "implementation"] = world.acts["WP04", "implementation"] = [Act(seconds=500)]
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert world.most_at_work == 2
