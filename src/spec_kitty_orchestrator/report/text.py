"""A report as plain text, and as Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from .document import BAD, GOOD, Chapter, Document, Happening, Table

SIGNS = {GOOD: "+", BAD: "!"}
WIDTH = 98
"""Characters of a line of our own words, where others' may be longer."""
WIDEST_CELL = 44
"""Characters of a cell of a plain table; the whole is in `events.jsonl`."""


def plain(document: Document) -> Iterator[str]:
    """Lines for a terminal or a file."""
    yield document.heading
    yield document.standing
    yield from (f"warning: {problem}" for problem in document.problems)
    yield ""
    width = max(len(name) for name, _ in document.facts)
    yield from (f"{name.ljust(width)}  {value}" for name, value in document.facts)
    if document.summary:
        yield ""
        yield from document.summary.splitlines()
    for table in document.tables:
        yield from ("", table.heading.upper())
        yield from _plain_table(table)
    for each in document.chapters:
        yield from ("", f"{each.wp_id} {each.title}".strip() + f" ({each.lane})")
        yield from _plain_chapter(each)
    if document.notices:
        yield from ("", "NOTICES")
        yield from (f"  {notice.clock} {notice.what}" for notice in document.notices)


def _plain_table(table: Table) -> Iterator[str]:
    rows = [tuple(map(_short, row)) for row in (table.columns, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if index in table.numbers else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"  {'  '.join(cells).rstrip()}"
    yield from (f"  {line}" for line in textwrap.wrap(table.note, WIDTH))


def _short(cell: str) -> str:
    return cell if len(cell) <= WIDEST_CELL else f"{cell[: WIDEST_CELL - 1]}…"


def _plain_chapter(chapter: Chapter) -> Iterator[str]:
    if chapter.facts:
        yield f"  {chapter.facts}"
    for entry in chapter.entries:
        yield f"  {SIGNS.get(entry.tone, ' ')} {entry.clock} {entry.what}"
        yield from (f"      | {line}" for line in entry.words.splitlines())


def markdown(document: Document) -> Iterator[str]:
    """Lines of Markdown, as GitHub and GitLab show it. Other people's words are code, or escaped."""
    yield from (f"# {_escaped(document.heading)}", "", f"**{_escaped(document.standing)}**", "")
    yield from (f"> warning: {_escaped(problem)}" for problem in document.problems)
    yield from (f"- {name}: {_escaped(value)}" for name, value in document.facts)
    if document.summary:
        yield from ("", *_fenced(document.summary))
    for table in document.tables:
        yield from ("", f"## {table.heading}", "")
        yield from _markdown_table(table)
    yield from ("", "## What happened")
    for each in document.chapters:
        yield from ("", f"### {_escaped(f'{each.wp_id} {each.title}'.strip())} ({_escaped(each.lane)})", "")
        yield from ([_escaped(each.facts), ""] if each.facts else [])
        yield from (line for entry in each.entries for line in _markdown_entry(entry))
    if document.notices:
        yield from ("", "## Notices", "")
        yield from (f"- {notice.clock} {_escaped(notice.what)}" for notice in document.notices)


def _markdown_table(table: Table) -> Iterator[str]:
    yield _row(table.columns)
    yield _row(("---:" if index in table.numbers else "---") for index in range(len(table.columns)))
    yield from (_row(map(_escaped, row)) for row in table.rows)
    if table.note:
        yield from ("", table.note)


def _row(cells: Iterator[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_entry(entry: Happening) -> Iterator[str]:
    what = _escaped(entry.what)
    yield f"- {entry.clock} {f'**{what}**' if entry.tone in SIGNS else what}"
    if entry.words:
        yield from ("", *(f"  {line}" for line in _fenced(entry.words)), "")


def _fenced(words: str) -> Iterator[str]:
    """As code, inside a fence that is longer than any in the words."""
    longest = max((len(run) for run in re.findall(r"`{3,}", words)), default=2)
    fence = "`" * (longest + 1)
    yield from (f"{fence}text", *words.splitlines(), fence)


def _escaped(words: str) -> str:
    """On one line, with nothing that Markdown or HTML would take for a mark or a link."""
    marked = re.sub(r"([\\`*_{}\[\]<>|#~!&])", r"\\\1", " ".join(words.split()))
    return re.sub(r"(?i)\b(https?|ftp|www|mailto)(?=[:.])", lambda found: f"{found[1]}\u200b", marked)
