"""The one converter between plain JSON or YAML values and our frozen classes; its errors say where."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, TypeVar

import attrs
from cattrs import BaseValidationError, Converter, ForbiddenExtraKeysError
from cattrs.errors import AttributeValidationNote, IterableValidationError, IterableValidationNote
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, make_mapping_structure_fn, override

T = TypeVar("T")

LARGEST_SHOWN = 10**18
"""Python refuses to write down a whole number of thousands of digits."""

ALWAYS_SENT = {"always_sent": True}
"""Metadata of a field with a default that is written even when it holds that default."""

_WORDS: Mapping[type, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a mapping",
    type(None): "null",
}


@attrs.frozen
class Problem:
    """One thing that is wrong in a value, and the path to it: keys and list indices from the top."""

    path: tuple[str | int, ...]
    message: str

    def at(self, root: str) -> str:
        """`data.work_packages[2].lane: what is wrong`, for a value that is called `root`."""
        steps = [
            f"[{step}]" if isinstance(step, int) else f".{step if step.strip() else repr(step)}"
            for step in self.path
        ]
        where = (root + "".join(steps)).lstrip(".")
        return f"{where}: {self.message}" if where else self.message


class Mismatch(ValueError):
    """A plain value is not what its class asks for; raised inside the converter."""


class Unreadable(ValueError):
    """A value does not fit its class; `problems` holds every reason, in the order of the fields."""

    def __init__(self, found: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(problem.at("") for problem in found))
        self.problems = found


def read(value: object, cls: type[T], *, closed: bool = False) -> T:
    """The value as an instance of `cls`; with `closed`, unknown keys are problems too.

    Raises:
        Unreadable: with all problems at once.
    """
    try:
        return (closed_converter if closed else converter).structure(value, cls)
    except (BaseValidationError, ForbiddenExtraKeysError, ValueError) as exc:
        raise Unreadable(tuple(problems(exc))) from exc


def unstructure(value: object) -> Any:
    """The plain value (mappings, lists, strings, numbers); absent optional fields stay absent."""
    return converter.unstructure(value)


def problems(exc: BaseException, path: tuple[str | int, ...] = ()) -> list[Problem]:
    """Every leaf of an error that the converter raised, with the path to it."""
    if isinstance(exc, BaseValidationError):
        return [problem for leaf in exc.exceptions for problem in problems(leaf, (*path, *_step(leaf)))]
    if isinstance(exc, ForbiddenExtraKeysError):
        return [Problem((*path, key), "unknown key") for key in sorted(exc.extra_fields, key=str)]
    if isinstance(exc, KeyError):
        return [Problem(path, "missing")]
    return [Problem(path, str(exc))]


def _step(exc: BaseException) -> tuple[str | int, ...]:
    """The key or index that cattrs noted on this error, if any; the innermost is the first."""
    for note in getattr(exc, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return (note.name,)
        if isinstance(note, IterableValidationNote):
            return (note.index,)
    return ()


def _mismatch(wanted: str, value: object) -> Mismatch:
    got = _WORDS.get(type(value), type(value).__name__)
    if isinstance(value, (str, float)) or (type(value) is int and abs(value) < LARGEST_SHOWN):
        got = f"{got} ({value!r:.60})"
    return Mismatch(f"expected {wanted}, got {got}")


def _fits(value: object, cls: type) -> bool:
    """Strict: true is no number, and 1 is no string; a whole number is a number."""
    if isinstance(value, bool):
        return cls is bool
    return isinstance(value, (int, float) if cls is float else cls)


def _primitive(value: object, cls: type) -> Any:
    if issubclass(cls, enum.Enum):  # dispatch is by class, so an enumeration of strings arrives as a string
        return cls(_one_of(value, [member.value for member in cls]))
    if not _fits(value, cls):
        raise _mismatch(_WORDS[cls], value)
    try:
        return float(value) if cls is float else value  # type: ignore[arg-type]
    except OverflowError:
        raise _mismatch("a number that can be worked with", value) from None


def _plain(value: object) -> object:
    return value.value if isinstance(value, enum.Enum) else value


def _literal(value: object, cls: Any) -> object:
    return _one_of(value, typing.get_args(cls))


def _one_of(value: object, words: Collection[object]) -> object:
    if not isinstance(value, (str, int)) or isinstance(value, bool) or value not in words:
        raise _mismatch("one of " + ", ".join(str(word) for word in words), value)
    return value


def _union(cls: Any, conv: Converter) -> Callable[[Any, Any], Any]:
    """Optional values, and unions of primitives such as `int | str | None`."""
    members = typing.get_args(cls)
    others = [member for member in members if member is not type(None)]
    nullable = len(others) < len(members)
    if len(others) == 1:
        only = others[0]
        hook = conv.get_structure_hook(only)
        return lambda value, _: None if value is None and nullable else hook(value, only)

    def choose(value: object, _: Any) -> Any:
        if not any(_fits(value, member) for member in members):
            raise _mismatch(" or ".join(_WORDS[member] for member in members), value)
        return value

    return choose


def _tuple(cls: Any, conv: Converter) -> Callable[[Any, Any], Any]:
    item = typing.get_args(cls)[0]
    hook = conv.get_structure_hook(item)

    def build(value: object, _: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _mismatch("a list", value)
        out: list[Any] = []
        errors: list[Exception] = []
        for index, element in enumerate(value):
            try:
                out.append(hook(element, item))
            except Exception as exc:  # noqa: BLE001 - collected, and raised below with the index
                note = IterableValidationNote(f"item {index}", index, item)
                exc.__notes__ = [*getattr(exc, "__notes__", []), note]  # type: ignore[attr-defined]
                errors.append(exc)
        if errors:
            raise IterableValidationError("in a list", errors, cls)
        return tuple(out)

    return build


def _mapping(cls: Any, conv: Converter) -> Callable[[Any, Any], Any]:
    hook = make_mapping_structure_fn(cls, conv, dict, detailed_validation=True)
    return _only_mappings(hook)


def _attrs_class(closed: bool) -> Callable[[Any, Converter], Callable[[Any, Any], Any]]:
    def build(cls: Any, conv: Converter) -> Callable[[Any, Any], Any]:
        return _only_mappings(make_dict_structure_fn(cls, conv, _cattrs_forbid_extra_keys=closed))

    return build


def _only_mappings(hook: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """Refuses a list or a string before cattrs asks it for keys and reports each key as missing."""

    def check(value: object, cls: Any) -> Any:
        if not isinstance(value, dict):
            raise _mismatch("a mapping", value)
        return hook(value, cls)

    return check


def _unstructure_attrs(cls: Any, conv: Converter) -> Callable[[Any], dict[str, Any]]:
    attrs.resolve_types(cls)
    always: dict[str, Any] = {
        field.name: override(omit_if_default=False)
        for field in attrs.fields(cls)
        if field.metadata.get("always_sent")
    }
    return make_dict_unstructure_fn(cls, conv, _cattrs_omit_if_default=True, **always)


def _is(*origins: object) -> Callable[[Any], bool]:
    return lambda cls: typing.get_origin(cls) in origins


def _make(closed: bool) -> Converter:
    conv = Converter(detailed_validation=True, unstruct_collection_overrides={tuple: list})
    for primitive in (str, int, float, bool, enum.Enum):
        conv.register_structure_hook(primitive, _primitive)
        conv.register_unstructure_hook(primitive, _plain)
    conv.register_structure_hook_factory(attrs.has, _attrs_class(closed))
    conv.register_unstructure_hook_factory(attrs.has, _unstructure_attrs)
    conv.register_structure_hook_factory(_is(tuple), _tuple)
    conv.register_structure_hook_factory(_is(dict, Mapping), _mapping)
    conv.register_structure_hook_factory(_is(typing.Union, types.UnionType), _union)
    conv.register_structure_hook_func(_is(Literal), _literal)
    return conv


converter = _make(closed=False)
closed_converter = _make(closed=True)
