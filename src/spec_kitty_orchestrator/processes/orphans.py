"""Finds and ends processes that have lost their keeper: by the mark in their environment, never by name."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable

import psutil
import trio
import trio.lowlevel

from ._keeper import become_subreaper, children_of, kill_with_groups

RUN_MARKER = "SPEC_KITTY_ORCHESTRATOR_RUN"
"""The environment variable that holds the run id, in every process that a run has started."""
KEEPER_MARKER = "SPEC_KITTY_ORCHESTRATOR_KEEPER"
"""The environment variable that is different under each keeper."""
END_SECONDS = 5.0
"""How long SIGKILL may need, as in the keeper."""
KEEPER_SECONDS = 3.0
"""What a live keeper may need beyond its grace: 2 s for what its command left behind, 1 s for the rest."""
LOOK_AGAIN_SECONDS = 0.05
RUSH_SECONDS = 0.05
"""How long everything else may have to stand still for it."""


class Children:
    """Which children of this process are its own: a stranger among them is an orphan of a lost keeper.

    Only `kept.py` changes `keepers`. Whoever starts a child holds `starting` until its pid stands there, and
    whoever looks for strangers holds it too.
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
    return [p for p in psutil.process_iter() if p.pid != os.getpid() and _environment(p).get(mark) == value]


def find_survivors(run_id: str) -> list[psutil.Process]:
    """What is still running of a run: keepers, agents, and whatever they started."""
    return find_marked(RUN_MARKER, run_id)


async def sweep_run(run_id: str, grace: float) -> tuple[str, ...]:
    """End whatever is left of a run that is dead: ask, wait for `grace` and what a keeper needs, kill.

    Returns what was found, each as "pid name".
    """
    return await end_all(lambda: find_survivors(run_id), grace + KEEPER_SECONDS)


async def end_orphans(keeper_mark: str) -> tuple[str, ...]:
    """Kill what a lost keeper left behind; returns what was found, each as "pid name".

    It has fallen to us, if we adopt, and else is known by its mark.
    """
    if not CHILDREN.adopting:
        return await end_all(lambda: find_marked(KEEPER_MARKER, keeper_mark), 0)
    swept: dict[int, str] = {}
    give_up_at = trio.current_time() + END_SECONDS
    async with CHILDREN.starting:
        while _end_strangers(swept) and trio.current_time() < give_up_at:
            await trio.lowlevel.checkpoint()
    return tuple(name for name in swept.values() if name)


def _end_strangers(swept: dict[int, str]) -> bool:
    """Kill and reap our strangers until there are none, in one go: what forks as it flees is lost to a pause.

    What they leave behind becomes a stranger in turn. Returns whether any are left after `RUSH_SECONDS`.
    """
    until = time.monotonic() + RUSH_SECONDS
    while strangers := CHILDREN.strangers():
        kill_with_groups(strangers, swept)
        for pid in strangers:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        if time.monotonic() > until:
            return True
    return False


async def end_all(find: Callable[[], Iterable[psutil.Process]], grace: float) -> tuple[str, ...]:
    """Ask with SIGTERM, wait at most `grace` seconds, then SIGKILL until `find` finds nothing; bounded.

    Only those are asked that have nobody above them: a keeper asks its command with the signal that the
    command needs, and what an orphan leaves behind is an orphan in turn.

    Returns what was found, each as "pid name".
    """
    found: dict[int, str] = {}
    asked: set[int] = set()
    kill_at = trio.current_time() + grace
    while (now := trio.current_time()) < kill_at + END_SECONDS:
        left = _with_descendants(find())
        if not left:
            break
        for pid, process in left.items():
            found.setdefault(pid, f"{pid} {_name(process)}")
            if now >= kill_at:
                _kill(process)
            elif pid not in asked and _parent(process) not in left:
                asked.add(pid)
                _send(process, signal.SIGTERM)
                _send(process, signal.SIGCONT)
        await trio.sleep(LOOK_AGAIN_SECONDS)
    return tuple(found.values())


def _with_descendants(processes: Iterable[psutil.Process]) -> dict[int, psutil.Process]:
    """The living among them and below them: a descendant may have cleared its environment."""
    every: dict[int, psutil.Process] = {}
    for process in processes:
        every[process.pid] = process
        with contextlib.suppress(psutil.Error):
            every.update((child.pid, child) for child in process.children(recursive=True))
    return {pid: process for pid, process in every.items() if _is_alive(process)}


def _kill(process: psutil.Process) -> None:
    if process.is_running():  # still the same one
        kill_with_groups([process.pid], {})


def _send(process: psutil.Process, signum: int) -> None:
    with contextlib.suppress(psutil.Error):  # gone, or another user's
        process.send_signal(signum)


def _is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _left_our_session(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return os.getsid(pid) != os.getsid(0)
    return False


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError):
        return {}


def _parent(process: psutil.Process) -> int | None:
    with contextlib.suppress(psutil.Error):
        return process.ppid()
    return None


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return "?"
