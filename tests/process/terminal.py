"""A real terminal, and what stands on it: a pty, whose output `pyte` reads as a terminal does."""

from __future__ import annotations

import copy
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pyte
from tests.process.stage import PATIENCE

OTHER_SCREEN = 1049
TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""Makes it the one that Ctrl-C comes from, before the program itself; no `preexec_fn`, as we have threads."""


class TwoScreens(pyte.HistoryScreen):
    """As terminals have it, and pyte does not: another screen beside the one that scrolls.

    Attributes:
        kept: what stands on the first one while the other is shown: its lines, its cursor, what has left it.
    """

    kept: tuple[Any, ...] | None = None

    def set_mode(self, *modes: int, **how: Any) -> None:
        if how.get("private") and OTHER_SCREEN in modes and self.kept is None:
            self.kept = copy.deepcopy(
                (dict(self.buffer), (self.cursor.x, self.cursor.y), [*self.history.top])
            )
            self.erase_in_display(2)
        super().set_mode(*modes, **how)

    def reset_mode(self, *modes: int, **how: Any) -> None:
        if how.get("private") and OTHER_SCREEN in modes and self.kept is not None:
            lines, (self.cursor.x, self.cursor.y), left = self.kept
            self.kept = None
            self.buffer.clear()
            self.buffer.update(lines)
            self.history.top.clear()
            self.history.top.extend(left)
            self.dirty.update(range(self.lines))
        super().reset_mode(*modes, **how)


class Terminal:
    """One that a program runs on; its output is read when it is looked at.

    Attributes:
        raw: all that was written to it.
    """

    def __init__(self, columns: int, lines: int) -> None:
        self.screen = TwoScreens(columns, lines, history=5000, ratio=0.5)
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)
        self._ours, self._theirs = pty.openpty()
        self.process: subprocess.Popen[bytes] | None = None
        self._size(columns, lines)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    def start(self, argv: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Runs a program on it, which is the one that its keys go to."""
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", TAKE_TERMINAL, *argv],
            cwd=cwd,
            env={**environ, "TERM": environ.get("TERM", "xterm-256color")},
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
        )
        return self.process

    def wait(self) -> int:
        """Its exit status, when it has ended; what it says is read meanwhile."""
        assert self.process is not None
        self.until(lambda: self.process is not None and self.process.poll() is not None)
        self.look()
        return self.process.returncode

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def resize(self, columns: int, lines: int) -> None:
        """The window is given another size; whoever runs in it is told."""
        self._size(columns, lines)
        self.screen.resize(lines, columns)

    @property
    def settings(self) -> list[Any]:
        """Echo, line by line, and the like."""
        return termios.tcgetattr(self._theirs)

    def look(self) -> list[str]:
        """What stands on it now, line by line."""
        while select.select([self._ours], [], [], 0)[0]:
            chunk = os.read(self._ours, 65536)
            self.raw += chunk
            self._stream.feed(chunk)
        return [line.rstrip() for line in self.screen.display]

    @property
    def scrollback(self) -> list[str]:
        """What has left it at the top."""
        rows = self.screen.history.top
        return ["".join(row[x].data for x in range(self.screen.columns)).rstrip() for row in rows]

    def until(self, what: Callable[[], object]) -> None:
        """Looks at it until something is so."""
        until = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < until, "\n".join(self.look())
            select.select([self._ours], [], [], 0.05)
            self.look()

    def until_shown(self, *words: str) -> list[str]:
        """Until these stand on it; then all of it."""
        self.until(lambda: all(any(word in line for line in self.look()) for word in words))
        return self.look()

    def _size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
