"""Signals that were meant for a whole group, and signals that whoever started us had blocked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.process.stage import PATIENCE, Stage, said

from spec_kitty_orchestrator.run.state import RunStatus

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sees processes in /proc")

HARD_OF_HEARING = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD])
for each in (signal.SIGCHLD, signal.SIGTERM):
    signal.signal(each, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""
ONE_COMMAND = """
import os, trio
from pathlib import Path
from spec_kitty_orchestrator.processes.keeper import Command, open_keeper

async def main():
    command = Command(("grep", "-E", "SigBlk|SigIgn", "/proc/self/status"), Path("/"), os.environ)
    async with open_keeper(command) as keeper:
        print((await keeper.stdout.receive_some()).decode())
        print((await keeper.wait()).ended_by.name)

trio.run(main)
"""


def signal_all(stage: Stage, signum: int) -> None:
    """As systemd does: every process of the run, in the order of their ages."""
    for line in [str(stage.pid), *sorted(stage.left(), key=lambda line: int(line.split()[0]))]:
        with suppress(ProcessLookupError):
            os.kill(int(line.split()[0]), signum)


def test_a_change_in_flight_survives_what_is_sent_to_all(stage: Stage) -> None:
    stage.start_held()
    assert stage.orchestrator is not None
    signal_all(stage, signal.SIGTERM)
    assert said(stage.orchestrator.stderr, "SIGTERM: stopping")
    stage.release()
    assert stage.finish()[0] == 143
    assert stage.left() == []
    assert not stage.is_interrupted()
    assert stage.arena.lanes()["WP01"] == "in_progress"
    assert stage.state().record("WP01").holds_claim


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_agents_and_keepers_that_got_it_too_end_in_order(stage: Stage, signum: int, status: int) -> None:
    stage.cast(["obey", "ignore", "nameless_grandchild", "server"])
    stage.start()
    stage.await_ready(4)
    signal_all(stage, signum)
    assert stage.finish()[0] == status
    assert stage.left() == []
    assert stage.status() is RunStatus.INTERRUPTED


def test_signals_that_were_blocked_before_us_stop_it_all_the_same(stage: Stage) -> None:
    stage.cast(["ignore"] * 4, max_concurrent_wps=1)
    stage.start([sys.executable, "-c", HARD_OF_HEARING, *stage.orchestrate_command])
    stage.await_ready(1)
    status = Path(f"/proc/{stage.pid}/status").read_text()
    stage.signal(signal.SIGTERM)
    assert stage.finish()[0] == 143
    assert stage.left() == []
    (ignored,) = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigIgn")]
    assert not ignored >> (signal.SIGCHLD - 1) & 1  # else a pid is given out again before we know of its end


def test_with_signals_blocked_before_us_every_command_ends(stage: Stage) -> None:
    stage.cast()
    stage.start([sys.executable, "-c", HARD_OF_HEARING, *stage.orchestrate_command])
    assert stage.finish() == (0, "")


def test_a_command_finds_no_signal_blocked_or_ignored(tmp_path: Any) -> None:
    argv = [sys.executable, "-c", HARD_OF_HEARING, sys.executable, "-c", ONE_COMMAND]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=True)
    words = done.stdout.split()
    assert [words[0], int(words[1], 16), words[2], int(words[3], 16)] == ["SigBlk:", 0, "SigIgn:", 0]
    assert words[4] == "EXITED"
