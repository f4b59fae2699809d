"""The schema that the package ships says what events look like, to whoever has no Python."""

from __future__ import annotations

import ast
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from tests.held_to_schema import SCHEMA_FILE, SOME_TIME, hold, hold_emitted
from tests.unit.report.test_board import HISTORY

import spec_kitty_orchestrator
from spec_kitty_orchestrator.report.events import Event
from spec_kitty_orchestrator.report.schema import KINDS, as_line, json_schema

ROOT = Path(spec_kitty_orchestrator.__file__).parent


def text_of(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def test_the_file_is_what_the_classes_say() -> None:
    how = f"make it anew: .venv/bin/python -m {__name__}"
    assert SCHEMA_FILE.read_text(encoding="utf-8") == text_of(json_schema()), how


def test_it_is_a_json_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


def test_every_kind_of_event_is_as_it_says() -> None:
    hold_emitted(HISTORY)


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 0},
        {"event": "Surprise"},
        {"time": "noon"},
        {"wp_id": None},
        {"cost_usd": "3"},
        {"number": 1.5},
        {"event": "AttemptStarted"},
    ],
)
def test_it_refuses_what_is_no_event(change: dict[str, Any]) -> None:
    good = next(as_line(SOME_TIME, event) for event in HISTORY if type(event).__name__ == "AttemptEnded")
    with pytest.raises(ValidationError):
        hold([{**good, **change, "of_this_test_alone": ""}])
    hold([{**good, "of_this_test_alone": ""}])


@pytest.mark.parametrize("name", [*as_line(SOME_TIME, HISTORY[0])])
def test_a_field_is_always_there(name: str) -> None:
    line = json.loads(json.dumps(as_line(SOME_TIME, HISTORY[0])))
    del line[name]
    with pytest.raises((ValidationError, KeyError)):
        hold([line])


def test_every_event_that_there_is_has_a_name_in_the_registry() -> None:
    """An event that is defined elsewhere than where the registry looks would be written and not be read."""
    bases, found = {"Event", "WpEvent"}, set()
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and bases & {getattr(base, "id", "") for base in node.bases}:
                module = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
                found.add(getattr(importlib.import_module(module), node.name))
    assert {*KINDS.values()} == {kind for kind in found if issubclass(kind, Event)} - {_base("WpEvent")}


def _base(name: str) -> type[Event]:
    from spec_kitty_orchestrator.report import events

    base = getattr(events, name)
    assert isinstance(base, type)
    return base


if __name__ == "__main__":
    SCHEMA_FILE.write_text(text_of(json_schema()), encoding="utf-8")
