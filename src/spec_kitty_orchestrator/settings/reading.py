"""A YAML text as plain values, each with its place; whatever is no plain value is refused with its place."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from attrs import field, frozen
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

KeyPath = tuple["str | int", ...]
"""Keys and list indices, from the top."""

Place = tuple[int, int]
"""Line and column, from 0."""

MOST_DEEP = 32
"""Of mappings and lists inside each other; no setting lies deeper than six."""

MOST_VALUES = 20_000
"""With what aliases repeat: a few lines of them can stand for billions."""

TAB = repr("\t")
TOO_DEEP = "nested too deeply"
LARGEST_NUMBER = 2**63

NOT_YAML = (YAMLError, ValueError, LookupError, ArithmeticError, RecursionError)
"""The library lets through what Python says of a number, a character or a depth that cannot be."""

_TAG = "tag:yaml.org,2002:"
_TEXT = {"str", "timestamp", "value", "merge"}
"""No setting is a date: what looks like one, or like a sign of the language, is the text that it is."""


class NotPlain(ValueError):
    """A text cannot be read; `place` is where."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.place = place


@frozen
class Written:
    """Plain values (mappings with strings for keys, lists, strings, numbers, true, false, null).

    Attributes:
        places: where each key and each item stands, by the path to it.
    """

    plain: Any = None
    places: Mapping[KeyPath, Place] = field(factory=dict)


def read_yaml(text: str) -> Written:
    """What a text says; None when it says nothing.

    Raises:
        NotPlain: it is no YAML, or something in it is no plain value, or far too much comes of it.
    """
    yaml = YAML(typ="safe", pure=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of what it takes, an anchor that is used again
        try:
            top = yaml.compose(text)
            builder = _Builder()
            return Written(None if top is None else builder.value(top, ()), builder.places)
        except NotPlain:
            raise
        except NOT_YAML as problem:
            raise _located(problem, text) from problem


def unfit_for_a_command(text: str) -> bool:
    """Whether no command line and no environment can carry a text: a NUL, or half a character."""
    return any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)


def place_in(text: str) -> Place:
    """Where a text ends."""
    return text.count("\n"), len(text) - (text.rfind("\n") + 1)


def _located(problem: Exception, text: str) -> NotPlain:
    if isinstance(problem, MarkedYAMLError) and problem.problem_mark is not None:
        mark, what = problem.problem_mark, str(problem.problem or problem.context)
        if what.startswith("but "):
            what = f"{problem.context}, {what}"
        if TAB in what:
            what = f"{what} (indent with blanks, not with tabs)"
        return NotPlain(f"not YAML: {what}", (mark.line, mark.column))
    if isinstance(problem, ReaderError):
        what = f"not YAML: the character #x{problem.character:04x} may not stand here"
        return NotPlain(what, place_in(text[: problem.position]))
    last = (0, 0)
    with contextlib.suppress(*NOT_YAML):
        for event in YAML(typ="safe", pure=True).parse(text):
            last = (event.end_mark.line, event.end_mark.column)
    return NotPlain(f"not YAML: {TOO_DEEP if isinstance(problem, RecursionError) else problem}", last)


def _true_or_false(text: str) -> bool:
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    return words[text.lower()]  # the latter only in a document that says it is YAML 1.1


def _whole_number(text: str) -> int:
    digits = text.replace("_", "")
    number = int(digits, 0) if digits.lstrip("+-")[:2].lower() in ("0x", "0o", "0b") else int(digits)
    if abs(number) >= LARGEST_NUMBER:
        raise ValueError
    return number


def _number(text: str) -> float:
    digits = text.replace("_", "").lower()
    if digits.lstrip("+-") in (".inf", ".nan"):
        return math.copysign(float(digits.lstrip("+-.")), -1 if digits[0] == "-" else 1)
    return float(digits)


_SCALARS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "null": ("null", lambda _text: None),
    "bool": ("true or false", _true_or_false),
    "int": ("a whole number that can be worked with", _whole_number),
    "float": ("a number", _number),
}


class _Builder:
    """Makes plain values of the library's nodes. An alias is the very node that it stands for."""

    def __init__(self) -> None:
        self.places: dict[KeyPath, Place] = {}
        self._open: list[Node] = []
        self._values = 0

    def value(self, node: Node, path: KeyPath) -> Any:
        """The value of a node, and of all in it."""
        if isinstance(node, ScalarNode):
            self._count(node)
            return _scalar(node)
        with self._inside(node):
            if isinstance(node, MappingNode):
                pairs = self._pairs(node)
                self.places.update({(*path, name): _place(key) for name, (key, _) in pairs.items()})
                return {name: self.value(value, (*path, name)) for name, (_, value) in pairs.items()}
            self.places.update({(*path, index): _place(item) for index, item in enumerate(node.value)})
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]

    def _pairs(self, node: MappingNode) -> dict[str, tuple[Node, Node]]:
        """Name → key and value, with what is merged into the mapping (`<<`) and does not stand in itself."""
        own: dict[str, tuple[Node, Node]] = {}
        merged: dict[str, tuple[Node, Node]] = {}
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                for name, pair in self._merged(value):
                    merged.setdefault(name, pair)
                continue
            name = self._name(key)
            if name in own:
                raise NotPlain(f"the key {name!r} stands twice", _place(key))
            own[name] = (key, value)
        return {**merged, **own}

    def _merged(self, value: Node) -> Iterator[tuple[str, tuple[Node, Node]]]:
        for other in value.value if isinstance(value, SequenceNode) else [value]:
            if not isinstance(other, MappingNode):
                raise NotPlain("expected a mapping, or a list of mappings, to merge", _place(value))
            with self._inside(other):
                yield from self._pairs(other).items()

    def _name(self, key: Node) -> str:
        self._count(key)
        name = _scalar(key) if isinstance(key, ScalarNode) else None
        if not isinstance(name, str):
            shown = f"{key.value[:40]!r}" if isinstance(key, ScalarNode) else "what stands here"
            raise NotPlain(f"a key is a string, and {shown} is none; put it in quotes", _place(key))
        return name

    @contextmanager
    def _inside(self, node: Node) -> Iterator[None]:
        self._count(node)
        if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            raise NotPlain(f"the tag {node.tag} has no meaning here", _place(node))
        if any(each is node for each in self._open):
            raise NotPlain("it holds itself, by an alias", _place(node))
        if len(self._open) >= MOST_DEEP:
            raise NotPlain(TOO_DEEP, _place(node))
        self._open.append(node)
        yield
        self._open.pop()

    def _count(self, node: Node) -> None:
        self._values += 1
        if self._values > MOST_VALUES:
            raise NotPlain(f"with its aliases it has more than {MOST_VALUES} values", _place(node))


def _scalar(node: ScalarNode) -> object:
    kind = str(node.tag).removeprefix(_TAG)
    if kind in _TEXT:
        if unfit_for_a_command(node.value):
            raise NotPlain("it holds a NUL or half a character, which no command can be given", _place(node))
        return node.value
    if kind not in _SCALARS:
        raise NotPlain(f"the tag {node.tag} has no meaning here", _place(node))
    words, make = _SCALARS[kind]
    try:
        return make(node.value)
    except (ValueError, LookupError) as problem:
        raise NotPlain(f"{node.value[:40]!r} is not {words}", _place(node)) from problem


def _place(node: Node) -> Place:
    return (node.start_mark.line, node.start_mark.column)
