"""The clock of a run: time passes only while this process is there to see it."""

from __future__ import annotations

import time

import trio

LONGEST_SLEEP = 0.25
"""How long the event loop sleeps at most, in seconds; what passes beyond that is no sleep of its own."""
LONGEST_STEP = 2 * LONGEST_SLEEP
"""How far the clock goes from one look to the next, in seconds: a busy machine wakes us late."""


class SteadyClock(trio.abc.Clock):
    """Stands still while this process is suspended (Ctrl-Z, a stalled machine), up to `LONGEST_STEP`.

    Without it every deadline that has passed meanwhile fires before anybody can read what an agent has said.
    """

    def __init__(self) -> None:
        self._time = 0.0
        self._seen = time.monotonic()

    def start_clock(self) -> None:
        """Begins with the event loop."""
        self._seen = time.monotonic()

    def current_time(self) -> float:
        """Seconds since the start that this process has seen pass."""
        now = time.monotonic()
        self._time += min(now - self._seen, LONGEST_STEP)
        self._seen = now
        return self._time

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """How long to sleep before the next look, in seconds."""
        return min(deadline - self.current_time(), LONGEST_SLEEP)
