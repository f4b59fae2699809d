"""`abort` on our whole program: a live run, a dead one, none, and one whose pid is somebody else's by now."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any

from attrs import evolve
from tests.process.stage import Stage, eventually

from spec_kitty_orchestrator.run.state import RunStatus


def a_dead_run(stage: Stage) -> None:
    """A run that was killed, with one agent at work."""
    stage.cast(["obey"] * 4, max_concurrent_wps=1)
    stage.start()
    stage.await_ready(1)
    stage.signal(signal.SIGKILL)
    stage.finish()


def test_a_live_run_is_waited_for_with_progress(stage: Stage) -> None:
    stage.cast(["ignore"] * 4, max_concurrent_wps=1, grace_seconds=5)
    stage.start()
    stage.await_ready(1)
    done = stage.run("abort")
    assert stage.left() == []
    assert [done.returncode, stage.status()] == [0, RunStatus.ABORTED]
    assert "waiting, 1 s" in done.stderr
    assert stage.finish()[0] == 143


def test_a_dead_run_is_recorded(stage: Stage) -> None:
    a_dead_run(stage)
    assert eventually(lambda: not stage.left())
    done = stage.run("abort")
    assert [done.returncode, done.stderr, stage.status()] == [0, "", RunStatus.ABORTED]
    assert "aborted" in stage.run("status").stdout


def test_a_keeper_that_could_not_end_itself_is_ended(stage: Stage) -> None:
    stage.cast(["nameless_grandchild"] * 4, max_concurrent_wps=1)
    stage.start()
    stage.await_ready(1)
    (keeper,) = stage.keepers(1)
    os.kill(keeper, signal.SIGSTOP)
    stage.signal(signal.SIGKILL)
    stage.finish()
    done = stage.run("abort")
    assert stage.left() == []
    assert f"ended what was left: {keeper} " in done.stderr
    assert [done.returncode, stage.status()] == [0, RunStatus.ABORTED]


def test_a_change_that_a_killed_run_left_in_flight_is_ended_too(stage: Stage) -> None:
    stage.start_held(stage.patient_command)
    stage.signal(signal.SIGKILL)
    stage.finish()
    done = stage.run("abort")
    assert stage.left() == []
    assert stage.is_interrupted()
    assert "ended what was left: " in done.stderr
    assert [done.returncode, stage.status()] == [0, RunStatus.ABORTED]


def test_a_process_that_got_the_pid_of_a_dead_run_is_not_touched(stage: Stage) -> None:
    a_dead_run(stage)
    state = stage.state()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        state.process = evolve(state.process, pid=stranger.pid)
        stage.store().save(state)
        done = stage.run("abort")
        assert stranger.poll() is None
        stranger.kill()
    assert [done.returncode, stage.status()] == [0, RunStatus.ABORTED]


def test_without_a_run_there_is_nothing_to_abort(stage: Stage) -> None:
    done = stage.run("abort")
    assert done.returncode == 2
    assert "no run to abort" in done.stderr


def test_a_run_that_has_finished_stays_finished(stage: Stage) -> None:
    assert stage.cast().run(*stage.orchestrate_command[3:]).returncode == 0
    done = stage.run("abort")
    assert [done.returncode, stage.status()] == [0, RunStatus.FINISHED]
    assert "has finished" in done.stdout


def test_cleaning_up_deletes_the_state_file_and_leaves_the_worktrees(stage: Stage) -> None:
    a_dead_run(stage)
    before = worktrees(stage)
    done = stage.run("abort", "--cleanup-worktrees")
    assert done.returncode == 0
    assert stage.store().load() is None
    assert worktrees(stage) == before != []


def worktrees(stage: Any) -> list[str]:
    return sorted(path.name for path in (stage.arena.root / ".worktrees").iterdir())
