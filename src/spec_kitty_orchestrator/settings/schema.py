"""The JSON Schema of the file, made of the classes: for editors, and for whoever writes the file by program.

It knows types, bounds and words. What hangs together (which agents there are, who can be told a model) is
told when the file is loaded.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Mapping
from typing import Any

import attrs

from ..agents import all_agent_ids
from ..converter import unstructure
from .keys import ANY, Key, keys_of
from .values import Settings

DIALECT = "http://json-schema.org/draft-07/schema#"
"""What the language servers of editors know best."""

AGENTS = {"implementation", "review", "to"}
"""Keys that hold names of agents: `codex`, `codex:some-model`, or one of the user's own."""

_PRIMITIVES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def json_schema() -> dict[str, Any]:
    """The schema, as it is written down."""
    head = {"$schema": DIALECT, "title": "Settings of spec-kitty-orchestrator"}
    return {**head, **_object(Settings, ()), "type": ["object", "null"]}


def _object(cls: type, above: tuple[str, ...]) -> dict[str, Any]:
    held = [key for key in keys_of(cls, above) if len(key.path) == len(above) + 1]
    needed = [key.name for key in held if key.default is attrs.NOTHING]
    return {
        "type": "object",
        "properties": {key.name: _value(key) for key in held},
        "additionalProperties": False,
        **({"required": needed} if needed else {}),
    }


def _value(key: Key) -> dict[str, Any]:
    schema = {"description": key.words, **_kind(key)}
    if key.bounds is not None:
        schema["minimum"], schema["maximum"] = key.bounds
    if key.example is not None:
        schema["examples"] = [key.example]
    if key.default is None or key.is_section or key.entry is not None:
        return _or_null(schema)
    if key.default is not attrs.NOTHING:
        schema["default"] = unstructure(key.default)
    return schema


def _kind(key: Key) -> dict[str, Any]:
    if key.choices:
        return {"enum": list(key.choices)}
    if key.entry is not None:
        return _entries(_or_null(_object(key.entry, (*key.path, ANY))))
    if attrs.has(key.kind):
        return _object(key.kind, key.path)
    if key.name in AGENTS and "custom" not in key.path:
        known = {"enum": list(all_agent_ids())}
        return {"type": "array", "items": {"anyOf": [known, {"type": "string"}]}}
    return _type(key.kind)


def _type(kind: Any) -> dict[str, Any]:
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if kind in _PRIMITIVES:
        return {"type": _PRIMITIVES[kind]}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_type(each) for each in inside]}
    if origin is tuple:
        return {"type": "array", "items": _type(inside[0])}
    if origin is Mapping and isinstance(inside[0], type) and issubclass(inside[0], enum.Enum):
        roles = {str(member.value): _type(inside[1]) for member in inside[0]}
        return {"type": "object", "properties": roles, "additionalProperties": False}
    if origin is Mapping:
        return _entries(_type(inside[1]))
    raise TypeError(f"{kind}: no schema is known for it")


def _entries(each: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": each}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """It may also be left empty."""
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}
