"""What a host that is slow or hangs, and the run around it, do to each other when the run is stopped."""

from __future__ import annotations

import signal
import time

import pytest
from tests.process.stage import PATIENCE, PAUSE, Stage, eventually, press_until_said, said

from spec_kitty_orchestrator.processes.bounds import ROLLBACK_SECONDS
from spec_kitty_orchestrator.run.state import RunStatus

HANG = """
case "$2" in {command})
    {before}
    : > hangs
    while :; do sleep 1; done
esac
"""
IS_OVERTAKEN = """
if [ "$2" = mission-state ] && [ -e held/pid ] && kill -0 "$(cat held/pid)" 2>/dev/null; then
    : > overtaken
fi
"""
ONLY_WP02 = '[ "$6" = WP02 ] || real "$@"; '
DEAF = "trap '' INT TERM"


def hanging(stage: Stage, command: str, before: str = "") -> Stage:
    """A run in which the host has begun to hang at a command."""
    stage.host(HANG.format(command=command, before=before))
    stage.start()
    flag = stage.arena.root / "hangs"
    stage.until(flag.exists)
    flag.unlink()
    return stage


def ctrl_c(stage: Stage) -> str:
    """The first one, as soon as it is told."""
    assert stage.orchestrator is not None
    stage.signal(signal.SIGINT)
    return said(stage.orchestrator.stderr, "Ctrl-C: stopping")


def ctrl_c_again(stage: Stage) -> str:
    assert stage.orchestrator is not None
    return press_until_said(
        lambda: stage.signal(signal.SIGINT), stage.orchestrator.stderr, "Killing everything"
    )


@pytest.mark.parametrize("command", ["contract-version", "mission-state"])
def test_a_read_that_hangs_is_cancelled_at_once(stage: Stage, command: str) -> None:
    hanging(stage.cast(), command, DEAF)
    assert stage.orchestrator is not None
    stage.orchestrator.send_signal(signal.SIGINT)
    returncode, stderr = stage.finish()
    assert stage.left() == []
    assert [returncode, len(stderr.splitlines())] == [130, 1]


def test_a_change_that_hangs_is_given_its_deadline_and_then_stopped(stage: Stage) -> None:
    """The agent beside it is ended meanwhile."""
    stage.cast(["ignore"] * 4, host={"timeout_seconds": 15})  # time enough to get an agent to work meanwhile
    hanging(stage, "start-implementation", ONLY_WP02 + "trap ': > interrupted; exit 1' INT")
    stage.await_ready(1)
    stage.signal(signal.SIGTERM)
    returncode, stderr = stage.finish()
    assert stage.left() == []
    assert (stage.arena.root / "interrupted").exists()
    assert set(stage.attempts()) == {"interrupted"}
    assert [returncode, len(stderr.splitlines())] == [143, 1]
    assert stage.status() is RunStatus.INTERRUPTED


def test_a_second_ctrl_c_has_a_change_roll_back_at_once(stage: Stage) -> None:
    stage.start_held()
    stderr = ctrl_c(stage)
    assert not eventually(stage.is_interrupted, seconds=PAUSE)
    stderr += ctrl_c_again(stage)
    returncode, rest = stage.finish()
    assert stage.is_interrupted()
    assert stage.left() == []
    assert [returncode, len((stderr + rest).splitlines())] == [130, 2]
    assert stage.status() is RunStatus.INTERRUPTED


def test_a_change_that_does_not_roll_back_is_killed_after_a_while(stage: Stage) -> None:
    stage.cast(host={"timeout_seconds": 10 * PATIENCE})
    hanging(stage, "start-implementation", DEAF)
    ctrl_c(stage)
    second = time.monotonic()
    ctrl_c_again(stage)
    assert stage.finish()[0] == 130
    assert time.monotonic() - second > ROLLBACK_SECONDS
    assert stage.left() == []


def test_abort_after_ctrl_c_lets_a_change_come_to_its_end(stage: Stage) -> None:
    stage.start_held()
    ctrl_c(stage)
    abort = stage.arena.start("abort")
    assert "stopping run" in said(abort.stderr, "waiting, 1 s")  # its own signal was sent long before
    assert not stage.is_interrupted()
    stage.release()
    done = stage.arena.finish(abort)
    assert [done.returncode, stage.finish()[0]] == [0, 130]
    assert "it stopped by itself" in done.stderr
    assert not stage.is_interrupted()
    assert stage.arena.lanes()["WP01"] == "in_progress"
    assert stage.status() is RunStatus.ABORTED


def test_a_killed_orchestrator_leaves_no_host_that_hangs_in_a_read(stage: Stage) -> None:
    hanging(stage.cast(), "mission-state", DEAF)
    assert stage.orchestrator is not None
    stage.orchestrator.kill()  # nothing is recorded yet that would tell its pid
    assert stage.finish()[0] == -signal.SIGKILL
    assert eventually(lambda: not stage.left())


def test_a_killed_orchestrator_lets_a_change_come_to_its_end(stage: Stage) -> None:
    stage.start_held(stage.patient_command)
    stage.signal(signal.SIGKILL)
    assert stage.finish()[0] == -signal.SIGKILL
    assert not eventually(stage.is_interrupted, seconds=1)
    stage.release()
    assert eventually(lambda: not stage.left())
    assert stage.arena.lanes()["WP01"] == "in_progress"


def test_what_a_killed_run_has_in_flight_is_over_before_the_next_one_asks_how_things_stand(
    stage: Stage,
) -> None:
    """Else it could land after the answer, and the run would go on from what is no longer true."""
    stage.start_held(script=IS_OVERTAKEN)
    stage.signal(signal.SIGKILL)
    assert stage.finish()[0] == -signal.SIGKILL
    done = stage.run("resume")
    assert not (stage.arena.root / "overtaken").exists()
    assert stage.is_interrupted()
    assert done.returncode == 0, done.text
    assert set(stage.arena.lanes().values()) == {"done"}
