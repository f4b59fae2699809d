"""The report: a table of commands and columns, the breaches in words, and what is new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .audit import COLUMNS, Breach
from .cases import CASES
from .recording import Recording


def report(recording: Recording, host: str) -> list[str]:
    """The lines of it."""
    breaches = recording.breaches()
    lines = [f"host: {host}", "", *_table(recording, breaches), ""]
    lines += [str(breach) for breach in breaches]
    if recording.stopped:
        left = len(CASES) - len(recording.reached())
        lines.append(f"{left} of {len(CASES)} cases were not reached: {recording.stopped}")
    lines += [f"new, and no breach: {text}" for text in recording.additions()]
    return [*lines, _verdict(recording, breaches)]


def _verdict(recording: Recording, breaches: Sequence[Breach]) -> str:
    if breaches or recording.stopped:
        return f"does not conform: {len(breaches)} breach{'es' if len(breaches) != 1 else ''}"
    return f"conforms: {len(CASES)} cases, no breach"


def _table(recording: Recording, breaches: Sequence[Breach]) -> list[str]:
    reached = Counter(case.command for case in recording.reached())
    commands = list(dict.fromkeys([*(case.command for case in CASES), *(b.command for b in breaches)]))
    broken = Counter((breach.command, breach.column) for breach in breaches)
    rows: list[tuple[str, ...]] = [("command", "cases", *COLUMNS)]
    for command in commands:
        cells = (_cell(broken[command, column], reached[command]) for column in COLUMNS)
        rows.append((command, str(reached[command] or "-"), *cells))
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _cell(breaches: int, reached: int) -> str:
    if breaches:
        return f"{breaches} broken"
    return "ok" if reached else "-"
