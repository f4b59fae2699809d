"""Carries events to whoever listens: a display, and the file that holds them all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TextIO

from .events import Event
from .outlet import Outlet, heard_or_not
from .schema import as_line
from .times import utc_now

CLOSE_SECONDS = 5.0
"""What the last events may need to reach a slow disk, at the end of the run."""
TRY_AGAIN_SECONDS = 1.0

Listener = Callable[[Event], None]


class EventStream:
    """Hands each event to all listeners, in order, at once."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = list(listeners)

    def add(self, listener: Listener) -> None:
        """One more listener, for what happens from now on."""
        self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        """Tells all listeners."""
        for listener in self._listeners:
            listener(event)


class JsonLines:
    """A listener that appends each event to `events.jsonl` as a line of `schema.as_line`.

    The disk is written in a thread. While it refuses, events are kept and tried again.

    Args:
        tell: is told, in that thread, when the disk refuses, and at last what could not be written.
    """

    def __init__(self, path: Path, tell: Callable[[str], None] = lambda _: None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._tell = path, tell
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._refused = ""
        self._lost = 0
        self._outlet = Outlet()

    def __call__(self, event: Event) -> None:
        self.write(utc_now(), event)

    def write(self, time: str, event: Event) -> None:
        """Append what happened at that time; never waits."""
        self._outlet.put(partial(self._append, time, event))

    def close(self) -> None:
        """Waits until all is written, `CLOSE_SECONDS` at most, and closes the file."""
        if self._outlet.close(CLOSE_SECONDS):
            os.close(self._descriptor)
        else:
            self._tell(f"{self._path} may lack the last events: the disk does not answer")
        if self._lost:
            self._tell(f"{self._path} lacks the last {self._lost} events: {self._refused}")

    def _append(self, time: str, event: Event) -> None:
        left = f"{_line(time, event)}\n".encode()
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except OSError as problem:
                self._note_refusal(problem.strerror or str(problem))
                if not self._outlet.pause(TRY_AGAIN_SECONDS):
                    self._lost += 1
                    return

    def _note_refusal(self, reason: str) -> None:
        if not self._refused:
            self._refused = reason
            self._tell(f"cannot write {self._path}: {reason}; what happens is kept, and tried again")


class PipedEvents:
    """Prints each event on a stream, mostly stdout, as the line that is in the file.

    None is dropped while somebody reads, however slowly. That the reader goes away is no trouble.

    Args:
        tell: is told at last that not all could be printed.
    """

    def __init__(self, stream: TextIO, tell: Callable[[str], None] = lambda _: None) -> None:
        self._stream, self._tell = stream, tell
        self._outlet = Outlet()

    def write(self, time: str, event: Event) -> None:
        """Print what happened at that time; never waits."""
        self._outlet.put(partial(heard_or_not, partial(self._print, time, event)))

    def close(self) -> None:
        """Waits until all is printed, `CLOSE_SECONDS` at most."""
        if not self._outlet.close(CLOSE_SECONDS):
            self._tell("the events on stdout lack the last ones: nobody reads them")

    def _print(self, time: str, event: Event) -> None:
        print(_line(time, event), file=self._stream, flush=True)


class Records:
    """A listener that has each event written wherever it is to be kept, with one time for all.

    Args:
        path: of `events.jsonl`.
        tell: see `JsonLines`.
        stream: where the same lines are to be printed; None: nowhere.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path, tell: Callable[[str], None], stream: TextIO | None = None) -> None:
        file = JsonLines(path, tell)
        self._writers: list[JsonLines | PipedEvents] = [file]
        if stream is not None:
            self._writers.append(PipedEvents(stream, tell))

    def __call__(self, event: Event) -> None:
        time = utc_now()
        for writer in self._writers:
            writer.write(time, event)

    def close(self) -> None:
        """Waits until all is written, `CLOSE_SECONDS` at most for each."""
        for writer in self._writers:
            writer.close()


def _line(time: str, event: Event) -> str:
    return json.dumps(as_line(time, event))
