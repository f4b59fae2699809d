"""What nobody can end is told, whatever started it and however that was stopped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .stage import Stage, eventually
from .test_orphans import lame_stage, without_the_right  # noqa: F401 - a fixture

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sees processes in /proc")

AGENTS = str(Path(__file__).with_name("agents.py"))


def told_by_abort(stage: Stage) -> subprocess.CompletedProcess[str]:
    """What `abort` says that may not end it either."""
    return subprocess.run(
        without_the_right(stage.command("abort")),
        cwd=stage.arena.root, env=stage.arena.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip


def assert_told(stage: Stage, returncode: int) -> None:
    """The run's last word, its events and `abort` name it; then root ends it."""
    reason, left = stage.state().reason, [line.split()[0] for line in stage.left()]
    by_abort, events = told_by_abort(stage), next(stage.arena.root.glob(".kittify/logs/*/events.jsonl"))
    by_root = stage.run("abort")
    assert by_root.returncode == 0
    assert eventually(lambda: not stage.left())
    assert left
    assert returncode != 0
    assert all(f"{pid} python" in reason for pid in left)
    assert "could NOT be ended" in events.read_text() or '"ProcessesLeft"' in events.read_text()
    assert by_abort.returncode == 1
    assert all(f"WARNING: could NOT be ended: {pid} " in by_abort.stderr for pid in left)


def test_of_an_agent_that_is_stopped_with_the_run(lame_stage: Stage) -> None:  # noqa: F811
    stage = lame_stage
    stage.cast(["another_user"] * 4, max_concurrent_wps=1)
    stage.start(without_the_right(stage.orchestrate_command))
    stage.await_ready(1)
    assert stage.orchestrator is not None
    stage.orchestrator.terminate()
    assert_told(stage, stage.finish()[0])


def test_of_a_check(lame_stage: Stage) -> None:  # noqa: F811
    stage = lame_stage
    stage.cast(checks=[[sys.executable, "-S", AGENTS, "another_user", "exit"]], max_concurrent_wps=1)
    stage.start(without_the_right(stage.orchestrate_command))
    assert_told(stage, stage.finish()[0])


def test_of_the_host(lame_stage: Stage) -> None:  # noqa: F811
    """It holds the host's output open, too: the answer is taken all the same."""
    stage = lame_stage
    stage.cast(max_concurrent_wps=1)
    leave = f'"{sys.executable}" -S "{AGENTS}" another_user exit >&2'
    stage.host(f'case "$2" in accept-mission) {leave};; esac')
    stage.start(without_the_right(stage.orchestrate_command))
    assert_told(stage, stage.finish()[0])
