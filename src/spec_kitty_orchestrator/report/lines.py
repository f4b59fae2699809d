"""One line for each event: for a pipe, a file, CI, `--plain`, and a terminal that cannot redraw."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console
from rich.text import Text

from .events import AttemptEnded, Event, ProcessesLeft, RunEnded, VerdictGiven, WpLeft
from .harmless import in_signs
from .outlet import Voice
from .reading import TimedEvent
from .times import local_time


class Lines:
    """One line for each event, with the time of day where we are and its offset; notices go to stderr.

    In colours only where rich finds that somebody wants them: on a terminal, or with `FORCE_COLOR`.
    """

    def __init__(self, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self._say = Voice(stdout, stderr)
        self._console = Console(file=stdout or sys.stdout)

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self._say.__exit__()

    def __call__(self, event: Event) -> None:
        self.tell(TimedEvent(time.time(), event))

    def tell(self, timed: TimedEvent) -> None:
        """Shows what happened at some time."""
        if timed.event.line:
            self._say(self._painted(f"{local_time(timed.time)} ", timed.event))

    def recall(self, earlier: Iterable[TimedEvent]) -> None:
        """What happened before was shown when it did."""

    def notice(self, line: str) -> None:
        """Shows a line that is no event."""
        self._say(in_signs(line), err=True)

    def _painted(self, when: str, event: Event) -> str:
        if self._console.color_system is None or self._console.no_color:
            return when + in_signs(event.line)
        with self._console.capture() as painted:
            line = Text().append(when, "dim").append(in_signs(event.line), tone(event))
            self._console.print(line, soft_wrap=True, highlight=False, end="")
        return painted.get()


def tone(event: Event) -> str:
    """How an event's words look, as a style of rich; what goes its way has none of its own."""
    if isinstance(event, ProcessesLeft | WpLeft) or "WARNING" in event.line:
        return "red"
    if isinstance(event, VerdictGiven):
        return "green" if event.verdict == "approved" else "yellow"
    if isinstance(event, AttemptEnded):
        return "" if event.outcome == "succeeded" else "yellow"
    return "bold" if isinstance(event, RunEnded) else ""
