"""What the keeper elsewhere has told (see `_far.py`), and what that makes of the end of its command."""

from __future__ import annotations

import ast
import contextlib
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from .ending import EndedBy, Ending
from .launcher import FarJob, LauncherKind

MOST_BYTES = 1024 * 1024


@frozen
class FarReport:
    """A report as far as it is written.

    Attributes:
        here: the machine, once all that is needed was found there; `job`: the cluster's name for it there.
        refused: why it was not begun there.
        failed: the `errno` that executing the command ended with.
        stopped: what it was stopped by, when that was none of our orders: `outside`, or `silence` (its
            stdin ended, or brought nothing).
        exited: the command's exit status, or the signal that ended it, negative.
        done: whether everything below the keeper is gone; None: it has not told yet.
    """

    here: str = ""
    job: str = ""
    refused: str = ""
    started: int | None = None
    failed: int | None = None
    stopped: str = ""
    exited: int | None = None
    done: bool | None = None
    swept: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def is_expected(self) -> bool:
        """More should come: it has begun to tell, and has not told the end."""
        return bool(self.here) and self.done is None and self.failed is None

    @property
    def is_conclusive(self) -> bool:
        """By what is told, nothing can be left there that is not named."""
        return self.done is not None or self.failed is not None or bool(self.refused)


def read_report(path: Path) -> FarReport:
    """The report. A file that is opened anew is asked about at its server, whatever was known of it here."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        return parse_report(file.read(MOST_BYTES))
    return FarReport()


def parse_report(text: bytes) -> FarReport:
    """What a report says; a line that is not whole, or is none of the keeper's, says nothing."""
    report = FarReport()
    for line in text.split(b"\n")[:-1]:
        with contextlib.suppress(ValueError, SyntaxError, TypeError):
            told: dict[str, Any] = ast.literal_eval(line.decode())
            changes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in told.items()}
            report = evolve(report, **changes)
    return report


def how_it_ended(told: FarReport, job: FarJob, seconds: float, known_here: tuple[str, str]) -> Ending:
    """The end of a command elsewhere.

    Args:
        known_here: why it was given up before it began, and why nobody knows whether the job has ended.
    """
    late, trouble = known_here
    by, words = EndedBy.EXITED, ""
    if not told.here:
        by, words = EndedBy.NOT_LAUNCHED, told.refused or late
    elif told.stopped == "silence":
        by, words = EndedBy.LOST, f"stopped on {told.here}, where nothing was heard from here any more"
    elif told.is_expected:
        by, words = EndedBy.LOST, f"its end on {told.here} was not heard of"
    elif told.stopped:
        by, words = EndedBy.ENDED_THERE, f"stopped on {told.here} from outside"
    status = told.exited
    code, signum = (status, None) if status is None or status >= 0 else (None, -status)
    return Ending(code, signum, by, told.swept, seconds, (), words, _what_is_left(told, job, trouble))


def _what_is_left(told: FarReport, job: FarJob, trouble: str) -> str:
    if told.left:
        return f"{', '.join(told.left)} on {told.here}"
    if told.is_conclusive:
        held = trouble and job.kind is LauncherKind.SLURM
        return f"{job}: it has ended, and may still hold its place ({trouble})" if held else ""
    if trouble:
        return f"{job}: nobody knows whether it has ended ({trouble})"
    if told.here and job.kind is LauncherKind.COMMAND and not job.cleanup:
        return f"{job} on {told.here}: nobody can be asked whether it has ended"
    return ""
