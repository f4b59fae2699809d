"""What a run cannot get past for one work package: it is left with the reason, and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from conformance.fake_host import Said
from conformance.fake_rules import Refused
from tests.sim.world import World

from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.processes.agent_process import LogNotWritten

NewWorld = Callable[..., World]


def refuse(world: World, command: str, wp_id: str, code: str) -> None:
    """Has the host refuse a command for one work package."""
    ask, refused = world.fake.call, Refused(code, "the lanes' record is not there")

    def call(argv: Sequence[str]) -> Said:
        if argv[1] == command and wp_id in argv:
            return world.fake.reply(command, refused.data, [], refused)
        return ask(argv)

    world.fake.call = call  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("command", "lane"),
    [
        ("resolve-workspace", "in_progress"),
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
    world.remember(WP01=command != "start-implementation")
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


def test_a_prompt_that_cannot_be_written_leaves_the_work_package_in_the_same_way(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02")
    in_the_way = world.log_dir() / "WP01-implementation-1.prompt.md"
    in_the_way.mkdir(parents=True)
    end = world.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert world.lanes() == {"WP01": "in_progress", "WP02": "done"}
    assert f"cannot write {in_the_way}: Is a directory" in end.lines[1]
