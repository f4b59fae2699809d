"""An attempt's own log: written by a thread, so that a slow disk holds up this one agent and nobody else."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import trio

from ..errors import OrchestratorError

BUFFER_BYTES = 1024 * 1024
"""What may wait for the disk; then the agent has to."""
LINGER_SECONDS = 0.05
"""Between two writes of a log that gets little: each costs a hop to a thread."""
LITTLE_BYTES = 64 * 1024
MIB = 1024 * 1024


class LogNotWritten(OrchestratorError):
    """An attempt's log or prompt could not be made or written: the disk is full, or a file is in the way."""


class AttemptLog:
    """A log of at most `max_mib` MiB, never an earlier attempt's. `keep` writes what is taken.

    Attributes:
        is_full: it has got as much as it may hold; its last line says so.
        trouble: why it cannot be written, if it cannot.
    """

    def __init__(self, path: Path, max_mib: float) -> None:
        self.path = path
        self.is_full = False
        self.trouble: OSError | None = None
        self._max_mib, self._room = max_mib, int(max_mib * MIB)
        self._waiting = bytearray()
        self._closed = trio.Event()
        self._changed = trio.Event()

    def __enter__(self) -> AttemptLog:
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, 0o600)
        except OSError as error:
            self.trouble = error
            self.raise_trouble()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    @property
    def is_behind(self) -> bool:
        """The disk has been given more than it takes."""
        return len(self._waiting) >= BUFFER_BYTES and self.trouble is None

    def take(self, chunk: bytes) -> None:
        """Append, as far as there is room."""
        if not self.is_full and self.trouble is None:
            self._waiting += chunk[: self._room]
            self._room -= len(chunk)
            if self._room < 0:
                self.is_full = True
                said = f"it had printed {self._max_mib:g} MiB (max_log_mb)"
                line = f"\n[spec-kitty-orchestrator stopped it: {said}]\n"
                self._waiting += line.encode()
            self._change()

    async def caught_up(self) -> None:
        """Wait while the disk is behind."""
        while self.is_behind:
            await self._changed.wait()

    async def keep(self) -> None:
        """Write until `close`, or until that is not possible. Cancelled, it leaves a thread to its disk."""
        try:
            while self._waiting or not self._closed.is_set():
                if self._waiting:
                    await self._write_batch()
                else:
                    await self._changed.wait()
        except OSError as error:
            self.trouble = error
        except trio.Cancelled:
            self.trouble = OSError(errno.ETIMEDOUT, "the disk takes too long")
            raise
        finally:
            self._change()

    async def _write_batch(self) -> None:
        batch = bytes(self._waiting)
        self._waiting.clear()
        self._change()
        # A descriptor of the thread's own: one that is left behind must not write into whatever file is next.
        mine, limiter = os.dup(self._descriptor), trio.CapacityLimiter(1)
        await trio.to_thread.run_sync(_append, mine, batch, abandon_on_cancel=True, limiter=limiter)
        if len(batch) < LITTLE_BYTES:
            with trio.move_on_after(LINGER_SECONDS):
                await self._closed.wait()

    def close(self) -> None:
        """Nothing more comes; `keep` ends when all is written."""
        self._closed.set()
        self._change()

    def raise_trouble(self) -> None:
        """Raises LogNotWritten if there was trouble."""
        if self.trouble is not None:
            message = f"cannot write the log {self.path}: {self.trouble.strerror}"
            raise LogNotWritten(message) from self.trouble

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def _append(descriptor: int, data: bytes) -> None:
    """In a thread: write all, and let go of the descriptor."""
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)
