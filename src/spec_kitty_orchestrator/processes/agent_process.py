"""Runs one agent: its deadlines, its log, its transcript, and how it is stopped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Protocol

import trio
from attrs import evolve, frozen
from trio.abc import ReceiveStream

from .attempt_log import AttemptLog
from .bounds import DRAIN_SECONDS, EXIT_SECONDS
from .ending import EndedBy, Ending
from .far import FarKeeper, open_far
from .identity import ProcessIdentity
from .keeper import Command, Keeper, open_keeper

CHUNK_BYTES = 16 * 1024
"""Read at once. It is all read by the event loop: the more, the longer has everybody else to wait."""
LOG_SHARE = 0.2
"""Of `drain`, what is left for the log alone when something still holds the output open."""


@frozen
class Limits:
    """How long an attempt may take, in seconds, and what it may print.

    Attributes:
        timeout: the whole attempt, from the moment when the agent began, wherever that is.
        idle_timeout: between two pieces of output; None: as long as it likes.
        exit_deadline, drain: see `bounds.py`.
        max_log_mib: of output, in MiB.
    """

    timeout: float
    idle_timeout: float | None = None
    exit_deadline: float = EXIT_SECONDS
    drain: float = DRAIN_SECONDS
    max_log_mib: float = 256.0


class OutputSink(Protocol):
    """Who reads an agent's output, chunk by chunk."""

    def feed_stdout(self, chunk: bytes) -> None: ...

    def feed_stderr(self, chunk: bytes) -> None: ...

    @property
    def complete(self) -> bool:
        """The output says that the agent is done."""
        ...

    @property
    def is_too_dear(self) -> bool:
        """The output says that the agent has cost more than it may."""
        ...


OnStart = Callable[[ProcessIdentity], None]
RunAgent = Callable[[Command, Path, Limits, OutputSink, OnStart], Awaitable[Ending]]
"""`run_agent`, or a simulated one."""


async def run_agent(
    command: Command, log_file: Path, limits: Limits, sink: OutputSink, on_start: OnStart
) -> Ending:
    """Run an agent until it exits or a limit is reached; then nothing that it started is left.

    Cancelling stops it as its command says. Its output is read until the end meanwhile, so that the log tells
    what it did last.

    Args:
        on_start: is told the keeper's identity as soon as there is one.

    Raises:
        CommandNotStarted: it could not be started; ProgramMissing when the program itself is the reason.
        LogNotWritten: the log exists already or cannot be written; the agent has been stopped.
    """
    with AttemptLog(log_file, limits.max_log_mib) as log:
        async with _kept(command) as keeper:
            on_start(keeper.identity)
            ending = await _Agent(keeper, limits, sink, log).run()
    log.raise_trouble()
    return ending


def _kept(command: Command) -> AbstractAsyncContextManager[Keeper | FarKeeper]:
    """The command with a keeper above it, here or elsewhere."""
    return open_keeper(command) if command.far is None else open_far(command, command.far)


class _Agent:
    """One agent at work. The deadline of `_waiting` is the nearest limit; readers move it as output comes."""

    def __init__(self, keeper: Keeper | FarKeeper, limits: Limits, sink: OutputSink, log: AttemptLog) -> None:
        self._keeper, self._limits, self._sink, self._log = keeper, limits, sink, log
        self._last_output = trio.current_time()
        self._completed: float | None = None
        self._waiting = trio.CancelScope()
        self._serving = trio.CancelScope(shield=True)  # goes on while the agent is being stopped
        self._logging = trio.CancelScope(shield=True)
        self._all_read, self._all_logged = trio.Event(), trio.Event()
        if isinstance(keeper, FarKeeper):
            keeper.on_begin = self._set_deadline

    async def run(self) -> Ending:
        """Wait for the end, whatever brings it; see `run_agent`."""
        self._set_deadline()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._serve)
            nursery.start_soon(self._keep_log)
            try:
                with self._waiting:
                    await self._keeper.wait()
                in_time = self._keeper.has_exited or not self._waiting.cancelled_caught
                limit = None if in_time else self._nearest_limit()[1]
            finally:
                with trio.CancelScope(shield=True):
                    ending = await self._end()
        if limit is None or (limit is EndedBy.COMPLETED and ending.ended_by.is_elsewhere):
            return ending  # nobody knows that it is over, or how: what it said last is no success
        return evolve(ending, ended_by=limit)

    async def _end(self) -> Ending:
        """Have the agent ended if it has not, and read what it said last; a descendant may hold the pipe."""
        self._keeper.stop()
        ending = await self._keeper.wait()
        with trio.move_on_after(self._limits.drain):
            with trio.move_on_after(self._limits.drain * (1 - LOG_SHARE)):
                await self._all_read.wait()
            self._serving.cancel()
            self._log.close()
            await self._all_logged.wait()
        self._logging.cancel()
        return ending

    async def _keep_log(self) -> None:
        """Beside the wait: write the log; without one it is of no use to go on."""
        try:
            with self._logging:
                await self._log.keep()
        finally:
            self._all_logged.set()
            self._set_deadline()

    async def _serve(self) -> None:
        """Beside the wait: read both streams."""
        try:
            with self._serving:
                async with trio.open_nursery() as readers:
                    readers.start_soon(self._read, self._keeper.stdout, self._sink.feed_stdout)
                    readers.start_soon(self._read, self._keeper.stderr, self._sink.feed_stderr)
        finally:
            self._all_read.set()

    async def _read(self, stream: ReceiveStream, feed: Callable[[bytes], None]) -> None:
        with suppress(trio.BrokenResourceError):
            while chunk := bytes(await stream.receive_some(CHUNK_BYTES)):
                feed(chunk)
                self._log.take(chunk)
                self._heard()
                await self._log.caught_up()
                self._heard()

    def _heard(self) -> None:
        self._last_output = trio.current_time()
        if self._completed is None and self._sink.complete:
            self._completed = self._last_output
        self._set_deadline()

    def _set_deadline(self) -> None:
        if not self._waiting.cancel_called:
            self._waiting.deadline = self._nearest_limit()[0]

    def _nearest_limit(self) -> tuple[float, EndedBy]:
        """When the attempt is ended from outside, and what for. One that waits for its log is not silent."""
        if self._log.is_full or self._log.trouble is not None:
            return float("-inf"), EndedBy.LOG_FULL
        if self._completed is not None:
            return self._completed + self._limits.exit_deadline, EndedBy.COMPLETED
        if self._sink.is_too_dear:
            return float("-inf"), EndedBy.TOO_DEAR
        begun = self._keeper.begun
        if begun is None:  # it is on its way, which is no time of its own
            return float("inf"), EndedBy.TIMEOUT
        limits = [(begun + self._limits.timeout, EndedBy.TIMEOUT)]
        if self._limits.idle_timeout is not None and not self._log.is_behind:
            limits.append((max(begun, self._last_output) + self._limits.idle_timeout, EndedBy.IDLE))
        return min(limits, key=lambda limit: limit[0])
