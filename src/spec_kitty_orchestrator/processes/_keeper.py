"""Stands above one command and leaves none of its descendants behind; standard library only.

`keeper.py` runs `main` with CONTROL REPORT FIRST_SIGNAL PATIENCE GRACE SHIELD SIZE and with the folder, the
environment and the three standard streams that the command shall have. `CONTROL` and `REPORT` are inherited
pipe ends. `CONTROL` is the lifeline: its other end is held by the orchestrator alone, so end-of-file means
that the orchestrator is dead. First it brings SIZE bytes: the command's arguments, which are not on our own
command line lest a `pkill -f` that means another program takes keepers too; then a byte is an order (`T`:
stop, `K`: kill at once). `REPORT` carries one Python literal on a line for each event, `started` or
`failed`, `exited`, and at last `done`; importing json would cost a fifth of the start.

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
import time
from collections.abc import Iterable
from itertools import islice

from ._killing import (
    LINUX,
    MOST_NAMES,
    become_subreaper,
    children_of,
    descendants,
    is_living,
    kill_all,
    note,
    read_stat,
    send,
)
from .bounds import LEFTOVER_SECONDS, SETTLE_SECONDS, SWEEP_SECONDS

PR_SET_PDEATHSIG = 1
MOST_REAPED_AT_ONCE = 10_000
CROWD = 1000  # as many living descendants as no honest build has: a fork bomb, which is not given time
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def become_command(argv: list[bytes], keeper: int, shield: Iterable[int]) -> None:
    """In the forked child: a fresh session, fresh signals, death with the keeper; then the command.

    What it is shielded from is blocked, which no handler of a program below it can undo (git's would), and
    ignored, since a shell that starts clears what is blocked.
    """
    os.setsid()
    for signum in signal.valid_signals():
        with contextlib.suppress(OSError, ValueError):  # SIGKILL, SIGSTOP and the C library's own
            signal.signal(signum, signal.SIG_IGN if signum in shield else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, shield)
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
        self.orphaned = self.asked = False
        self.command = 0
        self.status: int | None = None
        self.stop_at, self.heard_at = float("inf"), time.monotonic()
        self.childless = self.kill_ordered = False
        self.swept: dict[int, str] = {}
        self.poll = select.poll()
        self.wake = self.catch_signals()
        for fd in (control, self.wake):
            self.poll.register(fd, select.POLLIN)

    def catch_signals(self) -> int:
        """Make signals wake the poll, also those that whoever started us has blocked or ignored.

        One that would end us is an order to stop only when the orchestrator is dead: else it was sent to
        all of a run at once (by systemd, say), and the orchestrator, which got it too, knows what is to stop.
        """
        wake, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for signum in STOPS:
            signal.signal(signum, lambda *_: setattr(self, "asked", True))
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        return wake

    def take_command(self, size: int) -> list[bytes]:
        """The command's arguments; empty when the orchestrator is dead already."""
        taken = b""
        while len(taken) < size:
            chunk = os.read(self.control, size - len(taken))
            if not chunk:
                return []
            taken += chunk
        return taken.split(b"\0")

    def stop_within(self, seconds: float) -> None:
        self.stop_at = min(self.stop_at, time.monotonic() + seconds)

    def report(self, **event: object) -> None:
        with contextlib.suppress(BrokenPipeError):  # the orchestrator is dead
            os.write(self.report_fd, ascii(event).encode() + b"\n")

    def start(self, argv: list[bytes], shield: Iterable[int]) -> None:
        """Fork and execute, or raise OSError; then let go of the streams: end-of-file is the command's."""
        (trouble, troubled), keeper = os.pipe(), os.getpid()
        self.command = os.fork()
        if self.command == 0:
            try:
                become_command(argv, keeper, shield)
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
        if self.orphaned and self.asked:
            self.stop_within(0)
        self.reap()

    def take_orders(self) -> None:
        orders = os.read(self.control, 64)
        self.heard_at = time.monotonic()
        self.kill_ordered |= b"K" in orders
        if b"T" in orders:
            self.stop_within(0)
        if not orders:
            self.poll.unregister(self.control)
            self.orphaned = True
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
        everybody = (
            list(islice(filter(is_living, descendants([os.getpid()])), CROWD)) if LINUX else [-self.command]
        )
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
        return descendants([os.getpid()]) if deep else children_of(os.getpid())

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
                self.ask_all(self.first_signal)
                self.wait_while(min(self.grace, LEFTOVER_SECONDS), for_all=True)
        self.sweep()
        left = {} if self.gone else self.names_of_left()
        swept = [name for pid, name in self.swept.items() if name and pid not in left]
        self.report(done=self.gone, swept=swept, left=list(left.values()))

    def names_of_left(self) -> dict[int, str]:
        """What could not be ended, by pid; elsewhere than on Linux only the orchestrator can tell."""
        if not LINUX:
            return {}
        living = islice(filter(is_living, descendants([os.getpid()])), MOST_NAMES)
        return {pid: f"{pid} {read_stat(pid)[0]}" for pid in living}


def main(*args: str) -> None:
    control, report, first_signal, patience, grace, shield, size = args
    for fd in (int(control), int(report)):
        os.set_inheritable(fd, False)
    become_subreaper()
    keeper = KeeperProcess(int(control), int(report), int(first_signal), float(patience), float(grace))
    argv = keeper.take_command(int(size))
    keeper.step(0)
    if not argv or keeper.kill_ordered or keeper.stop_at < float("inf"):  # told to stop first, or orphaned
        keeper.report(done=True, swept=[], left=[])
        os._exit(0)
    try:
        keeper.start(argv, set(map(int, shield.split())))
    except OSError as error:
        keeper.report(failed=error.errno)
    else:
        keeper.keep()
    os._exit(0)  # no clean-up of the interpreter: nothing is left to clean, and it costs milliseconds
