"""However the orchestrating process itself ends, its agents end too; with all kinds of agents at once."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from spec_kitty_orchestrator.processes import orphans
from spec_kitty_orchestrator.processes.bounds import orderly_stop_seconds
from spec_kitty_orchestrator.processes.ending import Swept
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.processes.orphans import RUN_MARKER, find_survivors, sweep_run
from spec_kitty_orchestrator.run import stopping
from spec_kitty_orchestrator.run.stopping import stop_live_run

from .kinds import STAYING
from .stage import PATIENCE, press_until_said, said

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sees processes in /proc")

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(flush=True)
time.sleep(600)
"""
NAMELESS_CHILD = """
trap '' TERM
setsid env -i "$0" -S -c "import time; time.sleep(600)" "$1" &
wait
"""
STAGE_1, STAGE_2 = "stopping; agents have", "Killing everything"


def drive(arena: Any, *modes: str, **options: Any) -> Any:
    driver = arena.drive(*map(arena.launch, modes), **options)
    driver.await_ready()
    return driver


@pytest.mark.parametrize(("signum", "status"), SIGNALS.items())
def test_the_first_signal_stops_all_agents(arena: Any, signum: int, status: int) -> None:
    driver = drive(arena, *STAYING)
    os.kill(driver.pid, signum)
    returncode, _, stderr = driver.finish()
    assert arena.left() == []
    assert returncode == status
    assert STAGE_1 in stderr
    assert len(stderr.splitlines()) == 1


@pytest.mark.parametrize("first", SIGNALS)
def test_ctrl_c_after_any_signal_kills_at_once(arena: Any, first: int) -> None:
    driver = drive(arena, *STAYING, grace=3600)
    os.kill(driver.pid, first)
    stderr = said(driver.process.stderr, STAGE_1)
    stderr += press_until_said(lambda: os.kill(driver.pid, signal.SIGINT), driver.process.stderr, STAGE_2)
    returncode, _, rest = driver.finish()
    assert arena.left() == []
    assert returncode == SIGNALS[signal.Signals(first)]
    assert len((stderr + rest).splitlines()) == 2


def test_signals_at_one_moment_are_one_event(arena: Any) -> None:
    """A closing terminal sends SIGHUP twice; wrappers pass on a Ctrl-C that the terminal has sent already."""
    driver = drive(arena, "ignore", grace=1.0)
    os.kill(driver.pid, signal.SIGSTOP)  # so that it hears them together, however slow we are
    os.waitid(os.P_PID, driver.pid, os.WSTOPPED)
    for signum in (signal.SIGINT, signal.SIGINT, signal.SIGHUP, signal.SIGCONT):
        os.kill(driver.pid, signum)
    returncode, _, stderr = driver.finish()
    assert returncode in (129, 130)
    assert STAGE_2 not in stderr


def test_a_killed_orchestrator_leaves_nothing(arena: Any, eventually: Any) -> None:
    arena.is_init = True
    driver = drive(arena, *STAYING)
    os.kill(driver.pid, signal.SIGKILL)
    assert driver.finish()[0] == -signal.SIGKILL
    assert eventually(lambda: not arena.left())


def test_an_internal_error_leaves_nothing(arena: Any) -> None:
    driver = drive(arena, *STAYING, fails=True)
    assert driver.process.stdin is not None
    driver.process.stdin.write("now\n")
    driver.process.stdin.flush()
    returncode, _, stderr = driver.finish()
    assert arena.left() == []
    assert returncode == 1
    assert "injected" in stderr


def test_killed_keepers_leave_nothing(arena: Any) -> None:
    driver = drive(arena, *STAYING)
    for keeper in driver.keepers:
        os.kill(keeper, signal.SIGKILL)
    returncode, stdout, stderr = driver.finish()
    assert arena.left() == []
    assert (returncode, stderr) == (0, "")
    endings = json.loads(stdout)
    assert set(endings) <= {"KEEPER_LOST", "COMPLETED"}


def test_in_the_background_of_a_shell_it_can_be_stopped(arena: Any) -> None:
    """A shell without job control starts what is behind `&` with SIGINT ignored."""
    driver = drive(arena, "ignore", wrapper=("sh", "-c", '"$@" & wait $!', "sh"))
    os.kill(driver.pid, signal.SIGINT)
    returncode, _, stderr = driver.finish()
    assert arena.left() == []
    assert returncode == 130
    assert STAGE_1 in stderr


def test_under_nohup_a_hangup_changes_nothing_and_sigterm_stops(arena: Any) -> None:
    driver = drive(arena, "obey", wrapper=("nohup",))
    os.kill(driver.pid, signal.SIGHUP)
    os.kill(driver.pid, signal.SIGTERM)
    returncode, _, stderr = driver.finish()
    assert arena.left() == []
    assert returncode == 143
    assert "SIGHUP" not in stderr


def test_with_its_output_closed_it_stops_all_the_same(arena: Any) -> None:
    driver = drive(arena, "ignore")
    driver.process.stdout.close()
    driver.process.stderr.close()
    os.kill(driver.pid, signal.SIGTERM)
    assert driver.await_exit() == 143
    assert arena.left() == []


def test_when_its_terminal_is_closed_it_stops(arena: Any, eventually: Any) -> None:
    master, terminal = pty.openpty()
    wrapper = (sys.executable, "-c", TAKE_TERMINAL)
    driver = arena.drive(
        *map(arena.launch, STAYING), wrapper=wrapper, streams=(terminal, subprocess.PIPE, terminal)
    )
    os.close(terminal)
    driver.await_ready()
    os.close(master)
    assert driver.await_exit() == 129
    assert arena.left() == []


async def test_abort_stops_a_live_run_and_waits_for_it(arena: Any) -> None:
    driver = drive(arena, "ignore", "grandchild")
    told: list[float] = []
    assert await stop_live_run(ProcessIdentity.of(driver.pid), grace=PATIENCE, progress=told.append)
    assert arena.left() == []
    assert driver.finish()[0] == 143


async def test_abort_stops_a_suspended_run(arena: Any) -> None:
    driver = drive(arena, "obey")
    os.kill(driver.pid, signal.SIGSTOP)
    assert await stop_live_run(ProcessIdentity.of(driver.pid), grace=PATIENCE)
    assert arena.left() == []
    assert driver.finish()[0] == 143


async def test_abort_forces_a_run_that_does_not_hear(
    arena: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "orderly_stop_seconds", lambda grace: grace + 0.2)
    arena.is_init = True
    launch = arena.launch("nameless_grandchild")
    driver = arena.drive(launch, deaf=True)
    driver.await_ready()
    assert not await stop_live_run(ProcessIdentity.of(driver.pid), grace=0.1)
    assert driver.finish()[0] == -signal.SIGKILL
    await sweep_run(launch.command.env[RUN_MARKER], grace=2.0)
    assert eventually(lambda: not arena.left())


def test_abort_waits_for_the_longest_that_an_orderly_stop_can_take() -> None:
    told: list[float] = []

    async def stop(pid: int) -> bool:
        return await stop_live_run(ProcessIdentity.of(pid), grace=10.0, progress=told.append)

    with subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE) as deaf:
        assert deaf.stdout is not None
        deaf.stdout.readline()
        assert not trio.run(stop, deaf.pid, clock=MockClock(autojump_threshold=0))
    assert deaf.returncode == -signal.SIGKILL
    longest = orderly_stop_seconds(10.0)
    assert longest - 2.0 < max(seconds for seconds in told if seconds <= longest)


async def test_abort_says_how_long_it_has_waited(arena: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "PROGRESS_SECONDS", 0.05)
    driver = drive(arena, "ignore", grace=3.0)
    told: list[float] = []
    await stop_live_run(ProcessIdentity.of(driver.pid), grace=PATIENCE, progress=told.append)
    assert told == sorted(told)
    assert told
    assert driver.finish()[0] == 143


async def test_what_is_left_of_a_dead_run_is_found_by_its_mark_and_ended(arena: Any) -> None:
    """Orchestrator and keeper killed at one moment: nobody is left who could end the grandchild."""
    arena.is_init = True
    launch = arena.launch("grandchild")
    driver = arena.drive(launch)
    driver.await_ready()
    os.kill(driver.pid, signal.SIGSTOP)
    os.kill(driver.keepers[0], signal.SIGKILL)
    os.kill(driver.pid, signal.SIGKILL)
    driver.finish()
    run_id = launch.command.env[RUN_MARKER]
    assert find_survivors(run_id)
    assert (await sweep_run(run_id, grace=0.2)).ended
    assert find_survivors(run_id) == []
    assert await sweep_run(run_id, grace=0.2) == Swept()


def test_a_child_with_a_cleared_environment_is_ended_with_its_marked_parent(
    arena: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "KEEPER_OF_THE_DEAD_SECONDS", 0.0)
    arena.is_init = True
    command = ["sh", "-c", NAMELESS_CHILD, sys.executable, arena.mark]
    with subprocess.Popen(command, env={**os.environ, RUN_MARKER: arena.mark}):
        assert eventually(lambda: (len(arena.left()), len(find_survivors(arena.mark))) == (2, 1))
        swept = trio.run(sweep_run, arena.mark, 0.2)
        assert arena.left() == []
    assert (len(swept.ended), swept.left) == (2, ())


def test_another_users_run_is_refused_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, signum: int) -> None:
        raise PermissionError

    monkeypatch.setattr(stopping.os, "kill", refuse)
    with pytest.raises(stopping.UsageError, match="belongs to another user"):
        trio.run(stop_live_run, ProcessIdentity.of(os.getpid()), 1.0)
