"""Limits of the system on processes and open files: nobody is blamed for them, and ours is raised."""

from __future__ import annotations

import errno
import os
import resource
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.process.stage import Stage
from tests.process.test_keeper import alter_keeper, shell

from spec_kitty_orchestrator.processes.keeper import open_keeper
from spec_kitty_orchestrator.processes.open_files import PER_AGENT
from spec_kitty_orchestrator.processes.starting import CommandNotStarted, ProgramMissing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the arena sees processes in /proc")

LIMITED = "ulimit -Sn {soft}; ulimit -Hn {hard}; exec {command}"

TELL_LIMITS = """
ulimit -Sn >> {told}
orchestrator=$(cut -d' ' -f4 /proc/$PPID/stat)
grep "Max open files" /proc/$orchestrator/limits >> {told}
exec "$@"
"""


def limited(command: list[str], soft: int, hard: int) -> tuple[str, ...]:
    return ("bash", "-c", LIMITED.format(soft=soft, hard=hard, command=shlex.join(command)))


@contextmanager
def few_files() -> Iterator[None]:
    """This process may open three more files, which is too few to start anything."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open(os.devnull) as next_one:
        resource.setrlimit(resource.RLIMIT_NOFILE, (next_one.fileno() + 3, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_without_descriptors_nothing_is_started_and_nobody_is_missing(arena: Any) -> None:
    with pytest.raises(CommandNotStarted, match="Too many open files") as caught, few_files():
        async with open_keeper(shell(arena, "true")):
            raise AssertionError
    assert not isinstance(caught.value, ProgramMissing)


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM])
async def test_a_keeper_that_gets_no_process_says_so(
    arena: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fail = f"lambda: (_ for _ in ()).throw(OSError({number}, 'no'))"
    alter_keeper(monkeypatch, f"_keeper.os.fork = {fail}")
    with pytest.raises(CommandNotStarted, match=os.strerror(number)) as caught:
        async with open_keeper(shell(arena, "true")):
            raise AssertionError
    assert not isinstance(caught.value, ProgramMissing)


def test_sixty_four_agents_work_under_a_soft_limit_of_256(arena: Any) -> None:
    launches = [arena.launch("obey") for _ in range(64)]
    driver = arena.drive(
        *launches, wrapper=("bash", "-c", 'ulimit -Sn 256; ulimit -Hn 4096; exec "$@"', "sh")
    )
    driver.await_ready()
    ours = len(os.listdir(f"/proc/{driver.pid}/fd"))
    assert ours <= 64 * PER_AGENT
    pids = {int(line.split()[0]) for line in arena.left_of(launches[-1])} - {driver.pid}
    assert len(pids) == 2  # a keeper and its agent
    for pid in pids:
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert "Max open files            256 " in limits
    os.kill(driver.pid, signal.SIGINT)
    assert driver.finish()[0] == 130


def test_a_run_raises_its_own_limit_and_its_agents_have_the_one_of_their_user(stage: Stage) -> None:
    told = stage.arena.folder / "told"
    stage.cast(before_agent=["sh", "-c", TELL_LIMITS.format(told=shlex.quote(str(told))), "sh"])
    stage.start(list(limited(stage.orchestrate_command, 300, 2000)))
    assert stage.finish() == (0, "")
    agents, ours = told.read_text().splitlines()[:2]
    assert agents == "300"
    assert ours.split()[3] == "2000"


def test_a_hard_limit_that_is_too_low_is_told_before_anything_starts(stage: Stage) -> None:
    stage.cast(max_concurrent_wps=64)
    stage.start(list(limited(stage.orchestrate_command, 256, 256)))
    returncode, stderr = stage.finish()
    assert returncode == 2
    assert "max_concurrent_wps: 64 agents at once need 640 open files, we may have 256" in stderr
    assert not stage.logs()
