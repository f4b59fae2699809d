"""What the agents at work said or did last, read from the ends of their logs, for whoever draws."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from attrs import define, field

TAIL_BYTES = 64 * 1024
"""So much of a log's end is read."""

WordsOf = Callable[[str, bytes, bool], str]
"""What the end of a log says last, on one line: agent, that end, and whether something stands before it."""


@define
class _Read:
    """How large a log was when it was read, and what stood last in it."""

    size: int = 0
    said: str = ""


@define
class Overheard:
    """The last words of agents at work. Costs a `stat` for each of them as long as they say nothing.

    May wait for a disk: ask in a thread that nobody waits for.

    Args:
        root: what the logs' paths are relative to.
        words_of: reads the end of a log.
    """

    root: Path
    words_of: WordsOf
    _read: dict[str, _Read] = field(factory=dict, init=False)

    def last(self, agent: str, log: str) -> str:
        """What this agent said or did last, as far as its log tells; else an empty text."""
        read = self._read.setdefault(log, _Read())
        with (
            suppress(OSError),
            (self.root / log).open("rb") as file,
        ):  # it may not be there yet, or not any more
            size = os.fstat(file.fileno()).st_size
            if size > read.size:
                begin = max(0, size - TAIL_BYTES)
                file.seek(begin)
                read.size = size
                read.said = self.words_of(agent, file.read(TAIL_BYTES), begin > 0) or read.said
        return read.said
