"""Finds and ends processes that have lost their keeper: by the mark in their environment, never by name."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import psutil
import trio
import trio.lowlevel

from ._keeper import become_subreaper, children_of, kill_all
from .bounds import KEEPER_OF_THE_DEAD_SECONDS, SWEEP_SECONDS

T = TypeVar("T")
ZOMBIE = psutil.STATUS_ZOMBIE

RUN_MARKER = "SPEC_KITTY_ORCHESTRATOR_RUN"
"""The environment variable that holds the run id, in every process that a run has started."""
KEEPER_MARKER = "SPEC_KITTY_ORCHESTRATOR_KEEPER"
"""The environment variable that is different under each keeper."""
LOOK_AGAIN_SECONDS = 0.05
RUSH_SECONDS = 0.05
"""How long everything else may have to stand still for it."""


class Children:
    """Which children of this process are its own: a stranger among them is an orphan of a lost keeper.

    Only `keeper.py` changes `keepers`. Whoever starts a child holds `starting` until its pid stands there,
    and whoever looks for strangers holds it too.
    """

    def __init__(self) -> None:
        self.adopting = False
        self.starting = trio.Lock()
        self.keepers: set[int] = set()

    def strangers(self) -> list[int]:
        """Our children that we did not start: each left our session below a keeper that is gone."""
        return [pid for pid in children_of(os.getpid()) if pid not in self.keepers and _left_our_session(pid)]


CHILDREN = Children()


def adopt_orphans() -> None:
    """Have what a killed keeper leaves behind fall to this process (Linux only). Call it once, early."""
    CHILDREN.adopting = become_subreaper()


def find_marked(mark: str, value: str) -> list[psutil.Process]:
    """Every living process, except this one, whose environment holds `mark=value`."""
    return [p for p in psutil.process_iter() if p.pid != os.getpid() and _carries(p, mark, value)]


def find_survivors(run_id: str) -> list[psutil.Process]:
    """What is still running of a run: keepers, agents, and whatever they started."""
    return find_marked(RUN_MARKER, run_id)


async def sweep_run(run_id: str, grace: float) -> tuple[str, ...]:
    """End whatever is left of a run that is dead: ask, wait for `grace` and what a keeper needs, kill.

    Returns what was found, each as "pid name".
    """
    return await end_all(lambda: find_survivors(run_id), grace + KEEPER_OF_THE_DEAD_SECONDS)


async def end_orphans(keeper_mark: str) -> tuple[str, ...]:
    """Kill what a lost keeper left behind; returns what was found, each as "pid name".

    It has fallen to us, if we adopt, and else is known by its mark.
    """
    if not CHILDREN.adopting:
        return await end_all(lambda: find_marked(KEEPER_MARKER, keeper_mark), 0)
    swept: dict[int, str] = {}
    until = time.monotonic() + SWEEP_SECONDS  # not a bound for each of those that wait for their turn
    async with CHILDREN.starting:
        rush_until = time.monotonic() + RUSH_SECONDS
        for pause in kill_all(_find_strangers([]), swept, until):
            if pause or time.monotonic() > rush_until:
                await trio.sleep(pause)
                rush_until = time.monotonic() + RUSH_SECONDS
    return tuple(name for name in swept.values() if name)


def _find_strangers(found: list[int]) -> Callable[[bool], list[int] | None]:
    """Finds strangers, and reaps what it found before; what that left behind is a stranger in turn."""

    def find(_deep: bool) -> list[int] | None:
        for pid in found:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        found[:] = CHILDREN.strangers()
        return found or None

    return find


async def end_all(find: Callable[[], Iterable[psutil.Process]], grace: float) -> tuple[str, ...]:
    """Ask with SIGTERM, wait at most `grace` seconds, then SIGKILL until `find` finds nothing; bounded.

    Only those are asked that have nobody above them: a keeper asks its command with the signal that the
    command needs, and what an orphan leaves behind is an orphan in turn.

    Returns what was found, each as "pid name".
    """
    found: dict[int, str] = {}
    asked: set[int] = set()

    def look() -> dict[int, psutil.Process]:
        left = _with_descendants(find())
        for pid, process in left.items():
            found.setdefault(pid, f"{pid} {_ask(process.name, '?')}")
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
            living[:] = [pid for pid, each in look().items() if each.is_running()]
        return living or None

    living: list[int] = []
    for _ in kill_all(find_living, found, time.monotonic() + SWEEP_SECONDS):
        await trio.sleep(LOOK_AGAIN_SECONDS)
    return tuple(found.values())


def _with_descendants(processes: Iterable[psutil.Process]) -> dict[int, psutil.Process]:
    """The living among them and below them: a descendant may have cleared its environment."""
    every: dict[int, psutil.Process] = {}
    for process in processes:
        every[process.pid] = process
        with contextlib.suppress(psutil.Error):
            every.update((child.pid, child) for child in process.children(recursive=True))
    gone = {pid for pid, each in every.items() if _ask(each.status, ZOMBIE) == ZOMBIE}
    return {pid: process for pid, process in every.items() if pid not in gone}


def _send(process: psutil.Process, signum: int) -> None:
    _ask(lambda: process.send_signal(signum), None)


def _left_our_session(pid: int) -> bool:
    return _ask(lambda: os.getsid(pid) != os.getsid(0), False)


def _carries(process: psutil.Process, mark: str, value: str) -> bool:
    return _ask(lambda: process.environ().get(mark) == value, False)


def _ask(question: Callable[[], T], otherwise: T) -> T:
    """What a process answers, unless it is gone or another user's."""
    try:
        return question()
    except (psutil.Error, OSError):
        return otherwise
