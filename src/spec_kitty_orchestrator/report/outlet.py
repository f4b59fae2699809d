"""Threads for what may block: a terminal or a pipe that nobody reads, a disk that is slow."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TextIO

Job = Callable[[], object]

MOST_WAITING = 1000
"""Lines that wait for a terminal or a pipe that takes none; of more, the oldest are not shown."""
LAST_WORDS_SECONDS = 1.0
"""What the last lines may need to leave, at the end of everything; then we leave without them."""


class Outlet:
    """Does the jobs that it is given in order, in a thread of its own; giving it one never waits.

    The thread is a daemon: one that hangs does not outlive the program.

    Args:
        most: jobs that may wait; the oldest is dropped when there are more. None: as many as there are.
        missed: is told how many were dropped, when jobs are done again.
        every: seconds of quiet after which `idle` is done; None: never.
    """

    def __init__(
        self,
        most: int | None = None,
        missed: Callable[[int], object] = lambda _: None,
        every: float | None = None,
        idle: Job = lambda: None,
    ) -> None:
        self._missed, self._every, self._idle = missed, every, idle
        self._jobs: deque[Job] = deque(maxlen=most)
        self._dropped = 0
        self._trouble: Exception | None = None
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Have a job done after all others."""
        with self._changed:
            self._dropped += len(self._jobs) == self._jobs.maxlen
            self._jobs.append(job)
            self._changed.notify_all()

    def close(self, seconds: float) -> bool:
        """Wait, so long at most, until everything is done; whether it is."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(seconds)
        if (problem := self._trouble) is not None:
            self._trouble = None
            words = f"something could not be shown or stored: {problem!r} (please report it)"
            heard_or_not(partial(print, words, file=sys.stderr))
        return not self._thread.is_alive()

    def pause(self, seconds: float) -> bool:
        """For a job that wants to try again: wait; False when there is no time left, as we are closing."""
        with self._changed:
            return not self._changed.wait_for(lambda: self._closing, seconds)

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception as problem:  # noqa: BLE001 - one job must not end the thread, and all after it
                self._trouble = self._trouble or problem

    def _next(self) -> Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closing, self._every)
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                return partial(self._missed, dropped)
            if self._jobs:
                return self._jobs.popleft()
            return None if self._closing else self._idle


class Voice:
    """Lines for a person, on stdout and stderr. Whether anybody reads them is no trouble of who says them.

    Leaving it waits for the last lines, `LAST_WORDS_SECONDS` at most.
    """

    def __init__(self, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self._stdout, self._stderr = stdout or sys.stdout, stderr or sys.stderr
        self._for_stdout = _for_lines_on(self._stdout)
        one = _are_one(self._stdout, self._stderr)
        self._for_stderr = self._for_stdout if one else _for_lines_on(self._stderr)

    def __enter__(self) -> Voice:
        return self

    def __exit__(self, *_: object) -> None:
        for outlet in {self._for_stdout, self._for_stderr}:
            outlet.close(LAST_WORDS_SECONDS)

    def __call__(self, line: str, *, err: bool = False) -> None:
        """Say it; on stderr with `err`."""
        outlet, stream = (self._for_stderr, self._stderr) if err else (self._for_stdout, self._stdout)
        outlet.put(partial(_print, line, stream))


def not_shown(count: int) -> str:
    """What is said in place of lines that nobody took."""
    return f"... {count} lines not shown: nobody read them; events.jsonl holds what happened"


def heard_or_not(job: Job) -> None:
    """Do what shows something; that the terminal or the reader has gone away is no trouble."""
    with suppress(OSError, ValueError):  # the latter: the stream is closed
        job()


def within(seconds: float, job: Job) -> bool:
    """Do something that may block for ever; whether it was done in time."""
    outlet = Outlet()
    outlet.put(partial(heard_or_not, job))
    return outlet.close(seconds)


def _for_lines_on(stream: TextIO) -> Outlet:
    return Outlet(MOST_WAITING, missed=lambda count: _print(not_shown(count), stream))


def _print(line: str, stream: TextIO) -> None:
    heard_or_not(partial(print, line, file=stream, flush=True))


def _are_one(stdout: TextIO, stderr: TextIO) -> bool:
    """Both are the same terminal, pipe or file: what is said stays in order."""
    with suppress(OSError, ValueError):  # no real file is behind one of them
        return os.path.sameopenfile(stdout.fileno(), stderr.fileno())
    return False
