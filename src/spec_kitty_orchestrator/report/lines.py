"""One line for each event: for a pipe, a file, and a terminal that cannot redraw."""

from __future__ import annotations

from typing import TextIO

from .events import Event
from .times import utc_now


class Lines:
    """One line for each event, with the time of day; a reader that has gone away is no trouble."""

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __call__(self, event: Event) -> None:
        if self._stream is None:
            return
        try:
            print(f"{utc_now()[11:19]} {event.line}", file=self._stream, flush=True)
        except (OSError, ValueError):
            self._stream = None
