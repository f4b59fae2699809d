"""Shows a run to a person: a live board on a terminal, plain lines everywhere else."""

from __future__ import annotations

import sys
import threading
import time
from functools import partial
from typing import TextIO

from attrs import define, evolve, field
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
    WpPutOff,
)
from .lines import Lines
from .outlet import LAST_WORDS_SECONDS, MOST_WAITING, Outlet, heard_or_not, not_shown

REDRAW_SECONDS = 0.5
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
        elif isinstance(event, WpLeft | WpPutOff):
            row.doing, row.since, row.note = "", None, event.reason
        else:
            row.doing = "waiting" if isinstance(event, WaitingForAgents) else row.doing
            row.note = event.line.removeprefix(f"{event.wp_id} ")
        return True


class Board:
    """A table that is redrawn in place, one row for each work package, as long as there is a terminal.

    All of it is drawn in a thread; rows are never dropped, and only they are shared, under the lock.
    """

    def __init__(self, console: Console) -> None:
        self._rows = _Rows()
        self._lock = threading.Lock()
        self._console = console
        self._live = Live(
            console=console,
            get_renderable=self._table,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._outlet = Outlet(
            MOST_WAITING,
            missed=lambda count: self._print(not_shown(count)),
            every=REDRAW_SECONDS,
            idle=partial(heard_or_not, self._redraw),
        )

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        self._outlet.put(partial(heard_or_not, self._draw_at_last))
        self._outlet.close(LAST_WORDS_SECONDS)

    def __call__(self, event: Event) -> None:
        with self._lock:
            has_row = self._rows.take(event)
        if not has_row:
            self.notice(event.line)

    def notice(self, line: str) -> None:
        """Shows a line above the table."""
        self._outlet.put(partial(self._print, line))

    # In the thread.

    def _print(self, line: str) -> None:
        heard_or_not(partial(self._console.print, line, markup=False))

    def _redraw(self) -> None:
        if self._rows.title:  # before the run has begun there is nothing to show
            self._live.start()
            self._live.refresh()

    def _draw_at_last(self) -> None:
        if self._rows.title:
            self._live.start()
        self._live.stop()

    def _table(self) -> Table:
        with self._lock:
            title = self._rows.title
            rows = [(wp_id, evolve(row)) for wp_id, row in sorted(self._rows.by_wp.items())]
        table = Table(title=title, title_justify="left", expand=False)
        for heading in ("WP", "lane", "now", "for", "attempts", "note"):
            table.add_column(heading)
        for wp_id, row in rows:
            seconds = "" if row.since is None else f"{time.monotonic() - row.since:.0f} s"
            note = row.note if len(row.note) <= NOTE_WIDTH else row.note[:NOTE_WIDTH] + "…"
            cells = (wp_id, row.lane, row.doing, seconds, str(row.attempts), " ".join(note.split()))
            table.add_row(*(Text(cell) for cell in cells))
        return table
