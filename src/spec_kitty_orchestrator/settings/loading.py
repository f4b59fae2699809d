"""Settings: defaults, then `.kittify/orchestrator.yaml`, then `SK_ORCH_*`, then flags; errors say where."""

from __future__ import annotations

import os
import stat
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs import field, frozen

from ..converter import Problem, Unreadable, read
from ..errors import ConfigError
from .checks import problems_of
from .hints import explained
from .reading import KeyPath, NotPlain, Place, place_in, read_yaml, unfit_for_a_command
from .values import Flags, Settings

FILE_NAME = "orchestrator.yaml"
PREFIX = "SK_ORCH_"
TESTS_PREFIX = "SK_ORCH_E2E_"  # the e2e suite's own variables; no settings

MOST_BYTES = 256 * 1024
"""Of the file: a thousand times what it takes to set everything."""

MOST_LINES = 50
LONGEST_LINE = 2000
"""Of what is told of a file that is something else altogether."""

FLAGS: Mapping[KeyPath, tuple[str, str]] = {
    ("agents", "implementation"): ("--impl-agent", "impl_agent"),
    ("agents", "review"): ("--review-agent", "review_agent"),
    ("max_concurrent_wps",): ("--max-concurrent", "max_concurrent"),
    ("merge", "when_accepted"): ("--merge", "merge"),
    ("max_cost_usd",): ("--max-cost-usd", "max_cost_usd"),
    ("max_runtime_seconds",): ("--max-runtime-seconds", "max_runtime_seconds"),
    ("wait_for_people",): ("--wait-for-people", "wait_for_people"),
    ("allow_sleep",): ("--allow-sleep", "allow_sleep"),
}


@frozen
class _Sources:
    """The settings as plain values, and where each came from: a place in the file, a variable, a flag."""

    file: Path
    plain: Any = None
    places: Mapping[KeyPath, Place] = field(factory=dict)
    overridden: dict[KeyPath, str] = field(factory=dict)

    def where(self, path: KeyPath) -> str:
        """The place of what a path leads to, or of the nearest above it that has one."""
        above = [path[:length] for length in range(len(path), 0, -1)]
        if origin := next((self.overridden[each] for each in above if each in self.overridden), None):
            return origin
        return _in_file(self.file, next((self.places[each] for each in above if each in self.places), (0, 0)))

    def error(self, problems: list[Problem]) -> ConfigError:
        told = ((self.where(problem.path), explained(problem)) for problem in problems)
        lines = [_one_line(f"{where}: {problem.at('')}") for where, problem in told]
        if len(lines) > MOST_LINES:
            lines[MOST_LINES:] = [f"{self.file.name}: and {len(lines) - MOST_LINES} problems more"]
        return ConfigError("\n".join(lines))


def _in_file(file: Path, place: Place) -> str:
    return f"{file.name}:{place[0] + 1}:{place[1] + 1}"


def _one_line(text: str) -> str:
    shown = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    return shown if len(shown) <= LONGEST_LINE else f"{shown[:LONGEST_LINE]}…"


@frozen
class Loaded:
    """Settings, and of what somebody set, by its path, where: `file:line:column`, a variable, or a flag."""

    settings: Settings
    origins: Mapping[KeyPath, str]


def load_settings(kittify_dir: Path, environ: Mapping[str, str], flags: Flags) -> Settings:
    """The settings for a run.

    Raises:
        ConfigError: with every problem at once, a line each: `file:line:column: path: what is wrong`.
    """
    return load_with_origins(kittify_dir, environ, flags).settings


def load_with_origins(kittify_dir: Path, environ: Mapping[str, str], flags: Flags) -> Loaded:
    """The settings for a run, and where each was made. Raises ConfigError as `load_settings` does."""
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
    made = {*sources.places, *sources.overridden}
    return Loaded(settings, {path: sources.where(path) for path in made})


def _read_file(path: Path) -> _Sources:
    data = _content(path)
    try:
        text = data.decode("utf-8")
        written = read_yaml(text)
    except UnicodeDecodeError as problem:
        where = _in_file(path, place_in(data[: problem.start].decode("utf-8")))
        raise ConfigError(f"{where}: not UTF-8: the byte {data[problem.start]:#04x}") from problem
    except NotPlain as problem:
        raise ConfigError(_one_line(f"{_in_file(path, problem.place)}: {problem}")) from problem
    return _Sources(path, _filled(written.plain, Settings), written.places)


def _filled(plain: Any, kind: Any) -> Any:
    """The same, with `{}` for what holds keys and has nothing behind it, as all of its keys are comments."""
    inside = _inside(kind)
    if inside is None or not (plain is None or isinstance(plain, dict)):
        return plain
    return {name: _filled(value, inside(name)) for name, value in (plain or {}).items()}


def _inside(kind: Any) -> Callable[[str], Any] | None:
    """By the name of a key, the type of what it holds; None where a type has no keys."""
    if attrs.has(kind):
        hints = typing.get_type_hints(kind)
        return lambda name: hints.get(name)
    if typing.get_origin(kind) is Mapping:
        return lambda _: typing.get_args(kind)[1]
    return None


def _content(path: Path) -> bytes:
    """What is in the file; nothing if there is none. A pipe in its place is not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        if path.is_symlink():
            raise _unreadable(path, "a link to a file that is not there") from None
        return b""
    except OSError as problem:
        raise _unreadable(path, str(problem.strerror)) from problem
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _unreadable(path, "not a file")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as problem:
        raise _unreadable(path, str(problem.strerror)) from problem
    finally:
        os.close(descriptor)
    if len(data) > MOST_BYTES:
        raise _unreadable(path, f"larger than {MOST_BYTES // 1024} KiB, and no configuration")
    return data


def _unreadable(path: Path, why: str) -> ConfigError:
    return ConfigError(f"{path} cannot be read: {_one_line(why)}", remedy="mend it, or move it away")


# What outranks the file.


def _override(sources: _Sources, environ: Mapping[str, str], flags: Flags) -> list[Problem]:
    variables = {PREFIX + "_".join(path).upper(): (path, kind) for path, kind in _leaves(Settings)}
    problems = []
    for name in sorted(environ):
        if name in variables:
            path, kind = variables[name]
            if unfit_for_a_command(environ[name]):
                sources.overridden[path] = name
                problems.append(Problem(path, "its bytes are no UTF-8"))
                continue
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
        return read_yaml(text).plain
    except NotPlain:
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
