"""What a run cannot get past for one work package: it is left with the reason, and the rest goes on."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from conformance.fake.checks import about
from conformance.fake.command_line import Said, reply
from conformance.fake.in_process import Fault
from conformance.fake.rules import Refused
from tests.sim.world import ACTOR, World
from trio.testing import MockClock

from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.mission import checks
from spec_kitty_orchestrator.mission.outcome import Ended
from spec_kitty_orchestrator.processes.attempt_log import LogNotWritten
from spec_kitty_orchestrator.processes.starting import CommandNotStarted
from spec_kitty_orchestrator.report.run_events import AgentDropped

NewWorld = Callable[..., World]


DATA: dict[str, dict[str, Any]] = {
    "WP_ALREADY_CLAIMED": {"claimed_by": "somebody", "requesting_actor": ACTOR},
    "DEPENDENCIES_NOT_SATISFIED": {"wp_id": "WP01", "unsatisfied_dependencies": ["WP00"]},
    "LANE_ALLOCATION_FAILED": {"wp_id": "WP01", "reason": "uncommitted changes"},
}
"""What the contract adds to the message of a refusal."""


def refuse(world: World, command: str, wp_id: str, code: str) -> None:
    """Has the host refuse a command for one work package."""
    ask = world.host.respond
    data = {**about(world.fake.missions[world.fake.slug]), **DATA.get(code, {})}
    refused = Refused(code, "the lanes' record is not there", **data)

    def call(argv: Sequence[str]) -> Said:
        if argv[1] == command and wp_id in argv:
            return reply(command, refused.data, [], refused)
        return ask(argv)

    world.host.respond = call


@pytest.mark.parametrize(
    ("command", "lane"),
    [
        ("resolve-workspace", "for_review"),
        ("start-implementation", "in_progress"),
        ("start-review", "for_review"),
        ("transition", "in_progress"),
    ],
)
def test_what_the_host_refuses_for_one_work_package_leaves_it_and_breaks_nothing(
    new_world: NewWorld, command: str, lane: str
) -> None:
    world = new_world("WP01", "WP02")
    world.stand("WP01", lane)
    world.remember("WP01")
    refuse(world, command, "WP01", "STATUS_READ_PATH_NOT_FOUND")
    end = world.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert world.lanes() == {"WP01": lane, "WP02": "done"}
    assert f"WP01 {lane}" in end.lines[1]
    assert "the lanes' record is not there" in end.lines[1]


def test_a_log_that_cannot_be_written_leaves_the_work_package_and_is_no_internal_error(
    new_world: NewWorld,
) -> None:
    world = new_world("WP01", "WP02")
    start = world.start

    async def on_a_full_disk(command, log_file, *rest):  # type: ignore[no-untyped-def]
        if "WP01" in log_file.name:
            raise LogNotWritten(f"cannot write the log {log_file}: No space left on device")
        return await start(command, log_file, *rest)

    world.start = on_a_full_disk  # type: ignore[method-assign]
    end = world.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert world.lanes() == {"WP01": "in_progress", "WP02": "done"}
    assert "No space left on device" in end.lines[1]
    assert "internal error" not in "".join(end.lines)


def test_what_the_machine_cannot_start_leaves_the_work_package_and_blames_no_agent(
    new_world: NewWorld,
) -> None:
    world = new_world("WP01", "WP02")
    start = world.start

    async def without_processes(command, log_file, *rest):  # type: ignore[no-untyped-def]
        if "WP01" in log_file.name:
            raise CommandNotStarted("cannot start it: Resource temporarily unavailable")
        return await start(command, log_file, *rest)

    world.start = without_processes  # type: ignore[method-assign]
    end = world.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert world.lanes() == {"WP01": "in_progress", "WP02": "done"}
    assert "Resource temporarily unavailable" in end.lines[1]
    assert world.said(AgentDropped) == []
    record = world.remember().work_packages["WP01"]
    assert not record.tallies
    assert (record.attempts[0].outcome, record.attempts[0].message) == (
        "interrupted",
        "cannot start it: Resource temporarily unavailable",
    )


def test_a_prompt_that_cannot_be_written_leaves_the_work_package_in_the_same_way(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02")
    for number in range(1, 100):
        (world.log_dir() / f"WP01-implementation-{number}.prompt.md").mkdir(parents=True)
    end = world.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert world.lanes() == {"WP01": "in_progress", "WP02": "done"}
    assert f"cannot write {world.log_dir()}/WP01-implementation-" in end.lines[1]
    assert ".prompt.md: Is a directory" in end.lines[1]


def test_a_folder_for_logs_that_cannot_be_made_leaves_the_work_packages(new_world: NewWorld) -> None:
    world = new_world("WP01")
    world.log_dir().parent.mkdir(parents=True)
    world.log_dir().write_text("in the way")
    end = world.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert f"cannot make {world.log_dir()}: File exists" in end.lines[1]


def test_a_check_that_the_machine_cannot_start_costs_no_attempt(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02")
    world.settings = evolve(world.settings, checks=(("pytest",),))
    start = world.start

    async def without_processes(command, log_file, *rest):  # type: ignore[no-untyped-def]
        if "WP01-check" in log_file.name:
            raise CommandNotStarted("cannot start it: Too many open files")
        return await start(command, log_file, *rest)

    world.start = without_processes  # type: ignore[method-assign]
    end = world.orchestrate()
    assert world.lanes() == {"WP01": "in_progress", "WP02": "done"}
    assert "Too many open files" in end.lines[1]
    assert world.asked("WP01", "review") == []
    assert not world.remember().work_packages["WP01"].tallies


def test_a_disk_that_is_full_is_no_internal_error(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch
) -> None:

    world = new_world("WP01", "WP02")
    world.settings = evolve(world.settings, checks=(("pytest",),))

    def new_log(_run: object, stem: str) -> Path:
        if "WP01" in stem:
            raise OSError(errno.ENOSPC, "No space left on device")
        return make(_run, stem)  # type: ignore[arg-type]

    make = checks.new_log
    monkeypatch.setattr(checks, "new_log", new_log)
    end = world.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert world.lanes() == {"WP01": "in_progress", "WP02": "done"}
    assert "No space left on device" in end.lines[1]


async def outcomes_of(world: World) -> dict[str, Ended]:
    mission = await world.open_mission()
    await mission.orchestrate()
    return {wp_id: outcome.ended for wp_id, outcome in mission.outcomes.items()}


HOW_IT_ENDS = {
    "another actor has claimed it": ("start-implementation", "WP_ALREADY_CLAIMED", Ended.TAKEN),
    "another actor reviews it": ("start-review", "WP_ALREADY_CLAIMED", Ended.TAKEN),
    "a dependency is open after all": (
        "start-implementation",
        "DEPENDENCIES_NOT_SATISFIED",
        Ended.REFUSED_FOR_NOW,
    ),
    "the lane is busy": ("start-implementation", "LANE_ALLOCATION_FAILED", Ended.REFUSED_FOR_NOW),
    "a move out of review is refused": ("transition", "TRANSITION_REJECTED", Ended.REFUSED_FOR_NOW),
}


@pytest.mark.parametrize(("command", "code", "ended"), HOW_IT_ENDS.values(), ids=HOW_IT_ENDS)
async def test_a_refusal_ends_a_try_by_what_it_says(
    new_world: NewWorld, autojump_clock: MockClock, command: str, code: str, ended: Ended
) -> None:
    world = new_world("WP01")
    if command == "transition":
        world.stand("WP01", "for_review")
    refuse(world, command, "WP01", code)
    assert await outcomes_of(world) == {"WP01": ended}


async def test_a_host_that_breaks_down_ends_a_try_as_broken(
    new_world: NewWorld, autojump_clock: MockClock
) -> None:
    world = new_world("WP01")
    world.host.faults["start-implementation"] = [Fault.CRASH_BEFORE] * 1000
    assert await outcomes_of(world) == {"WP01": Ended.BROKEN}


async def test_a_workspace_that_is_none_ends_a_try_as_refused_for_now(
    new_world: NewWorld, autojump_clock: MockClock
) -> None:
    world = new_world("WP01")
    world.stand("WP01", "in_progress")
    world.remember("WP01")
    (world.root / ".worktrees" / f"{world.fake.slug}-lane-a" / ".git").unlink()
    assert await outcomes_of(world) == {"WP01": Ended.REFUSED_FOR_NOW}
