"""Shows a run to a person: a board on a terminal, plain lines everywhere else."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from .events import Event, RunEnded, RunStarted, WpEvent
from .harmless import in_signs
from .lines import Lines
from .outlet import LAST_WORDS_SECONDS, Outlet, heard_or_not, not_shown
from .overheard import Overheard
from .picture import draw
from .reading import TimedEvent
from .rows import picture_of
from .story import Story
from .times import local_time
from .wp_story import AttemptStory

REDRAW_SECONDS = 0.25
NEWS_KEPT = 20
"""Lines on the run as a whole that are shown once more when it is over."""
NO = ("", "0", "false", "no")


def open_display(
    stream: TextIO | None = None,
    *,
    plain: bool = False,
    overheard: Overheard | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Board | Lines:
    """The board if `stream` (stdout) is a terminal that can redraw; lines if not, in CI, and with `plain`."""
    stream = stream or sys.stdout
    if not plain and stream.isatty() and environ.get("CI", "").lower() in NO:
        console = Console(file=stream)
        if console.is_terminal and not console.is_dumb_terminal:
            return Board(console, overheard)
    return Lines(stream)


class Board:
    """A picture of the run that is redrawn, at most four times a second, as long as there is a terminal.

    It stands on the terminal's other screen: nothing of it is left above the prompt, and resizing leaves no
    rests. When it is closed, the last picture and the summary are printed where the user was. A thread does
    all of that, and makes out what happened; giving it an event costs next to nothing.
    """

    def __init__(self, console: Console, overheard: Overheard | None = None) -> None:
        self._console = console
        self._overheard = overheard
        self._arrived: deque[TimedEvent | str] = deque()  # from whoever tells, to the thread
        self._story = Story()
        self._news: deque[str] = deque(maxlen=NEWS_KEPT)
        self._missed = 0
        self._drawn: list[Text] = []
        self._live = Live(
            console=console,
            get_renderable=lambda: Group(*self._drawn),
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._outlet = Outlet(every=REDRAW_SECONDS, idle=partial(heard_or_not, self._redraw))

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        self._outlet.put(partial(heard_or_not, self._draw_at_last))
        self._outlet.close(LAST_WORDS_SECONDS)

    def __call__(self, event: Event) -> None:
        self.tell(TimedEvent(time.time(), event))

    def tell(self, timed: TimedEvent) -> None:
        """Takes in what happened at some time; rows are never dropped."""
        self._arrived.append(timed)

    def recall(self, earlier: Iterable[TimedEvent]) -> None:
        """Takes in what happened in earlier starts of the run."""
        self._arrived.extend(earlier)

    def notice(self, line: str) -> None:
        """Shows a line below the rows."""
        self._arrived.append(line)

    # In the thread.

    def _take_in(self) -> None:
        while self._arrived:
            told = self._arrived.popleft()
            if isinstance(told, str):
                self._note(time.time(), told)
                continue
            if isinstance(told.event, RunStarted):
                self._news.clear()  # of an earlier start
            self._story.take(told.time, told.event)
            if not isinstance(told.event, WpEvent | RunStarted | RunEnded):
                self._note(told.time, told.event.line)

    def _note(self, when: float, line: str) -> None:
        self._missed += len(self._news) == self._news.maxlen
        self._news.append(f"{local_time(when)} {in_signs(line)}")

    def _redraw(self) -> None:
        self._take_in()
        if self._story.start is None:  # there is nothing to draw yet
            self._print_news()
            return
        lines = self._lines(*self._console.size)
        if lines != self._drawn:
            self._drawn = lines
            self._live.start()
            self._live.refresh()

    def _draw_at_last(self) -> None:
        try:
            self._take_in()
        finally:
            self._live.stop()  # whatever happened: the terminal is the user's again
        if self._story.start is not None:
            for line in self._lines(self._console.width):
                self._print(line)
            self._print(Text())
        self._print_news()
        if (start := self._story.start) is not None and start.ended is not None:
            for words in (*start.summary.splitlines(), *self._story.totals.lines()):
                self._print(Text(in_signs(words)))

    def _lines(self, width: int, height: int | None = None) -> list[Text]:
        news = () if height is None else (*self._news,)
        picture = picture_of(self._story, time.time(), self._overhear, news)
        return draw(picture, width, height, plain=not self._console.encoding.startswith("utf"))

    def _overhear(self, attempt: AttemptStory) -> str:
        return "" if self._overheard is None else self._overheard.last(attempt.agent, attempt.log)

    def _print_news(self) -> None:
        if self._missed:
            self._print(Text(not_shown(self._missed)))
        for line in self._news:
            self._print(Text(line))
        self._news.clear()
        self._missed = 0

    def _print(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True, highlight=False)
