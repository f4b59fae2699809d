"""A report on one run as plain values, in the order in which they are read; see `text.py`, `page.py`.

All words are harmless by the time that they are here.
"""

from __future__ import annotations

from typing import TypeVar

from attrs import evolve, fields, frozen, has

from .harmless import in_signs

GOOD, BAD, OPEN, QUIET = "good", "bad", "open", "quiet"
"""Tones: how a reader's eye should take something."""


T = TypeVar("T")


@frozen
class Table:
    """Rows under a heading; `numbers` says which columns are figures. `note` stands below."""

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()
    note: str = ""

    def without_empty_columns(self) -> Table:
        """The same without the columns in which no row holds anything."""
        kept = [index for index in range(len(self.columns)) if any(row[index] for row in self.rows)]
        return Table(
            self.heading,
            tuple(self.columns[index] for index in kept),
            tuple(tuple(row[index] for index in kept) for row in self.rows),
            frozenset(place for place, index in enumerate(kept) if index in self.numbers),
            self.note,
        )


@frozen
class Happening:
    """Something that happened to a work package: when (local), in a line, and what was said, as lines."""

    clock: str
    what: str
    tone: str = QUIET
    words: str = ""


@frozen
class Chapter:
    """One work package: what is known of it in few words, and its entries as they happened."""

    wp_id: str
    title: str
    lane: str
    tone: str
    facts: str
    entries: tuple[Happening, ...]


@frozen
class Document:
    """A report.

    Attributes:
        heading: the run and its mission.
        standing: how the run stands, in a line; `tone` how that is to be taken.
        facts: what else there is to know at once, as pairs.
        summary: the run's own last words, as lines.
        tables, chapters: the rest; a table that would be empty is not there.
        notices: what was said about the run as a whole, with the time.
        problems: what could not be read of the events.
    """

    heading: str
    standing: str
    tone: str
    facts: tuple[tuple[str, str], ...]
    summary: str
    tables: tuple[Table, ...]
    chapters: tuple[Chapter, ...]
    notices: tuple[Happening, ...]
    problems: tuple[str, ...] = ()


def made_harmless(value: T) -> T:
    """The same value with signs in place of what would act, in every text that is in it."""
    if isinstance(value, str):
        return in_signs(value)  # type: ignore[return-value]
    if isinstance(value, tuple):
        return tuple(map(made_harmless, value))  # type: ignore[return-value]
    if has(type(value)):
        names = [field.name for field in fields(type(value))]  # type: ignore[arg-type]
        parts = {name: made_harmless(getattr(value, name)) for name in names}
        return evolve(value, **parts)  # type: ignore[misc]
    return value
