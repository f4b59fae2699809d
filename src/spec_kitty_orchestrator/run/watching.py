"""Shows a run from another terminal, as its events come, until it is over."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..report.board import Board
from ..report.events import RunEnded, RunStarted
from ..report.lines import Lines
from ..report.reading import EventFile

LOOK_SECONDS = 0.25
NO_END = "it was killed; go on with: spec-kitty-orchestrator resume"


def watch(file: EventFile, is_alive: Callable[[], bool], display: Board | Lines) -> None:
    """Hands all events to a display, those that are there and those that come, until the run is over.

    Args:
        is_alive: whether somebody still writes them.

    Raises:
        OSError: the file is there and cannot be read.
    """
    is_over, alive = False, True
    while alive:
        alive = is_alive()  # before the look: what was written until then is seen by it
        for timed in file.more():
            display.tell(timed)
            is_over = isinstance(timed.event, RunEnded) or (
                is_over and not isinstance(timed.event, RunStarted)
            )
        if alive:
            time.sleep(LOOK_SECONDS)
    for problem in file.problems:
        display.notice(problem)
    if not is_over:
        display.notice(NO_END)
