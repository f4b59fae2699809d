"""Runs one agent: its deadlines, its log, its transcript, and how it is stopped."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import trio
from attrs import evolve, frozen
from trio.abc import ReceiveStream

from ..errors import OrchestratorError
from .bounds import DRAIN_SECONDS, EXIT_SECONDS
from .ending import EndedBy, Ending
from .identity import ProcessIdentity
from .keeper import Command, Keeper, open_keeper

CHUNK_BYTES = 64 * 1024
"""A pipe's capacity: one read takes all that an agent could write meanwhile."""


class LogNotWritten(OrchestratorError):
    """An attempt's log or prompt could not be made or written: the disk is full, or a file is in the way."""


@frozen
class Limits:
    """How long an attempt may take, in seconds.

    Attributes:
        timeout: the whole attempt.
        idle_timeout: between two pieces of output; None: as long as it likes.
        exit_deadline, drain: see `bounds.py`.
    """

    timeout: float
    idle_timeout: float | None = None
    exit_deadline: float = EXIT_SECONDS
    drain: float = DRAIN_SECONDS


class OutputSink(Protocol):
    """Who reads an agent's output, chunk by chunk."""

    def feed_stdout(self, chunk: bytes) -> None: ...

    def feed_stderr(self, chunk: bytes) -> None: ...

    @property
    def complete(self) -> bool:
        """The output says that the agent is done."""
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
        CommandNotStarted: the program or the folder is missing, or may not be executed.
        LogNotWritten: the log exists already or cannot be written; the agent has been stopped.
    """
    with _Log(log_file) as log:
        async with open_keeper(command) as keeper:
            on_start(keeper.identity)
            ending = await _Agent(keeper, limits, sink, log).run()
    log.raise_trouble()
    return ending


class _Log:
    """An attempt's own log, never an earlier one's; a chunk is in the file when `write` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble: OSError | None = None

    def __enter__(self) -> _Log:
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, 0o600)
        except OSError as error:
            self.trouble = error
            self.raise_trouble()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def write(self, chunk: bytes) -> bool:
        """Append; False when that is not possible, and the reason is kept."""
        try:
            while chunk:
                chunk = chunk[os.write(self._descriptor, chunk) :]
        except OSError as error:
            self.trouble = error
        return self.trouble is None

    def raise_trouble(self) -> None:
        if self.trouble is not None:
            message = f"cannot write the log {self.path}: {self.trouble.strerror}"
            raise LogNotWritten(message) from self.trouble


class _Agent:
    """One agent at work. The deadline of `_waiting` is the nearest limit; readers move it as output comes."""

    def __init__(self, keeper: Keeper, limits: Limits, sink: OutputSink, log: _Log) -> None:
        self._keeper, self._limits, self._sink, self._log = keeper, limits, sink, log
        self._started = self._last_output = trio.current_time()
        self._completed: float | None = None
        self._waiting = trio.CancelScope()
        self._serving = trio.CancelScope(shield=True)  # goes on while the agent is being stopped
        self._all_read = trio.Event()

    async def run(self) -> Ending:
        """Wait for the end, whatever brings it; see `run_agent`."""
        self._set_deadline()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._serve)
            try:
                with self._waiting:
                    await self._keeper.wait()
                in_time = self._keeper.has_exited or not self._waiting.cancelled_caught
                limit = None if in_time else self._nearest_limit()[1]
            finally:
                with trio.CancelScope(shield=True):
                    ending = await self._end()
        return ending if limit is None else evolve(ending, ended_by=limit)

    async def _end(self) -> Ending:
        """Have the agent ended if it has not, and read what it said last; a descendant may hold the pipe."""
        self._keeper.stop()
        ending = await self._keeper.wait()
        with trio.move_on_after(self._limits.drain):
            await self._all_read.wait()
        self._serving.cancel()
        return ending

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
                if not self._log.write(chunk):
                    self._keeper.stop()
                feed(chunk)
                self._last_output = trio.current_time()
                if self._completed is None and self._sink.complete:
                    self._completed = self._last_output
                self._set_deadline()

    def _set_deadline(self) -> None:
        if not self._waiting.cancel_called:
            self._waiting.deadline = self._nearest_limit()[0]

    def _nearest_limit(self) -> tuple[float, EndedBy]:
        """When the attempt is ended from outside, and what for."""
        if self._completed is not None:
            return self._completed + self._limits.exit_deadline, EndedBy.COMPLETED
        limits = [(self._started + self._limits.timeout, EndedBy.TIMEOUT)]
        if self._limits.idle_timeout is not None:
            limits.append((self._last_output + self._limits.idle_timeout, EndedBy.IDLE))
        return min(limits, key=lambda limit: limit[0])
