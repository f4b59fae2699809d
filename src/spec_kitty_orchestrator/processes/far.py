"""Runs one command elsewhere: a launcher under a keeper of ours here, a keeper of ours behind it (`_far.py`).

What became of the command is read from the report of the keeper there, and from nothing else: a launcher's
exit status 0 may be a node that failed. Whatever happened, the job's own clean-up is the last word.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import trio
from attrs import evolve
from trio.abc import ReceiveStream

from ._far import SIZE_DIGITS
from .bounds import (
    CLEANUP_SECONDS,
    FAR_EXIT_SECONDS,
    HURRIED_CLEANUP_SECONDS,
    KEEPER_SECONDS,
    LAUNCHER_SECONDS,
    REPORT_SECONDS,
)
from .ending import Ending
from .far_report import FarReport, how_it_ended, read_report
from .identity import ProcessIdentity
from .jobs import end_job
from .keeper import Command, Keeper, open_keeper
from .launcher import FarLaunch, News, launcher_environ
from .starting import CommandNotStarted, ProgramMissing, not_executed

FIRST_LOOK_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0
"""Between two looks at the report of a command that has not begun."""
WORKING_PAUSE_SECONDS = 5.0
"""Of one that has."""
WAITS_AFTER_SECONDS = 3.0
"""So long after it was sent a command that has not begun is said to wait."""
PERHAPS_SECONDS = 0.5
"""For finding out of one that is stopped whether it has just begun: it has its grace then."""
BEATS_IN_SILENCE = 6
"""Signs of life in the time without any that the keeper there bears."""


class FarKeeper:
    """A command elsewhere; made by `open_far`. To whoever waits for it, it is what `Keeper` is.

    Attributes:
        begun: when it began there, on Trio's clock, as far as it was told; None: it is on its way.
        on_begin: is called then.
    """

    def __init__(self, command: Command, far: FarLaunch, launcher: Keeper, lifeline: int) -> None:
        self.stdout: ReceiveStream = launcher.stdout
        self.stderr: ReceiveStream = launcher.stderr
        self.identity: ProcessIdentity = launcher.identity
        self.begun: float | None = None
        self.on_begin: Callable[[], None] = lambda: None
        self._command, self._far, self._launcher, self._lifeline = command, far, launcher, lifeline
        self._unsent = _order(command, far)
        self._sent_at = trio.current_time()
        self._give_up_at = self._obeyed_by = float("inf")
        self._look_now = trio.Event()
        self._waiting: trio.CancelScope | None = None
        self._report = FarReport()
        self._is_late = self._is_told_to_wait = False
        self._ending: Ending | None = None

    @property
    def has_exited(self) -> bool:
        """The command itself has ended, as far as was told."""
        return self._report.exited is not None

    def stop(self) -> None:
        """Ask for SIGTERM, the grace, SIGKILL. Returns at once; `wait` is bounded from now on."""
        self._tell(b"T", self._command.grace + KEEPER_SECONDS)

    def kill(self) -> None:
        """Ask for SIGKILL now. Returns at once; `wait` is bounded from now on."""
        self._tell(b"K", KEEPER_SECONDS)

    def _tell(self, order: bytes, seconds: float) -> None:
        if not self._unsent:
            with contextlib.suppress(OSError):  # nobody reads it any more
                os.write(self._lifeline, order)
        self._obeyed_by = min(self._obeyed_by, trio.current_time() + seconds)
        self._give_up_at = self._obeyed_by
        if self.begun is None:  # as far as is known; then its launcher is all there is to end
            self._give_up_at = trio.current_time() + (0.0 if self._unsent else PERHAPS_SECONDS)
            self._look_now.set()
        self._set_deadline()

    def _set_deadline(self) -> None:
        if self._waiting is not None:
            self._waiting.deadline = self._give_up_at

    async def wait(self) -> Ending:
        """Wait until it has ended, there and here. For one task; may be called again.

        Bounded after an order, by what that gives and `FAR_SECONDS`.
        """
        if self._ending is None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_alive)
                nursery.start_soon(self._watch)
                nursery.start_soon(self._kill_when_told)
                with trio.CancelScope(deadline=self._give_up_at) as self._waiting:
                    await self._launcher.wait()
                self._launcher.stop()
                await self._launcher.wait()
                nursery.cancel_scope.cancel()
        if self._ending is None:
            with trio.CancelScope(shield=True):
                self._ending = await self._finish()
        assert self._ending is not None
        return self._ending

    # Beside the wait.

    async def _kill_when_told(self) -> None:
        await self._command.kill_now.wait()
        self.kill()

    async def _keep_alive(self) -> None:
        """Give the order, as soon as somebody takes it, and then signs of life."""
        with contextlib.suppress(BrokenPipeError):  # the launcher has ended, which is waited for
            while self._unsent:
                await trio.lowlevel.wait_writable(self._lifeline)
                with contextlib.suppress(BlockingIOError):
                    self._unsent = self._unsent[os.write(self._lifeline, self._unsent) :]
            while True:
                await trio.sleep(self._far.silence / BEATS_IN_SILENCE)
                with contextlib.suppress(BlockingIOError):
                    os.write(self._lifeline, b".")

    async def _watch(self) -> None:
        """Look at the report now and then: for the beginning, which limits count from, and for the end."""
        pause = FIRST_LOOK_SECONDS
        while True:
            await self._look()
            if self._report.is_conclusive:  # nothing but the launcher is left
                self._give_up_at = min(self._give_up_at, trio.current_time() + FAR_EXIT_SECONDS)
                self._set_deadline()
            elif self.begun is None:
                self._watch_the_wait(trio.current_time() - self._sent_at)
            with trio.move_on_after(pause):
                await self._look_now.wait()
                self._look_now = trio.Event()
            longest = LONGEST_PAUSE_SECONDS if self.begun is None else WORKING_PAUSE_SECONDS
            pause = min(2 * pause, longest)

    def _watch_the_wait(self, seconds: float) -> None:
        if seconds >= self._far.start_within and not self._is_late:
            self._is_late = True
            self.stop()
        elif seconds >= WAITS_AFTER_SECONDS and not self._is_told_to_wait:
            self._is_told_to_wait = True
            self._far.on_news(News("", seconds))

    async def _look(self) -> None:
        with trio.move_on_after(REPORT_SECONDS):  # a file system that is away must not hold up an end
            self._report = await trio.to_thread.run_sync(
                read_report, self._far.report, abandon_on_cancel=True
            )
        if self.begun is None and self._report.here:
            self.begun = trio.current_time()
            where = self._report.here + (f" (job {self._report.job})" if self._report.job else "")
            self._far.on_news(News(where, self.begun - self._sent_at))
            self._give_up_at = self._obeyed_by
            self._set_deadline()
            self.on_begin()

    # Afterwards.

    async def _finish(self) -> Ending:
        """Clean up, then read what the keeper there said last: it may have lived until now."""
        self._let_go()
        hurried = self._command.kill_now.is_set()
        seconds = HURRIED_CLEANUP_SECONDS if hurried else CLEANUP_SECONDS
        await self._look()
        is_told = self._report.is_conclusive
        trouble = await end_job(self._far.job, self._command.env, seconds, once=is_told)
        until = trio.current_time() + REPORT_SECONDS
        await self._look()
        while self._report.is_expected and trio.current_time() < until:
            await trio.sleep(FIRST_LOOK_SECONDS)
            await self._look()
        late = f"it did not begin within {self._far.start_within:g} s" if self._is_late else ""
        seconds = trio.current_time() - (self._sent_at if self.begun is None else self.begun)
        return how_it_ended(self._report, self._far.job, seconds, (late, trouble))

    def raise_failed(self) -> None:
        """Raises CommandNotStarted, or ProgramMissing, if there was no such program there."""
        if (number := self._report.failed) is not None:
            command = self._command
            raise not_executed(command.argv[0], command.cwd, command.env, number)

    def _let_go(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    async def close(self) -> None:
        """Make sure that nothing is left."""
        if self._ending is None:
            self.stop()
        ending = await self.wait()
        self._let_go()
        self._command.on_end(ending)


@asynccontextmanager
async def open_far(command: Command, far: FarLaunch) -> AsyncIterator[FarKeeper]:
    """Run a command elsewhere; on leaving, however, it is stopped, and nothing that can be reached is left.

    When we die, it is stopped from there, with its grace; our keeper here has the launcher wait so long.

    Raises:
        CommandNotStarted: the launcher, or the command itself, could not be started; ProgramMissing when the
            program of the command itself is not there.
    """
    try:
        lifeline_read, lifeline = os.pipe()
    except OSError as error:
        raise CommandNotStarted(f"cannot start {far.argv[0]}: {error}") from error
    try:
        os.set_blocking(lifeline, False)
        launcher = evolve(
            command,
            argv=far.argv,
            env=launcher_environ(far.job.kind, command.env),
            stdin=lifeline_read,
            patience=command.grace + KEEPER_SECONDS,
            grace=LAUNCHER_SECONDS,
            kill_now=trio.Event(),  # what is behind it must be ended first
            on_end=lambda _: None,
            far=None,
        )
        async with AsyncExitStack() as stack:
            try:
                keeper = await stack.enter_async_context(open_keeper(launcher))
            except ProgramMissing as problem:  # which is no fault of the command's
                raise CommandNotStarted(f"the launcher: {problem.message}") from problem
            os.close(lifeline_read)
            lifeline_read = -1
            kept = FarKeeper(command, far, keeper, lifeline)
            lifeline = -1
            try:
                yield kept
            finally:
                with trio.CancelScope(shield=True):
                    await kept.close()
        kept.raise_failed()
    finally:
        for descriptor in (lifeline_read, lifeline):
            if descriptor >= 0:
                os.close(descriptor)


def _order(command: Command, far: FarLaunch) -> bytes:
    """What the keeper there is told first; see `_far.py`."""
    order = {
        "argv": command.argv,
        "env": launcher_environ(far.job.kind, command.env),
        "workspace": str(command.cwd),
        "prompt": str(command.stdin or os.devnull),
        "report": str(far.report),
        "grace": command.grace,
        "silence": far.silence,
        "is_worktree": (command.cwd / ".git").exists(),
    }
    body = json.dumps(order).encode()
    return f"{len(body):0{SIZE_DIGITS}}".encode() + body
