"""Runs one agent attempt: its deadlines, its log, its transcript, and how it is stopped."""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import trio
from attrs import frozen
from trio.abc import ReceiveStream

from ..errors import OrchestratorError
from .identity import ProcessIdentity as ProcessIdentity
from .keeper import CommandNotStarted, Kept, KeptEnding, KeptSpec, open_kept
from .orphans import adopt_orphans as adopt_orphans

CHUNK_BYTES = 64 * 1024
"""A pipe's capacity: one read takes all that an agent could write meanwhile."""

AgentNotStarted = CommandNotStarted
"""The agent's program or the workspace is missing, or may not be executed."""


class LogNotWritten(OrchestratorError):
    """An attempt's log or prompt could not be made or written: the disk is full, or a file is in the way."""


@frozen
class Limits:
    """How long things may take, in seconds.

    Attributes:
        timeout: the whole attempt.
        idle_timeout: between two pieces of output; None: as long as it likes.
        grace: between SIGTERM and SIGKILL.
        exit_deadline: from a complete transcript to the exit.
        drain: from the exit, with every descendant gone, to the end of the output.
    """

    timeout: float
    idle_timeout: float | None = None
    grace: float = 10.0
    exit_deadline: float = 10.0
    drain: float = 5.0


@frozen
class Launch:
    """What to start, and where its output goes. `env` is the agent's whole environment, save `PWD`."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    prompt_file: Path
    log_file: Path
    limits: Limits


class OutputSink(Protocol):
    """Who reads an agent's output, chunk by chunk."""

    def feed_stdout(self, chunk: bytes) -> None: ...

    def feed_stderr(self, chunk: bytes) -> None: ...

    @property
    def complete(self) -> bool:
        """The output says that the agent is done."""
        ...


class EndedBy(enum.Enum):
    """Why an attempt ended."""

    EXITED = "exited"
    COMPLETED = "completed"  # its transcript was complete but it did not exit; its success stands
    TIMEOUT = "timeout"
    IDLE = "idle"
    KEEPER_LOST = "keeper lost"  # how the agent itself ended is not known


@frozen
class Ending:
    """How an attempt ended; every process of it is gone.

    Attributes:
        returncode: the agent's exit status, None when a signal ended it or nobody knows.
        signal: the signal that ended it, or None.
        swept: what it left behind or had to be killed beside it, each as "pid name".
        seconds: from its start until everything was gone.
    """

    returncode: int | None
    signal: int | None
    ended_by: EndedBy
    swept: tuple[str, ...]
    seconds: float


async def run_attempt(
    launch: Launch,
    sink: OutputSink,
    kill_now: trio.Event,
    on_start: Callable[[ProcessIdentity], None],
) -> Ending:
    """Run an agent until it exits or a limit is reached; then nothing that it started is left.

    Cancelling stops it: SIGTERM, grace, SIGKILL; `kill_now` means SIGKILL at once, also while it is being
    stopped. Its output is read until the end meanwhile, so that the log tells what it did last.

    Args:
        on_start: is told the keeper's identity as soon as there is one.

    Raises:
        AgentNotStarted: the program or the folder is missing, or may not be executed.
        LogNotWritten: the log exists already or cannot be written; the agent has been stopped.
    """
    spec = KeptSpec(
        argv=launch.argv,
        cwd=launch.cwd,
        env={**launch.env, "PWD": str(launch.cwd)},  # some agents trust it more than their real folder
        stdin=launch.prompt_file,
        grace=launch.limits.grace,
    )
    with _Log(launch.log_file) as log:
        async with open_kept(spec) as kept:
            on_start(kept.identity)
            ending = await _Attempt(kept, launch.limits, sink, log).run(kill_now)
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


class _Attempt:
    """One agent at work. The deadline of `_waiting` is the nearest limit; readers move it as output comes."""

    def __init__(self, kept: Kept, limits: Limits, sink: OutputSink, log: _Log) -> None:
        self._kept, self._limits, self._sink, self._log = kept, limits, sink, log
        self._started = self._last_output = trio.current_time()
        self._completed: float | None = None
        self._waiting = trio.CancelScope()
        self._serving = trio.CancelScope(shield=True)  # goes on while the agent is being stopped
        self._all_read = trio.Event()

    async def run(self, kill_now: trio.Event) -> Ending:
        """Wait for the end, whatever brings it; see `run_attempt`."""
        self._set_deadline()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._serve, kill_now)
            try:
                with self._waiting:
                    await self._kept.wait()
                reason = self._nearest_limit()[1] if self._waiting.cancelled_caught else EndedBy.EXITED
            finally:
                with trio.CancelScope(shield=True):
                    ended = await self._end()
        if ended.keeper_lost and reason is EndedBy.EXITED:
            reason = EndedBy.KEEPER_LOST
        seconds = trio.current_time() - self._started
        return Ending(ended.returncode, ended.signal, reason, ended.swept, seconds)

    async def _end(self) -> KeptEnding:
        """Have the agent ended if it has not, and read what it said last; a descendant may hold the pipe."""
        self._kept.stop()
        ended = await self._kept.wait()
        with trio.move_on_after(self._limits.drain):
            await self._all_read.wait()
        self._serving.cancel()
        return ended

    async def _serve(self, kill_now: trio.Event) -> None:
        """Beside the wait: read both streams, and hand on an order to kill."""
        with self._serving:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._kill_when_told, kill_now)
                try:
                    async with trio.open_nursery() as readers:
                        readers.start_soon(self._read, self._kept.stdout, self._sink.feed_stdout)
                        readers.start_soon(self._read, self._kept.stderr, self._sink.feed_stderr)
                finally:
                    self._all_read.set()

    async def _kill_when_told(self, kill_now: trio.Event) -> None:
        await kill_now.wait()
        self._kept.kill()

    async def _read(self, stream: ReceiveStream, feed: Callable[[bytes], None]) -> None:
        with suppress(trio.BrokenResourceError):
            while chunk := bytes(await stream.receive_some(CHUNK_BYTES)):
                if not self._log.write(chunk):
                    self._kept.stop()
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
