"""Every kind of event by its name, how one is written as a line, and the JSON Schema of such lines."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any

import attrs

from . import events, run_events, wp_events
from .events import Event

SCHEMA_VERSION = 1
"""Counts up when a line can no longer be read as before. Release 1.0 wrote none: that is 0."""

TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$"
"""How a time is written: UTC, to the millisecond."""


def _kinds() -> dict[str, type[Event]]:
    named = {**vars(events), **vars(wp_events), **vars(run_events)}
    found = [each for each in named.values() if isinstance(each, type) and issubclass(each, Event)]
    leaves = [kind for kind in found if not any(kind in other.__bases__ for other in found)]
    return {kind.__name__: kind for kind in sorted(leaves, key=lambda kind: kind.__name__)}


KINDS: Mapping[str, type[Event]] = _kinds()
"""Name → class, of all that is ever emitted."""


def as_line(time: str, event: Event) -> dict[str, Any]:
    """What `events.jsonl` holds of an event; `time` is ISO 8601 in UTC."""
    head = {"schema_version": SCHEMA_VERSION, "time": time, "event": type(event).__name__}
    return {**head, **attrs.asdict(event)}


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of one line.

    Keys that it does not name are allowed: a later release of the same version may add some.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "One line of events.jsonl, and of `--events -`, of spec-kitty-orchestrator",
        "type": "object",
        "required": ["schema_version", "time", "event"],
        "properties": {
            "schema_version": {"const": SCHEMA_VERSION},
            "time": {"type": "string", "format": "date-time", "pattern": TIME},
            "event": {"enum": [*KINDS]},
        },
        "oneOf": [_of_kind(name, kind) for name, kind in KINDS.items()],
        "$defs": {cls.__name__: _of_class(cls) for cls in _nested()},
    }


def _of_kind(name: str, kind: type[Event]) -> dict[str, Any]:
    shape = _of_class(kind)
    shape["properties"] = {"event": {"const": name}, **shape["properties"]}
    shape["required"] = ["event", *shape["required"]]
    return {"title": name, **shape}


def _of_class(cls: type) -> dict[str, Any]:
    """All fields are always written, those with a default too."""
    told = " ".join((cls.__doc__ or "").split("\n\n")[0].split())
    described = {} if told.startswith("Method generated") or not told else {"description": told}
    hints = typing.get_type_hints(cls)
    names = [field.name for field in attrs.fields(cls)]
    return {
        **described,
        "type": "object",
        "required": names,
        "properties": {name: _of_type(hints[name]) for name in names},
    }


def _of_type(hint: Any) -> dict[str, Any]:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_of_type(each) for each in inner]}
    if origin is tuple:
        return {"type": "array", "items": _of_type(inner[0])}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _of_type(inner[1])}
    if attrs.has(hint):
        return {"$ref": f"#/$defs/{hint.__name__}"}
    return {"type": _WORDS[hint]}


_WORDS = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def _nested() -> list[type]:
    """Classes that stand in fields of events, and in fields of those."""
    found: dict[str, type] = {}
    to_see: list[Any] = [*KINDS.values()]
    while to_see:
        cls = to_see.pop()
        for hint in typing.get_type_hints(cls).values():
            for each in (hint, *typing.get_args(hint)):
                if attrs.has(each) and each.__name__ not in found:
                    found[each.__name__] = each
                    to_see.append(each)
    return [found[name] for name in sorted(found)]
