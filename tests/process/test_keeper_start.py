"""The start of a keeper: all of it or nothing, within a bound, and nothing in `ps` that tells its program."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.process.stage import PATIENCE, Stage

from spec_kitty_orchestrator.errors import OrchestratorError
from spec_kitty_orchestrator.processes import keeper as module
from spec_kitty_orchestrator.processes import launch
from spec_kitty_orchestrator.processes.ending import EndedBy
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.processes.keeper import Command, open_keeper
from spec_kitty_orchestrator.processes.orphans import RUN_MARKER

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the arena sees processes in /proc")

CALLS, AT_ONCE, BUSY_PER_CORE = 100, 16, 6


def marked(arena: Any, *argv: str, **more: Any) -> Command:
    return Command(argv, arena.folder, {**os.environ, RUN_MARKER: arena.mark}, **more)


def failing(function: Callable[..., Any], call: int) -> Callable[..., Any]:
    """The function, which finds no descriptor left at its nth call."""
    calls = iter(range(1, 1000))

    def instead(*args: Any, **options: Any) -> Any:
        if next(calls) == call:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return function(*args, **options)

    return instead


FAILURES = {
    "the first pipe": (module, "pipe", 1),
    "the second pipe": (module, "pipe", 2),
    "the process": (trio.lowlevel, "open_process", 1),
    "its identity": (ProcessIdentity, "of", 1),
    "its reports": (trio.lowlevel, "FdStream", 3),  # its output takes two
}


@pytest.mark.parametrize("step", FAILURES)
async def test_a_start_that_fails_leaves_nothing(
    arena: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """No descriptor, no child, no pid in the books: the arena looks for all of them."""
    owner, name, call = FAILURES[step]
    monkeypatch.setattr(owner, name, failing(getattr(owner, name), call))
    with pytest.raises(OrchestratorError, match=r"cannot start|open files"):
        async with open_keeper(marked(arena, "touch", "ran")):
            pass
    assert not (arena.folder / "ran").exists()


async def test_a_start_that_is_cancelled_leaves_nothing(arena: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the middle of a command that is larger than a pipe, to a keeper that does not read it."""
    stop(monkeypatch, "os.kill(os.getpid(), 19)")
    monkeypatch.setattr(module, "KEEPER_SECONDS", 60.0)
    with trio.fail_after(PATIENCE), trio.move_on_after(0.3):
        async with open_keeper(marked(arena, "sh", "-c", "touch ran", *(["x" * 100_000] * 5), grace=60.0)):
            pass
    assert not (arena.folder / "ran").exists()


async def test_a_command_larger_than_a_pipe_arrives_as_it_is(arena: Any) -> None:
    args = ["x" * 100_000, "", "a\nb", "\udce4", "end"]
    script = 'printf %s "$4" | od -An -tx1; printf "%s %s [%s]" $# ${#1} "$2$3"'
    async with open_keeper(marked(arena, "sh", "-c", script, "sh", *args)) as keeper:
        said = b""
        while chunk := bytes(await keeper.stdout.receive_some()):
            said += chunk
    assert said == b" e4\n5 100000 [a\nb]"


async def test_no_argument_can_be_two(arena: Any) -> None:
    with pytest.raises(ValueError, match="null byte"):
        async with open_keeper(marked(arena, "echo", "a\0b")):
            pass


def stop(monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
    """Has every keeper run a statement before it begins."""
    altered = launch.START_KEEPER.replace("main(*", f"from processes import _keeper; {statement}; main(*")
    assert altered != launch.START_KEEPER
    monkeypatch.setattr(launch, "START_KEEPER", altered)


HANGS = {
    "at once": "os.kill(os.getpid(), 19)",
    "with its command at work": "_keeper.KeeperProcess.report = lambda *_, **__: os.kill(os.getpid(), 19)",
}
START_SECONDS = {"at once": 1.0, "with its command at work": 10.0}
"""For what is to happen before; a keeper that is stopped at once needs none."""


@pytest.mark.parametrize("when", HANGS)
async def test_a_keeper_that_hangs_before_it_reports_is_lost_and_what_it_started_ended(
    arena: Any, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    stop(monkeypatch, HANGS[when])
    monkeypatch.setattr(module, "START_SECONDS", START_SECONDS[when])
    with trio.fail_after(PATIENCE):
        async with open_keeper(marked(arena, "sh", "-c", "trap '' TERM; setsid sleep 60; :")) as keeper:
            assert arena.left() == []
            ending = await keeper.wait()
    assert (ending.ended_by, ending.returncode, ending.left) == (EndedBy.KEEPER_LOST, None, ())
    assert bool(ending.swept) is (when != "at once")


@pytest.fixture
def busy_machine() -> Iterator[None]:
    """Every core has much to do."""
    spin = [sys.executable, "-S", "-c", "import time; end = time.time() + 60\nwhile time.time() < end: pass"]
    with ExitStack() as stack:
        for _ in range(BUSY_PER_CORE * (os.cpu_count() or 1)):
            process = stack.enter_context(subprocess.Popen(spin))
            stack.callback(process.kill)
        yield


@pytest.mark.usefixtures("busy_machine")
async def test_on_a_busy_machine_every_short_command_ends_as_it_ended(arena: Any) -> None:
    limit, endings = trio.CapacityLimiter(AT_ONCE), []

    async def call() -> None:
        async with limit, open_keeper(marked(arena, "true")) as keeper:
            endings.append(await keeper.wait())

    async with trio.open_nursery() as nursery:
        for _ in range(CALLS):
            nursery.start_soon(call)
    assert {(e.returncode, e.ended_by, e.swept, e.left) for e in endings} == {(0, EndedBy.EXITED, (), ())}
    assert len(endings) == CALLS


def test_a_keeper_cannot_be_taken_for_this_program_by_its_command_line(stage: Stage) -> None:
    """Of agents at work, and of a host call: `pkill -f` with our name or place must not match them."""
    stage.cast(["obey"] * 4, max_concurrent_wps=2)
    orchestrator = stage.start()
    stage.await_ready(2)
    agents = [command_line(keeper) for keeper in stage.keepers(2)]
    stage.signal(signal.SIGTERM)
    assert stage.finish()[0] == 143
    (stage.arena.root / ".kittify" / "orchestrator-run-state.json").unlink()
    stage.start_held()
    assert stage.orchestrator is not orchestrator
    host = parent(int((stage.arena.root / "held" / "pid").read_text()))
    keepers = [*agents, command_line(host)]
    stage.release()
    stage.signal(signal.SIGTERM)
    stage.finish()
    assert len(keepers) == 3
    for words in keepers:
        assert "_keeper import main" in words
        for name in ("spec-kitty", "spec_kitty", "kittify", sys.prefix, str(stage.arena.root)):
            assert name not in words


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
