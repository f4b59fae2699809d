"""Our whole program in odd surroundings: in the background, without a terminal, without anybody who reads."""

from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
import sys
from typing import Any

import pytest
from tests.process.stage import PATIENCE, Stage, eventually

from spec_kitty_orchestrator.run.state import RunStatus

TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def in_shell(stage: Stage, script: str, **options: Any) -> subprocess.Popen[str]:
    """Runs a script in which `$RUN` is our command line; one agent that ignores signals is at work then."""
    stage.cast(["ignore"] * 4, max_concurrent_wps=1)
    run = shlex.join(stage.orchestrate_command)
    process = stage.start(["sh", "-c", script.replace("$RUN", run)], **options)
    stage.await_ready(1)
    return process


def read_terminal(master: int) -> bytes:
    """A piece of what it shows; nothing at the end, when nobody holds it any more."""
    try:
        return os.read(master, 65536)
    except OSError:
        return b""


def stopped(stage: Stage) -> str:
    """Its stderr, after checks that it was stopped in order."""
    stderr = stage.finish()[1]
    assert stage.left() == []
    assert stage.status() is RunStatus.INTERRUPTED
    assert "Traceback" not in stderr
    return stderr


def test_in_the_background_of_a_shell_ctrl_c_still_stops_it(stage: Stage) -> None:
    """A shell without job control starts what is behind `&` with SIGINT ignored."""
    process = in_shell(stage, "$RUN & wait $!")
    stage.signal(signal.SIGINT)
    assert "Ctrl-C: stopping" in stopped(stage)
    assert process.returncode == 130


def test_under_nohup_a_hangup_changes_nothing_and_sigterm_stops_it(stage: Stage) -> None:
    process = in_shell(stage, "exec nohup $RUN")
    stage.signal(signal.SIGHUP)
    stage.signal(signal.SIGTERM)
    stderr = stopped(stage)
    assert "SIGTERM: stopping" in stderr
    assert "SIGHUP" not in stderr
    assert process.returncode == 143


READERS_GONE = {
    "the reader of a pipeline": "($RUN; echo status $? >&2) | head -1",
    "stdout": "$RUN >&-; echo status $? >&2",
    "every stream": "exec 3>&2; $RUN <&- >&- 2>&-; echo status $? >&3",
}


@pytest.mark.parametrize("script", READERS_GONE.values(), ids=READERS_GONE)
def test_without_readers_it_runs_and_stops_as_ever(stage: Stage, script: str) -> None:
    in_shell(stage, script)
    stage.signal(signal.SIGTERM)
    stderr = stopped(stage)
    assert "status 143" in stderr


@pytest.mark.parametrize("script", READERS_GONE.values(), ids=READERS_GONE)
def test_without_readers_it_runs_to_accepted(stage: Stage, script: str) -> None:
    stage.cast()
    stage.start(["sh", "-c", script.replace("$RUN", shlex.join(stage.orchestrate_command))])
    assert "status 0" in stage.finish()[1]
    assert stage.status() is RunStatus.FINISHED


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_when_its_terminal_is_closed_it_stops(stage: Stage, term: str) -> None:
    master, terminal = pty.openpty()
    argv = [sys.executable, "-c", TAKE_TERMINAL, *stage.orchestrate_command]
    stage.cast(["ignore"] * 4, max_concurrent_wps=1)
    environ = {**stage.arena.environ, "TERM": term}
    process = stage.start(argv, stdin=terminal, stdout=terminal, stderr=terminal, env=environ)
    os.close(terminal)
    stage.await_ready(1)
    os.close(master)
    assert process.wait(PATIENCE) == 129
    assert stage.left() == []
    assert stage.status() is RunStatus.INTERRUPTED


def test_ctrl_c_at_its_terminal_stops_it_and_leaves_a_line_that_says_how_to_go_on(stage: Stage) -> None:
    master, terminal = pty.openpty()
    argv = [sys.executable, "-c", TAKE_TERMINAL, *stage.orchestrate_command]
    stage.cast(["ignore"] * 4, max_concurrent_wps=1)
    process = stage.start(argv, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    stage.await_ready(1)
    os.write(master, b"\x03")
    assert process.wait(PATIENCE) == 130
    shown = b"".join(iter(lambda: read_terminal(master), b"")).decode()
    os.close(master)
    assert "Ctrl-C: stopping; agents have 0.5 s to end" in shown
    assert "go on with: spec-kitty-orchestrator resume" in shown
    assert eventually(lambda: not stage.left())


def test_ctrl_c_at_its_terminal_does_not_interrupt_what_the_host_is_changing(stage: Stage) -> None:
    """The terminal signals the whole foreground group; the host and its keeper must not be in it."""
    master, terminal = pty.openpty()
    argv = [sys.executable, "-c", TAKE_TERMINAL, *stage.orchestrate_command]
    stage.start_held(argv, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    os.write(master, b"\x03")
    shown = b""
    while b"Ctrl-C: stopping" not in shown:
        shown += os.read(master, 65536)
    assert not eventually(stage.is_interrupted, seconds=1)
    stage.release()
    assert stage.finish()[0] == 130
    os.close(master)
    assert stage.left() == []
    assert stage.arena.lanes()["WP01"] == "in_progress"
    assert stage.state().record("WP01").holds_claim


@pytest.mark.parametrize(
    "command", [["--help"], ["status"], ["agents"], ["orchestrate", "--mission", "nope"]]
)
def test_no_command_minds_closed_streams(stage: Stage, command: list[str]) -> None:
    stage.cast()
    argv = shlex.join(stage.command(*command))
    process = stage.start(["sh", "-c", f"exec 3>&2; {argv} <&- >&- 2>&-; echo status $? >&3"])
    assert process.wait(PATIENCE) in (0, 2)
    expected = 2 if "nope" in command else 0
    assert f"status {expected}" in stage.finish()[1]
