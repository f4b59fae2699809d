"""Agents behind walls: what the host is told of them, and that a wall that fails is no fault of theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from spec_kitty_orchestrator.agents.spec import Wall
from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.processes.ending import EndedBy, Ending
from spec_kitty_orchestrator.settings.values import SandboxSettings

from .world import World


@pytest.fixture
def behind(single: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world with bwrap on the machine, around everybody."""
    (tmp_path / "bwrap").write_text("#!/bin/sh\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    single.settings = evolve(single.settings, sandbox=SandboxSettings(Wall.BWRAP))
    return single


def unwrapped(world: World, seen: list[tuple[str, ...]], fails: int = 0) -> None:
    """Has agents play what stands behind the wall; the first so many times the wall cannot be put up."""
    start = world.start

    async def through(command: Any, log_file: Path, limits: Any, sink: Any, on_start: Any) -> Ending:
        seen.append(command.argv)
        if len(seen) <= fails:
            sink.feed_stderr(b"bwrap: setting up uid map: Permission denied\n")
            return Ending(1, None, EndedBy.EXITED, (), 0.1)
        inner = command.argv[command.argv.index("--default-signal=TERM,INT,HUP") + 1 :]
        return await start(evolve(command, argv=inner), log_file, limits, sink, on_start)

    world.start = through  # type: ignore[method-assign]


def test_every_attempt_is_behind_the_wall_and_the_host_is_told_so(behind: World) -> None:
    seen: list[tuple[str, ...]] = []
    unwrapped(behind, seen)
    assert behind.orchestrate().exit_code is ExitCode.ACCEPTED
    assert ["--unshare-user" in argv and "bwrap" in argv[4] for argv in seen] == [True, True]
    told = [json.loads(argv[argv.index("--policy") + 1]) for argv in behind.host.log if "--policy" in argv]
    modes = {each["sandbox_mode"] for each in told}
    assert modes == {"workspace_write", "read_only"}
    assert "in a sandbox" in behind.attempts[-1].prompt
    assert "in a sandbox" not in behind.attempts[0].prompt


def test_a_wall_that_cannot_be_put_up_spends_nothing_and_is_tried_again(behind: World) -> None:
    seen: list[tuple[str, ...]] = []
    unwrapped(behind, seen, fails=2)
    assert behind.orchestrate().exit_code is ExitCode.ACCEPTED
    record = behind.remember().work_packages["WP01"]
    assert [attempt.outcome for attempt in record.attempts[:2]] == ["interrupted"] * 2
    assert "its sandbox could not be put up: bwrap: setting up uid map" in record.attempts[0].message
    assert not record.tallies
