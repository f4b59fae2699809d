"""Reads `events.jsonl` back as typed events: whole, or as it grows."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from attrs import define, field, frozen

from ..converter import Unreadable, read
from .events import Event
from .schema import KINDS, SCHEMA_VERSION

FILE_NAME = "events.jsonl"


@frozen
class TimedEvent:
    """An event, and when it happened, in seconds since the epoch."""

    time: float
    event: Event


class _NotRead(Exception):
    """A line that says nothing to us; `is_newer`: it was written by a later release, and is no damage."""

    def __init__(self, why: str, *, is_newer: bool = False) -> None:
        super().__init__(why)
        self.is_newer = is_newer


@frozen
class _Head:
    """What every line begins with."""

    time: str
    event: str
    schema_version: int = 0


@define
class EventReader:
    """Reads events out of bytes as they come; a last half line is kept until the rest of it is there.

    Attributes:
        damaged: how many lines are none of ours; `first_damage`: the first one's number, and why.
        newer: how many are of a later release: a kind of event, or of its fields, that is not known here.
    """

    damaged: int = 0
    first_damage: str = ""
    newer: int = 0
    _lines: int = field(default=0, init=False)
    _rest: bytes = field(default=b"", init=False)

    def feed(self, chunk: bytes) -> list[TimedEvent]:
        """The events of the lines that are whole now, in order."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        found = []
        for line in lines:
            self._lines += 1
            try:
                found += [_event_of(line)] if line.strip() else []
            except _NotRead as problem:
                self._note(problem)
        return found

    def problems(self, name: str) -> tuple[str, ...]:
        """A line for a person on what could not be read of the file of that name."""
        told = []
        if self.damaged:
            more = "" if self.damaged == 1 else f"; {self.damaged} such lines are left out"
            told.append(f"{name}: {self.first_damage}{more}")
        if self.newer:
            told.append(f"{name}: {self.newer} events of a newer release are left out")
        return tuple(told)

    def _note(self, problem: _NotRead) -> None:
        if problem.is_newer:
            self.newer += 1
            return
        self.damaged += 1
        self.first_damage = self.first_damage or f"line {self._lines} is no event: {problem}"


@define
class EventFile:
    """A file of events that may still grow, or not be there yet."""

    path: Path
    reader: EventReader = field(factory=EventReader)
    _offset: int = field(default=0, init=False)

    def more(self) -> list[TimedEvent]:
        """What has been added since the last time.

        Raises:
            OSError: it is there and cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                chunk = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(chunk)
        return self.reader.feed(chunk)

    @property
    def problems(self) -> tuple[str, ...]:
        """A line for a person on each thing that could not be read."""
        return self.reader.problems(str(self.path))


def _event_of(line: bytes) -> TimedEvent:
    try:
        value = json.loads(line)
        head = read(value, _Head)
        time = datetime.fromisoformat(head.time)
        if time.tzinfo is None:
            raise _NotRead(f"its time {head.time} has no zone")
    except Unreadable as problem:
        raise _NotRead(str(problem)) from problem
    except (ValueError, RecursionError) as problem:  # no JSON, no UTF-8, no time
        raise _NotRead(f"{problem}") from problem
    is_newer = head.schema_version > SCHEMA_VERSION
    kind = KINDS.get(head.event)
    if kind is None:
        # A release of the same version may know more kinds of events than we do.
        raise _NotRead(f"there is no event {head.event!r:.60}", is_newer=head.schema_version > 0)
    try:
        return TimedEvent(time.timestamp(), read(value, kind))
    except Unreadable as problem:
        raise _NotRead(f"{head.event}: {problem}", is_newer=is_newer) from problem
