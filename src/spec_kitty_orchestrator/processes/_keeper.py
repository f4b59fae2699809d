"""Stands above one command and leaves none of its descendants behind; standard library only.

`keeper.py` runs `main` with CONTROL REPORT FIRST_SIGNAL PATIENCE GRACE ARGV... and with the folder, the
environment and the three standard streams that the command shall have. `CONTROL` and `REPORT` are inherited
pipe ends. `CONTROL` is the lifeline: its other end is held by the orchestrator alone, so end-of-file means
that the orchestrator is dead; a byte on it is an order (`T`: stop, `K`: kill at once). `REPORT` carries a
Python literal for each event, `started` or `failed`, `exited`, at last `done`; json would load too slowly.

It ends in one of three ways (the command exited; somebody asked; the lifeline closed) and in each the order
is the same: a polite signal to every descendant, a while, SIGKILL to whatever is left, until the kernel says
that there is no child any more. On Linux the keeper is a child subreaper, so that this answer covers all
descendants, whatever sessions they moved to. Elsewhere it covers the command's own group.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from .bounds import LEFTOVER_SECONDS, SETTLE_SECONDS, SWEEP_PAUSE_SECONDS, SWEEP_SECONDS

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LINUX = sys.platform == "linux"
HAS_CHILDREN_FILES = os.path.exists(f"/proc/self/task/{os.getpid()}/children")

Find = Callable[[bool], "Iterable[int] | None"]
MOST_NAMES, MOST_REAPED_AT_ONCE = 20, 10_000
CROWD = 1000  # as many descendants as no honest build has: a fork bomb, which is not given time


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
    for pid in (int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
        tree.setdefault(read_stat(pid)[2], []).append(pid)
    return tree


def descendants() -> Iterator[int]:
    """Yield the pids below us, each as soon as it is found (Linux only)."""
    to_visit = [os.getpid()]
    while to_visit:
        for child in children_of(to_visit.pop()):
            yield child
            to_visit.append(child)


def send(pid: int, signum: int) -> None:
    """Signal a process, or with a negative pid a group, that may be gone or another user's."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signum)


def note(swept: dict[int, str], pid: int) -> None:
    """Remember by name what is ended; few: against a fork loop, reading names would cost the race."""
    if pid not in swept and len(swept) < MOST_NAMES:
        name, state, _ = read_stat(pid)
        swept[pid] = "" if state in ("", "Z", "X") else f"{pid} {name}"


def kill_with_groups(pids: Iterable[int], swept: dict[int, str]) -> None:
    """SIGKILL descendants and their groups: a group dies as one, so that no fork in it slips through.

    Their sessions are their own; only one that has not yet left our session is in our group.
    """
    done = {os.getpgrp()}
    for pid in pids:
        note(swept, pid)
        with contextlib.suppress(OSError):  # it is gone, another user's, or a group itself
            group = os.getpgid(pid)
            if group not in done:
                done.add(group)
                os.killpg(group, signal.SIGKILL)
        send(pid, signal.SIGKILL)


def kill_all(find: Find, swept: dict[int, str], until: float) -> Iterator[float]:
    """SIGKILL what `find` finds, at least once, until that is None or it is late; yields how long to pause.

    No pause while new ones appear: what forks as it flees is caught only in a rush. One that cannot be killed
    hides its own children: when nothing else is new, `find(True)` looks below it.
    """
    seen: set[int] = set()
    while (found := find(False)) is not None:
        pids = set(found)
        seen, calm = pids, pids <= seen
        kill_with_groups((find(True) or ()) if calm else pids, swept)
        yield SWEEP_PAUSE_SECONDS if calm else 0.0
        if time.monotonic() >= until:
            return


def become_command(argv: list[str], keeper: int) -> None:
    """In the forked child: a fresh session, fresh signals, death with the keeper; then the command."""
    os.setsid()
    for signum in signal.valid_signals():
        with contextlib.suppress(OSError, ValueError):  # SIGKILL, SIGSTOP and the C library's own
            signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != keeper:
            os._exit(1)
    os.execvp(argv[0], argv)


class KeeperProcess:
    """One command and the orders about it. All times are on the monotonic clock."""

    def __init__(self, control: int, report: int, first_signal: int, patience: float, grace: float) -> None:
        self.control, self.report_fd = control, report
        self.first_signal, self.patience, self.grace = first_signal, patience, grace
        self.command = 0
        self.status: int | None = None
        self.stop_at = float("inf")
        self.childless = self.kill_ordered = False
        self.swept: dict[int, str] = {}
        self.poll = select.poll()
        self.wake = self.catch_signals()
        for fd in (control, self.wake):
            self.poll.register(fd, select.POLLIN)

    def catch_signals(self) -> int:
        """Make signals wake the poll; one that would end us is an order to stop."""
        wake, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(signum, lambda *_: self.stop_within(0))
        return wake

    def stop_within(self, seconds: float) -> None:
        self.stop_at = min(self.stop_at, time.monotonic() + seconds)

    def report(self, **event: object) -> None:
        with contextlib.suppress(BrokenPipeError):  # the orchestrator is dead
            os.write(self.report_fd, ascii(event).encode() + b"\n")

    def start(self, argv: list[str]) -> None:
        """Fork and execute, or raise OSError; then let go of the streams: end-of-file is the command's."""
        (trouble, troubled), keeper = os.pipe(), os.getpid()
        self.command = os.fork()
        if self.command == 0:
            try:
                become_command(argv, keeper)
            except OSError as error:
                os.write(troubled, str(error.errno or 0).encode())
            finally:
                os._exit(127)
        os.close(troubled)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        if failure := os.read(trouble, 4096):
            os.waitpid(self.command, 0)
            raise OSError(int(failure), "not executed")
        self.swept[self.command] = ""  # that it ended is no news
        self.report(started=self.command)

    def step(self, until: float) -> None:
        """Sleep until something happens or `until`; then take orders and reap."""
        left = until - time.monotonic()
        for fd, _ in self.poll.poll(None if left == float("inf") else max(0, math.ceil(left * 1000))):
            if fd == self.control:
                self.take_orders()
            else:
                os.read(self.wake, 4096)
        self.reap()

    def take_orders(self) -> None:
        orders = os.read(self.control, 64)
        self.kill_ordered |= b"K" in orders
        if b"T" in orders:
            self.stop_within(0)
        if not orders:
            self.poll.unregister(self.control)
            self.stop_within(self.patience)

    def reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            self.childless = True
            for _ in range(MOST_REAPED_AT_ONCE):
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == self.command and self.status is None:  # else its number was given out again
                    self.status = status
                    self.report(exited=os.waitstatus_to_exitcode(status))
                if pid == 0:
                    break
            self.childless = False

    @property
    def gone(self) -> bool:
        """Nothing is left. Without a subreaper only the command's group can be asked about."""
        if LINUX or not self.childless:
            return self.childless
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the latter: only zombies are in it
            os.killpg(self.command, 0)
            return False
        return True

    def ask_all(self, signum: int) -> None:
        """Ask every descendant, as a terminal asks every process of a job; wake the stopped to hear it."""
        everybody = list(islice(descendants(), CROWD)) if LINUX else [-self.command]
        self.kill_ordered |= len(everybody) == CROWD
        for pid in everybody:
            if self.status is not None:
                note(self.swept, pid)
            send(pid, signum)
            send(pid, signal.SIGCONT)

    def wait_while(self, seconds: float, *, for_all: bool) -> None:
        """Wait for the command, or for all; at most so long, and not after an order to kill."""
        until = time.monotonic() + seconds
        while not (self.kill_ordered or self.gone or (self.status is not None and not for_all)):
            if time.monotonic() >= until:
                return
            self.step(until)

    def left(self, deep: bool) -> Iterable[int] | None:
        """Our children, as what each leaves behind will be, or all below us; None when none is left."""
        if self.gone:
            return None
        if not LINUX:
            return [-self.command]  # the group is all there is to find without a subreaper
        return descendants() if deep else children_of(os.getpid())

    def sweep(self) -> None:
        """SIGKILL until we have no child."""
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, -20)
        self.reap()
        for pause in kill_all(self.left, self.swept, time.monotonic() + SWEEP_SECONDS):
            self.step(time.monotonic() + pause)

    def keep(self) -> None:
        """The whole life: wait, ask, end."""
        while self.status is None and not self.kill_ordered and time.monotonic() < self.stop_at:
            self.step(self.stop_at)
        if self.status is None:
            self.ask_all(self.first_signal)
            self.wait_while(self.grace, for_all=False)
        if self.status is not None:
            self.wait_while(SETTLE_SECONDS, for_all=True)
            if not self.gone:
                self.ask_all(signal.SIGTERM)
                self.wait_while(min(self.grace, LEFTOVER_SECONDS), for_all=True)
        self.sweep()
        self.report(done=self.gone, swept=[name for name in self.swept.values() if name])


def main(control: str, report: str, first_signal: str, patience: str, grace: str, *argv: str) -> None:
    for fd in (int(control), int(report)):
        os.set_inheritable(fd, False)
    become_subreaper()
    keeper = KeeperProcess(int(control), int(report), int(first_signal), float(patience), float(grace))
    keeper.step(0)
    if keeper.kill_ordered or keeper.stop_at < float("inf"):  # an order came first, or we are orphaned
        keeper.report(done=True, swept=[])
        os._exit(0)
    try:
        keeper.start(list(argv))
    except OSError as error:
        keeper.report(failed=error.errno)
    else:
        keeper.keep()
    os._exit(0)  # no clean-up of the interpreter: nothing is left to clean, and it costs milliseconds
