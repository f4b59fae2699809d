"""Shows a run to a person: a live board on a terminal, plain lines everywhere else."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TextIO

from attrs import define, field
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .events import (
    AttemptEnded,
    AttemptStarted,
    Event,
    LaneChanged,
    RunStarted,
    WaitingForAgents,
    WpEvent,
    WpLeft,
)
from .lines import Lines

REDRAWS_PER_SECOND = 4
NOTE_WIDTH = 60  # characters; the whole line is in events.jsonl


def open_display(stream: TextIO | None = None) -> Board | Lines:
    """The board if `stream` (stdout) is a terminal that can redraw, else lines."""
    stream = stream or sys.stdout
    if stream.isatty():
        console = Console(file=stream)
        if console.is_terminal and not console.is_dumb_terminal:
            return Board(console)
    return Lines(stream)


@define
class _Row:
    """What the board shows of one work package."""

    lane: str = ""
    doing: str = ""
    since: float | None = None
    note: str = ""
    attempts: int = 0


@define
class _Rows:
    """The board's content: what the events so far say."""

    title: str = ""
    by_wp: dict[str, _Row] = field(factory=dict)

    def take(self, event: Event) -> bool:
        """Takes in an event; False when it belongs to no row and must be printed."""
        if isinstance(event, RunStarted):
            self.title = f"{event.mission} · run {event.run_id}"
            self.by_wp = {wp_id: _Row(lane) for wp_id, lane in event.lanes.items()}
            return True
        if not isinstance(event, WpEvent):
            return False
        row = self.by_wp.setdefault(event.wp_id, _Row())
        if isinstance(event, LaneChanged):
            row.lane, row.note = event.lane, event.detail
        elif isinstance(event, AttemptStarted):
            row.doing, row.since = f"{event.role} by {event.agent}", time.monotonic()
            row.attempts, row.note = row.attempts + 1, ""
        elif isinstance(event, AttemptEnded):
            row.doing, row.since, row.note = "", None, event.message
        elif isinstance(event, WpLeft):
            row.doing, row.since, row.note = "", None, event.reason
        else:
            row.doing = "waiting" if isinstance(event, WaitingForAgents) else row.doing
            row.note = event.line.removeprefix(f"{event.wp_id} ")
        return True


class Board:
    """A table that is redrawn in place, one row for each work package, as long as there is a terminal."""

    def __init__(self, console: Console) -> None:
        self._rows = _Rows()
        self._live = Live(
            console=console,
            get_renderable=self._table,
            refresh_per_second=REDRAWS_PER_SECOND,
            auto_refresh=False,
        )

    def __enter__(self) -> Board:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._live.stop()

    def __call__(self, event: Event) -> None:
        with suppress(OSError):
            if not self._rows.take(event):
                self._live.console.print(event.line, markup=False)
            self._live.refresh()

    def tick(self) -> None:
        """Redraws the times."""
        with suppress(OSError):
            self._live.refresh()

    def _table(self) -> Table:
        table = Table(title=self._rows.title, title_justify="left", expand=False)
        for heading in ("WP", "lane", "now", "for", "attempts", "note"):
            table.add_column(heading)
        for wp_id, row in sorted(self._rows.by_wp.items()):
            seconds = "" if row.since is None else f"{time.monotonic() - row.since:.0f} s"
            note = row.note if len(row.note) <= NOTE_WIDTH else row.note[:NOTE_WIDTH] + "…"
            cells = (wp_id, row.lane, row.doing, seconds, str(row.attempts), " ".join(note.split()))
            table.add_row(*(Text(cell) for cell in cells))
        return table
