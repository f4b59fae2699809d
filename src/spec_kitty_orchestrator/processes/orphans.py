"""Finds and ends processes that have lost their keeper: by the mark in their environment, never by name."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

import psutil
import trio
import trio.lowlevel

from ._killing import (
    MOST_NAMES,
    become_subreaper,
    children_of,
    descendants,
    is_living,
    kill_all,
    read_stat,
)
from .bounds import KEEPER_OF_THE_DEAD_SECONDS, SWEEP_SECONDS
from .ending import Swept

T = TypeVar("T")
ZOMBIE = psutil.STATUS_ZOMBIE

RUN_MARKER = "SPEC_KITTY_ORCHESTRATOR_RUN"
"""The environment variable that holds the run id, in every process that a run has started."""
KEEPER_MARKER = "SPEC_KITTY_ORCHESTRATOR_KEEPER"
"""The environment variable that is different under each keeper."""
LOOK_AGAIN_SECONDS = 0.05
NAME_LENGTH = 15
"""What the kernel keeps of a process's name; psutil puts the rest to it."""
RUSH_SECONDS = 0.05
"""How long everything else may have to stand still for it."""


class Children:
    """Which children of this process are its own: a stranger among them is an orphan of a lost keeper.

    Only `keeper.py` changes `keepers`. Whoever starts a child holds `starting` until its pid stands there,
    and whoever looks for strangers holds it too.

    Attributes:
        keepers: the keepers' marks, by pid.
        inherited: children that we had before we were ourselves: a shell's jobs before it `exec`ed us.
        left: orphans that could not be ended, by pid, with the mark of the keeper that they are told under.
    """

    def __init__(self) -> None:
        self.adopting = False
        self.starting = trio.Lock()
        self.keepers: dict[int, str] = {}
        self.inherited: frozenset[int] = frozenset()
        self.left: dict[int, str] = {}

    def strangers(self, mark: str) -> list[int]:
        """Our children that we did not start: each left our session below a keeper that is gone.

        Not those who belong to another lost keeper, as far as that can be told: by what is known to be left
        of it, or by their environment.
        """
        children = [pid for pid in children_of(os.getpid()) if pid not in self.keepers]
        for pid in [pid for pid in self.left if pid not in children or not is_living(pid)]:
            if pid in children:
                _reap(pid)
            del self.left[pid]
        others = {b"=".join((KEEPER_MARKER.encode(), each.encode())) for each in self.keepers.values()}
        others.discard(f"{KEEPER_MARKER}={mark}".encode())
        return [
            pid
            for pid in children
            if self.left.get(pid, mark) == mark
            and _left_our_session(pid, self.inherited)
            and not (others and others & _environment(pid))
        ]


CHILDREN = Children()


def adopt_orphans() -> None:
    """Have what a killed keeper leaves behind fall to this process (Linux only). Call it once, early."""
    CHILDREN.inherited = frozenset(children_of(os.getpid())) - CHILDREN.keepers.keys()
    CHILDREN.adopting = become_subreaper()


def find_marked(mark: str, value: str) -> list[psutil.Process]:
    """Every living process, except this one, whose environment holds `mark=value`."""
    return [p for p in psutil.process_iter() if p.pid != os.getpid() and _carries(p, mark, value)]


def find_survivors(run_id: str) -> list[psutil.Process]:
    """What is still running of a run: keepers, agents, and whatever they started."""
    return find_marked(RUN_MARKER, run_id)


def marked_by_runs() -> dict[str, list[str]]:
    """What was started by any run that can be seen from here and still runs, by run id, as "pid name"."""
    found: dict[str, list[str]] = {}
    for process in psutil.process_iter():
        run_id = _ask(lambda process=process: process.environ().get(RUN_MARKER), None)  # type: ignore[misc]
        if run_id and process.pid != os.getpid() and _ask(process.status, ZOMBIE) != ZOMBIE:
            found.setdefault(run_id, []).append(f"{process.pid} {_ask(process.name, '?')}")
    return found


def still_running(names: Iterable[str]) -> tuple[str, ...]:
    """Those among "pid name" that still run under that name."""

    def runs(each: str) -> bool:
        pid, _, name = each.partition(" ")
        process = _ask(lambda: psutil.Process(int(pid)), None)
        if process is None or _ask(process.status, ZOMBIE) == ZOMBIE:
            return False
        return _ask(process.name, "")[:NAME_LENGTH] == name[:NAME_LENGTH]

    return tuple(each for each in names if runs(each))


async def sweep_run(run_id: str, grace: float) -> Swept:
    """End whatever is left of a run that is dead: ask, wait for `grace` and what a keeper needs, kill."""
    return await end_all(lambda: find_survivors(run_id), grace + KEEPER_OF_THE_DEAD_SECONDS)


async def end_orphans(keeper_mark: str, left: Iterable[str] = ()) -> Swept:
    """Kill what a lost keeper left behind; `left` is what it could not end itself, as far as it has told.

    It has fallen to us, if we adopt, and else is known by its mark.
    """
    if not CHILDREN.adopting:
        return await end_all(lambda: find_marked(KEEPER_MARKER, keeper_mark), 0)
    CHILDREN.left.update((int(name.split()[0]), keeper_mark) for name in left)
    swept: dict[int, str] = {}
    until = time.monotonic() + SWEEP_SECONDS  # not a bound for each of those that wait for their turn
    async with CHILDREN.starting:
        rush_until = time.monotonic() + RUSH_SECONDS
        for pause in kill_all(_find_strangers(keeper_mark, []), swept, until):
            if pause or time.monotonic() > rush_until:
                await trio.sleep(pause)
                rush_until = time.monotonic() + RUSH_SECONDS
        strangers = CHILDREN.strangers(keeper_mark)
        living = islice(filter(is_living, (*strangers, *descendants(strangers))), MOST_NAMES)
        remaining = {pid: f"{pid} {read_stat(pid)[0]}" for pid in living}
    CHILDREN.left.update(dict.fromkeys(remaining, keeper_mark))
    ended = tuple(name for pid, name in swept.items() if name and pid not in remaining)
    return Swept(ended, tuple(remaining.values()))


def _find_strangers(mark: str, found: list[int]) -> Callable[[bool], Iterable[int] | None]:
    """Finds strangers, and reaps what it found before; what that left behind is a stranger in turn."""

    def find(deep: bool) -> Iterable[int] | None:
        if not deep:
            for pid in found:
                _reap(pid)
            found[:] = CHILDREN.strangers(mark)
        return ((*found, *descendants(found)) if deep else found) if found else None

    return find


async def end_all(find: Callable[[], Iterable[psutil.Process]], grace: float) -> Swept:
    """Ask with SIGTERM, wait at most `grace` seconds, then SIGKILL until `find` finds nothing; bounded.

    Only those are asked that have nobody above them: a keeper asks its command with the signal that the
    command needs, and what an orphan leaves behind is an orphan in turn. What was found once is followed
    until it is gone: without its parent nothing may tell any more whose it is.
    """
    found: dict[psutil.Process, str] = {}
    asked: set[int] = set()

    def look() -> dict[int, psutil.Process]:
        left = _with_descendants([*find(), *found])
        for process in left.values():
            found.setdefault(process, f"{process.pid} {_ask(process.name, '?')}")
        return left

    kill_at = trio.current_time() + grace
    while trio.current_time() < kill_at and (left := look()):
        for pid, process in left.items():
            if pid not in asked and _ask(process.ppid, None) not in left:
                asked.add(pid)
                _send(process, signal.SIGTERM)
                _send(process, signal.SIGCONT)
        await trio.sleep(LOOK_AGAIN_SECONDS)

    def find_living(deep: bool) -> list[int] | None:
        if not deep:  # else what was found just now, which goes all the way down
            living[:] = look()
        return living or None

    living: list[int] = []
    for pause in kill_all(find_living, {}, time.monotonic() + SWEEP_SECONDS):
        await trio.sleep(max(pause, LOOK_AGAIN_SECONDS))
    left = look()
    names = {pid: found[process] for pid, process in left.items()}
    ended = tuple(name for process, name in found.items() if process.pid not in names)
    return Swept(ended, tuple(names.values()))


def _with_descendants(processes: Iterable[psutil.Process]) -> dict[int, psutil.Process]:
    """The living among them and below them: a descendant may have cleared its environment."""
    every: dict[int, psutil.Process] = {}
    for process in processes:
        if process.pid not in every and _ask(process.is_running, False):  # its pid may be another's by now
            every[process.pid] = process
            with contextlib.suppress(psutil.Error):
                every.update((child.pid, child) for child in process.children(recursive=True))
    gone = {pid for pid, each in every.items() if _ask(each.status, ZOMBIE) == ZOMBIE}
    return {pid: process for pid, process in every.items() if pid not in gone}


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _environment(pid: int) -> set[bytes]:
    """A process's variables, "name=value"; none of what is gone, or another user's (Linux only)."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb", 0) as environ:
        return set(environ.read().split(b"\0"))
    return set()


def _send(process: psutil.Process, signum: int) -> None:
    _ask(lambda: process.send_signal(signum), None)


def _left_our_session(pid: int, inherited: frozenset[int]) -> bool:
    """It is in none of ours, which those of inherited children are too."""
    return pid not in inherited and _ask(lambda: os.getsid(pid) not in (os.getsid(0), *inherited), False)


def _carries(process: psutil.Process, mark: str, value: str) -> bool:
    return _ask(lambda: process.environ().get(mark) == value, False)


def _ask(question: Callable[[], T], otherwise: T) -> T:
    """What a process answers, unless it is gone or another user's."""
    try:
        return question()
    except (psutil.Error, OSError):
        return otherwise
