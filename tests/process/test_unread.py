"""Our whole program when nobody reads what it says, or what it says cannot be shown."""

from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from tests.process.stage import PATIENCE, PAUSE, Stage, eventually

from spec_kitty_orchestrator.run.state import RunStatus


@frozen
class Unread:
    """A terminal or a pipe that is full to the brim, and that nobody reads until `read_all`."""

    reader: int
    writer: int

    @property
    def streams(self) -> dict[str, int]:
        return {"stdin": subprocess.DEVNULL, "stdout": self.writer, "stderr": self.writer}

    def fill(self) -> None:
        os.set_blocking(self.writer, False)
        with suppress(BlockingIOError):
            while os.write(self.writer, b"x" * 512):
                pass
        with suppress(BlockingIOError):
            while os.write(self.writer, b"x"):
                pass
        os.set_blocking(self.writer, True)

    def read_all(self, until: bytes) -> bytes:
        """What comes, up to these words."""
        os.set_blocking(self.reader, False)
        shown = bytearray()

        def is_shown() -> bool:
            with suppress(BlockingIOError):
                while chunk := os.read(self.reader, 65536):
                    shown.extend(chunk)
            return until in shown

        assert eventually(is_shown), bytes(shown[-1000:])
        return bytes(shown)


@pytest.fixture(params=["pipe", "xterm", "dumb"])
def unread(request: pytest.FixtureRequest, stage_environ: dict[str, str]) -> Iterator[Unread]:
    stage_environ["TERM"] = "xterm" if request.param == "xterm" else "dumb"
    full = Unread(*(os.pipe() if request.param == "pipe" else pty.openpty()))
    full.fill()
    yield full
    os.close(full.reader)
    os.close(full.writer)


@pytest.fixture
def stage_environ(enter: Callable[..., Any]) -> dict[str, str]:
    return {}


def test_twelve_work_packages_are_done_while_nobody_reads(
    large_stage: Stage, unread: Unread, stage_environ: dict[str, str]
) -> None:
    stage = large_stage.cast()
    process = stage.start(env={**stage.arena.environ, **stage_environ}, **unread.streams)
    assert process.wait(PATIENCE) == 0
    assert stage.status() is RunStatus.FINISHED
    assert set(stage.arena.lanes().values()) == {"done"}
    assert [event["event"] for event in stage.arena.events()][-1] == "RunEnded"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_a_run_whose_terminal_nobody_reads(
    stage: Stage, unread: Unread, stage_environ: dict[str, str], signum: int
) -> None:
    stage.cast(["obey", "print_for_ever", "ignore", "obey"])
    process = stage.start(env={**stage.arena.environ, **stage_environ}, **unread.streams)
    stage.await_ready(4)
    stage.signal(signum)
    assert process.wait(PATIENCE) == 128 + signum
    assert stage.left() == []
    assert stage.status() is RunStatus.INTERRUPTED
    assert stage.arena.events()[-1]["event"] == "RunEnded"


def test_ctrl_c_twice_kills_what_runs_while_nobody_reads(
    stage: Stage, unread: Unread, stage_environ: dict[str, str]
) -> None:
    stage.cast(["ignore"] * 4, grace_seconds=600)
    process = stage.start(env={**stage.arena.environ, **stage_environ}, **unread.streams)
    stage.await_ready(4)
    stage.signal(signal.SIGINT)
    assert not eventually(lambda: process.poll() is not None, seconds=PAUSE)
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:  # one too early would be the same event
        process.send_signal(signal.SIGINT)
        time.sleep(PAUSE)
    assert process.wait(PATIENCE) == 130
    assert stage.left() == []


def test_when_it_is_read_again_the_end_is_shown(
    stage: Stage, unread: Unread, stage_environ: dict[str, str]
) -> None:
    stage.cast(["obey"] * 4)
    process = stage.start(env={**stage.arena.environ, **stage_environ}, **unread.streams)
    stage.await_ready(4)
    unread.read_all(b"")
    stage.signal(signal.SIGTERM)
    shown = unread.read_all(b"go on with: spec-kitty-orchestrator resume")
    assert b"SIGTERM: stopping" in shown
    assert process.wait(PATIENCE) == 143


def test_an_error_that_nobody_reads_does_not_keep_the_program(
    stage: Stage, unread: Unread, stage_environ: dict[str, str]
) -> None:
    for args, code in ((["orchestrate", "--mission", "no such"], 2), (["orchestrate"], 2), (["abort"], 2)):
        process = stage.start(stage.cast().command(*args), **unread.streams)
        assert process.wait(PATIENCE) == code


DEAF_ENDS = {
    "stderr is full": "{abort} 2>/dev/full",
    "both are full": "{abort} >/dev/full 2>&1",
    "nobody reads": "{abort} 2>&1 | true; exit ${{PIPESTATUS[0]}}",
    "stdout is closed": "{abort} >&-",
    "everything is closed": "{abort} <&- >&- 2>&-",
}


@pytest.mark.parametrize("script", DEAF_ENDS.values(), ids=DEAF_ENDS)
def test_abort_stops_the_run_whatever_becomes_of_its_own_words(stage: Stage, script: str) -> None:
    stage.cast(["ignore"] * 4, max_concurrent_wps=1)
    stage.start()
    stage.await_ready(1)
    abort = script.format(abort=shlex.join(stage.command("abort")))
    done = subprocess.run(["bash", "-c", abort], cwd=stage.arena.root, env=stage.arena.environ, check=False)
    assert stage.left() == []
    assert [done.returncode, stage.status()] == [0, RunStatus.ABORTED]
    assert stage.finish()[0] == 143


def test_abort_stops_the_run_while_nobody_reads_its_terminal(stage: Stage, unread: Unread) -> None:
    stage.cast(["ignore"] * 4, max_concurrent_wps=1)
    run = stage.start()
    stage.await_ready(1)
    done = subprocess.run(
        stage.command("abort"), cwd=stage.arena.root, env=stage.arena.environ, check=False, **unread.streams
    )
    assert [done.returncode, stage.status()] == [0, RunStatus.ABORTED]
    assert run.wait(PATIENCE) == 143


@pytest.mark.parametrize(
    "environ",
    [{"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}],
    ids=str,
)
def test_every_line_is_shown_whatever_characters_the_output_has(
    stage: Stage, environ: dict[str, str]
) -> None:
    stage.cast()
    process = stage.start(env={**stage.arena.environ, "PYTHONCOERCECLOCALE": "0", **environ})
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert [process.returncode, stderr] == [0, ""]
    lines = stdout.splitlines()
    assert len(lines) == sum(1 + each.get("summary", "").count("\n") for each in stage.arena.events())
    assert any("WP01 \\u2192 done" in line for line in lines)


HANGING_IMPORT = """
import os, signal, time
os.kill(os.getpid(), signal.{name})
time.sleep(60)
"""


@pytest.mark.parametrize("module", ["click", "trio", "cattrs"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_while_the_program_is_loaded_ends_it_in_silence(
    stage: Stage, tmp_path: Path, module: str, name: str
) -> None:
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / f"{module}.py").write_text(HANGING_IMPORT.format(name=name))
    environ = {**stage.arena.environ, "PYTHONPATH": str(tmp_path / "early")}
    stage.cast().start(env=environ)
    returncode, stderr = stage.finish()
    assert [returncode, stderr.strip()] == [128 + signal.Signals[name], ""]


HUNG = """
from pathlib import Path
from spec_kitty_orchestrator.__main__ import run
from spec_kitty_orchestrator.report import events, stream
from spec_kitty_orchestrator.run import session

def emit(self, event):
    while isinstance(event, events.AttemptEnded):
        Path("hangs").touch()

session.hard_exit_seconds = lambda *_: 5.0
stream.EventStream.emit = emit
run()
"""


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_still_hangs_after_the_last_bound_leaves_and_its_agents_end(
    stage: Stage, signum: int
) -> None:
    """It hangs in its own thread, where no other clock of ours can reach it."""
    stage.cast(["obey", "ignore", "grandchild", "ignore"], grace_seconds=7)
    args = stage.orchestrate_command[3:]
    stage.start([sys.executable, "-c", HUNG, *args])
    stage.await_ready(4)
    stage.signal(signum)
    returncode, stderr = stage.finish()
    assert (stage.arena.root / "hangs").exists()
    assert returncode == 128 + signum
    assert "leaving it to the keepers" in stderr
    assert eventually(lambda: not stage.left())
