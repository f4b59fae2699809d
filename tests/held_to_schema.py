"""Holds events to the schema that the package ships, whichever test made them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

import spec_kitty_orchestrator.report
from spec_kitty_orchestrator.report.events import Event
from spec_kitty_orchestrator.report.schema import as_line

SCHEMA_FILE = Path(spec_kitty_orchestrator.report.__file__).with_name("events.schema.json")
SOME_TIME = "2026-11-24T19:08:08.250+00:00"

_validator = Draft202012Validator(
    json.loads(SCHEMA_FILE.read_text(encoding="utf-8")), format_checker=Draft202012Validator.FORMAT_CHECKER
)
_held: set[str] = set()
"""Shapes that have been held to it: the values of a field do not matter, only their types."""


def hold(lines: Iterable[dict[str, Any]]) -> None:
    """Fails on the first line that is not as the schema says."""
    for line in lines:
        head = [line["schema_version"], re.sub(r"\d", "0", line["time"]), line["event"]]
        shape = json.dumps([*head, _shape(line)])
        if shape not in _held:
            _validator.validate(line)
            _held.add(shape)


def hold_emitted(events: Iterable[Event]) -> None:
    """The same for events that were not written."""
    hold(json.loads(json.dumps(as_line(SOME_TIME, event))) for event in events)


def hold_files(folder: Path) -> int:
    """The same for every file of events below a folder; how many lines there are."""
    lines = [
        json.loads(line)
        for path in folder.rglob("events.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True)
        if line.endswith("\n")  # a killed run may have left a half one
    ]
    hold(lines)
    return len(lines)


def _shape(value: object) -> object:
    if isinstance(value, dict):
        return {key: _shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(_shape(each)) for each in value})
    return type(value).__name__
