"""Settings: defaults, then `.kittify/orchestrator.yaml`, then `SK_ORCH_*`, then flags; errors say where."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs import field, frozen
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from ..converter import Problem, Unreadable, read
from ..errors import ConfigError
from .checks import KeyPath, problems_of
from .values import Flags, Settings

FILE_NAME = "orchestrator.yaml"
PREFIX = "SK_ORCH_"
TESTS_PREFIX = "SK_ORCH_E2E_"  # the e2e suite's own variables; no settings

NOT_YAML = (YAMLError, ValueError, LookupError, ArithmeticError, RecursionError)
"""The library lets through what Python says of a number, a date, a character or a depth that cannot be."""

FLAGS: Mapping[KeyPath, tuple[str, str]] = {
    ("agents", "implementation"): ("--impl-agent", "impl_agent"),
    ("agents", "review"): ("--review-agent", "review_agent"),
    ("max_concurrent_wps",): ("--max-concurrent", "max_concurrent"),
}


@frozen
class _Sources:
    """The settings as plain values, and where each came from: a position in the file, a variable, a flag."""

    file: Path
    plain: Any = None
    marked: Any = None
    overridden: dict[KeyPath, str] = field(factory=dict)

    def where(self, path: KeyPath) -> str:
        for length in range(len(path), 0, -1):
            if path[:length] in self.overridden:
                return self.overridden[path[:length]]
        line, column = _position(self.marked, path)
        return f"{self.file.name}:{line + 1}:{column + 1}"

    def error(self, problems: list[Problem]) -> ConfigError:
        lines = [f"{self.where(problem.path)}: {problem.at('')}" for problem in problems]
        return ConfigError("\n".join(lines))


def load_settings(kittify_dir: Path, environ: Mapping[str, str], flags: Flags) -> Settings:
    """The settings for a run.

    Raises:
        ConfigError: with every problem at once, a line each: `file:line:column: path: what is wrong`.
    """
    sources = _read_file(kittify_dir / FILE_NAME)
    problems = _override(sources, environ, flags)
    try:
        settings = read(sources.plain, Settings, closed=True)
    except Unreadable as found:
        problems += [*found.problems, *_checks_of_the_rest(sources.plain, found.problems)]
        raise sources.error(problems) from found
    problems += problems_of(settings)
    if problems:
        raise sources.error(problems)
    return settings


def _read_file(path: Path) -> _Sources:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return _Sources(path, plain={})
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path} cannot be read: {problem}", remedy="mend it, or move it away") from problem
    try:
        plain = YAML(typ="safe", pure=True).load(text)
        return _Sources(path, {} if plain is None else plain, YAML(typ="rt").load(text))
    except MarkedYAMLError as problem:
        mark = problem.problem_mark
        where = f"{path.name}:{mark.line + 1}:{mark.column + 1}" if mark is not None else path.name
        raise ConfigError(f"{where}: not YAML: {problem.problem or problem.context}") from problem
    except NOT_YAML as problem:
        raise ConfigError(f"{path.name}: not YAML: {problem}") from problem


def _position(marked: Any, path: KeyPath) -> tuple[int, int]:
    """Line and column, from 0, of the key or item that a path leads to, or of the nearest one above it."""
    position = (0, 0)
    for step in path:
        try:
            position = marked.lc.key(step) if isinstance(step, str) else marked.lc.item(step)
            marked = marked[step]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return position


# What outranks the file.


def _override(sources: _Sources, environ: Mapping[str, str], flags: Flags) -> list[Problem]:
    variables = {PREFIX + "_".join(path).upper(): (path, kind) for path, kind in _leaves(Settings)}
    problems = []
    for name in sorted(environ):
        if name in variables:
            path, kind = variables[name]
            _put(sources, path, _from_text(environ[name], kind), name)
        elif name.startswith(PREFIX) and not name.startswith(TESTS_PREFIX):
            sources.overridden[(name,)] = "environment"
            problems.append(
                Problem((name,), f"no setting has this name; known: {', '.join(sorted(variables))}")
            )
    for where, (flag, attribute) in FLAGS.items():
        value = getattr(flags, attribute)
        if value is not None:
            _put(sources, where, [value] if isinstance(value, str) else value, flag)
    return problems


def _leaves(cls: type, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each setting that is one value or one list, with its type; not the mappings with keys of the user's."""
    for name, kind in typing.get_type_hints(cls).items():
        if attrs.has(kind):
            yield from _leaves(kind, (*above, name))
        elif typing.get_origin(kind) is not Mapping:
            yield (*above, name), kind


def _from_text(text: str, kind: Any) -> Any:
    if typing.get_origin(kind) is tuple and typing.get_args(kind)[0] is str:
        return [part.strip() for part in text.split(",") if part.strip()]
    if str in (kind, *typing.get_args(kind)) or (isinstance(kind, type) and issubclass(kind, str)):
        return text
    try:
        return YAML(typ="safe", pure=True).load(text)
    except NOT_YAML:
        return text  # a string is not what the setting asks for, and will be told so


def _put(sources: _Sources, path: tuple[Any, ...], value: Any, origin: str) -> None:
    target = sources.plain
    for step in path[:-1]:
        if not isinstance(target, dict):
            return  # the file is wrong there, and will be told so
        target = target.setdefault(step, {})
    if isinstance(target, dict):
        target[path[-1]] = value
        sources.overridden[path] = origin


def _checks_of_the_rest(plain: Any, found: tuple[Problem, ...]) -> list[Problem]:
    """What else is wrong, when what has the wrong type is taken out: all problems are told at once."""
    for problem in found:
        target = plain
        steps = [step for step in problem.path if isinstance(step, str)]
        for step in steps[:-1]:
            target = target.get(step) if isinstance(target, dict) else None
        if steps and isinstance(target, dict):
            target.pop(steps[-1], None)
    try:
        return problems_of(read(plain, Settings, closed=True))
    except Unreadable:  # what is wrong cannot be taken out
        return []
