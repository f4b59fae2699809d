"""One line for each event: for a pipe, a file, and a terminal that cannot redraw."""

from __future__ import annotations

from typing import TextIO

from .events import Event
from .outlet import Voice
from .times import utc_now


class Lines:
    """One line for each event, with the time of day; notices go to stderr."""

    def __init__(self, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self._say = Voice(stdout, stderr)

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self._say.__exit__()

    def __call__(self, event: Event) -> None:
        self._say(f"{utc_now()[11:19]} {event.line}")

    def notice(self, line: str) -> None:
        """Shows a line that is no event."""
        self._say(line, err=True)
