"""Finds and kills processes below this one: what keepers, and whoever stands in for a lost one, do.

Standard library only, and little of it: each keeper loads this file.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator

from .bounds import LONGEST_PAUSE_SECONDS, REFUSED_SECONDS, SWEEP_PAUSE_SECONDS

PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform == "linux"
HAS_CHILDREN_FILES = os.path.exists(f"/proc/self/task/{os.getpid()}/children")

Find = Callable[[bool], "Iterable[int] | None"]
MOST_NAMES = 20
DEAD = ("", "Z", "X")  # what `read_stat` says of what has ended; a zombie needs no signal, only its parent


def become_subreaper() -> bool:
    """Have orphaned descendants fall to this process instead of to init; False where that does not exist."""
    return LINUX and ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def children_of(pid: int) -> list[int]:
    """The living and dead children of all of a process's threads; empty when it is gone."""
    if not HAS_CHILDREN_FILES:
        return children_by_scan().get(pid, []) if LINUX else []
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb", 0) as listing:
                found += map(int, listing.read().split())
    return found


def read_stat(pid: int) -> tuple[str, str, int]:
    """The name, state and parent of a process; an empty state when it is gone."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb", 0) as stat:
        head, _, tail = stat.read().decode(errors="replace").rpartition(")")
        state, parent = tail.split()[:2]
        return head.partition("(")[2], state, int(parent)
    return "", "", 0


def children_by_scan() -> dict[int, list[int]]:
    """For kernels without `children` files: every process by its parent."""
    tree: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            tree.setdefault(read_stat(int(entry))[2], []).append(int(entry))
    return tree


def descendants(of: Iterable[int]) -> Iterator[int]:
    """Yield the pids below some, each as soon as it is found (Linux only)."""
    to_visit = list(of)
    while to_visit:
        for child in children_of(to_visit.pop()):
            yield child
            to_visit.append(child)


def is_living(pid: int) -> bool:
    """There is such a process, and it is not a zombie (Linux only)."""
    return read_stat(pid)[1] not in DEAD


def send(pid: int, signum: int) -> bool:
    """Signal a process, or with a negative pid a group, that may be gone; False when it is another user's."""
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        pass
    except PermissionError:
        return False
    return True


def note(swept: dict[int, str], pid: int) -> None:
    """Remember by name what is ended; few: against a fork loop, reading names would cost the race."""
    if pid not in swept and len(swept) < MOST_NAMES:
        name, state, _ = read_stat(pid)
        swept[pid] = "" if state in DEAD else f"{pid} {name}"


def kill_with_groups(pids: Iterable[int], swept: dict[int, str]) -> bool:
    """SIGKILL descendants and their groups: a group dies as one, so that no fork in it slips through.

    Our descendants' sessions are their own, so their groups hold nobody else; only one that has not yet left
    our session is in our group.

    Returns whether any of them may die of it: another user's does not.
    """
    done, taken = {os.getpgrp()}, False
    for pid in pids:
        note(swept, pid)
        with contextlib.suppress(OSError):  # it is gone, another user's, or a group itself
            group = os.getpgid(pid)
            if group not in done:
                done.add(group)
                os.killpg(group, signal.SIGKILL)
        taken |= send(pid, signal.SIGKILL)
    return taken


def kill_all(find: Find, swept: dict[int, str], until: float) -> Iterator[float]:
    """SIGKILL what `find` finds, at least once, until that is None or it is late; yields how long to pause.

    There is no pause while new ones appear: what forks as it flees is caught only in a rush. One that cannot
    be killed hides its own children: when nothing else is new, `find(True)` looks below it.
    """
    seen: set[int] = set()
    pause = SWEEP_PAUSE_SECONDS
    while (found := find(False)) is not None:
        pids = set(found)
        seen, calm = pids, pids <= seen
        if not kill_with_groups((find(True) or ()) if calm else pids, swept):
            until = min(until, time.monotonic() + REFUSED_SECONDS)
        yield pause if calm else 0.0
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS) if calm else SWEEP_PAUSE_SECONDS
        if time.monotonic() >= until:
            return
