"""How a run stands as lines for a person, good on 80 columns, for `status`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from rich.text import Text

from ..mission.records import WpRecord
from ..report.harmless import in_signs
from ..report.picture import LOOK, Need, Row, bar, packed
from ..report.rows import picture_of
from ..report.times import local_minute
from ..report.totals import NOTHING
from .overview import Overview

COMMIT_SHOWN = 12  # of its digits; the state file has them all
LEAST_WIDTH = 20
"""Columns for what is said of a work package, however narrow the terminal is."""


def text_of(found: Overview, now: float, width: int) -> Iterator[Text]:
    """The run, one fact a line, then each work package, then what it has cost."""
    yield from _head(found)
    picture = picture_of(found.current, now, lambda _: "")
    if picture.rows:
        yield bar(picture.counts, width)
        yield Text()
    wp_id = max((len(row.wp_id) for row in picture.rows), default=0)
    lane = max((len(row.lane) for row in picture.rows), default=0)
    for row in picture.rows:
        mark, style = LOOK[row.need]
        line = Text().append(f"{mark} ", style).append(f"{row.wp_id:{wp_id}}  {row.lane:{lane}}  ")
        indent = line.cell_len
        first, *more = [*_words(found, row, max(width - indent, LEAST_WIDTH))] or [""]
        yield line.append(first)
        yield from (Text(" " * indent + words) for words in more)
    yield from (Text(words) for words in found.state.totals.lines())


def _head(found: Overview) -> Iterator[Text]:
    state = found.state
    yield Text(f"run {state.run_id}: {found.how}", "bold")
    yield Text(f"mission {state.mission}, actor {state.actor}")
    began, changed = local_minute(state.started_at), local_minute(state.updated_at)
    yield Text(f"started {began}, last change {changed}")
    yield Text(f"logs in {found.log_dir.relative_to(found.root)}/")
    if found.is_live:
        yield Text("lanes as the host says now")
    yield from (Text(in_signs(line)) for line in state.reason.splitlines())


def _words(found: Overview, row: Row, width: int) -> Iterator[str]:
    """What became of a work package: who tried, what came of it, what it waits for; and its last error."""
    record = found.record(row.wp_id)
    total = found.state.totals.by_work_package.get(row.wp_id, NOTHING)
    facts = [found.wp_story(row.wp_id).title, *_attempts(record), total.tokens, total.cost]
    if found.is_alive or row.need is Need.IDLE:
        facts.append(" ".join(filter(None, (row.now, row.time))))
    if record.approved_commit is not None:
        by = f" by {record.approved_by}" if record.approved_by else ""
        facts.append(f"approved {record.approved_commit[:COMMIT_SHOWN]}{by}")
    if record.attempts:
        facts.append(f"log {Path(record.attempts[-1].log).name}")
    yield from packed([*map(in_signs, filter(None, facts))], width)
    if record.last_error and row.need is not Need.THROUGH:
        yield from textwrap.wrap(in_signs(" ".join(record.last_error.split())), width)


def _attempts(record: WpRecord) -> Iterator[str]:
    if not record.attempts:
        return
    count, failed = len(record.attempts), sum(attempt.failed for attempt in record.attempts)
    yield f"{count} attempt{'' if count == 1 else 's'}{f', {failed} failed' if failed else ''}"
    if record.rejections:
        yield "sent back once" if record.rejections == 1 else f"sent back {record.rejections} times"
    yield ", ".join(dict.fromkeys(attempt.agent for attempt in record.attempts))
