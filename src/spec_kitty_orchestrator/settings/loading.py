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

from ..agents import all_agent_ids, unknown_agent
from ..agents.custom import CustomAgent
from ..agents.spec import AgentSettings
from ..converter import Problem, Unreadable, read
from ..errors import ConfigError
from ..host.contract.lanes import Lane
from ..host.contract.policy import MODES
from ..run.state import Flags

FILE_NAME = "orchestrator.yaml"
PREFIX = "SK_ORCH_"
TESTS_PREFIX = "SK_ORCH_E2E_"  # the e2e suite's own variables; no settings
DEFAULT_AGENT = "claude-code"
MOST_WORK_PACKAGES_AT_ONCE = 64  # a bound on what one machine can hold of agents, not a target


@frozen
class AgentChoice:
    """`agents:` who implements, who reviews, and how patient the run is with them. Times are seconds."""

    implementation: tuple[str, ...] = (DEFAULT_AGENT,)
    review: tuple[str, ...] = (DEFAULT_AGENT,)
    max_retries: int = 2
    timeout_seconds: float = 3600.0
    idle_timeout_seconds: float | None = None
    single_agent_mode: bool = False
    settings: Mapping[str, AgentSettings] = field(factory=dict)
    custom: Mapping[str, CustomAgent] = field(factory=dict)


@frozen
class PolicyModes:
    """`policy:` what the host is told about how agents may act; see `contract/policy.py` for the words."""

    approval_mode: str = "full_auto"
    sandbox_mode: str = "workspace_write"
    network_mode: str = "open"


@frozen
class HostSettings:
    """`host:` which host, and how many seconds one of its calls may take."""

    binary: str | None = None
    timeout_seconds: float = 120.0


@frozen
class Settings:
    """Everything that can be set. Times are seconds."""

    max_concurrent_wps: int = 4
    approval_lane: Lane = Lane.DONE
    grace_seconds: float = 10.0
    refresh_seconds: float = 30.0
    agents: AgentChoice = AgentChoice()
    policy: PolicyModes = PolicyModes()
    host: HostSettings = HostSettings()


KeyPath = tuple["str | int", ...]

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
    problems += _checks(settings)
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
    except YAMLError as problem:
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
    if typing.get_origin(kind) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    if str in (kind, *typing.get_args(kind)) or (isinstance(kind, type) and issubclass(kind, str)):
        return text
    return YAML(typ="safe", pure=True).load(text)


def _put(sources: _Sources, path: tuple[Any, ...], value: Any, origin: str) -> None:
    target = sources.plain
    for step in path[:-1]:
        if not isinstance(target, dict):
            return  # the file is wrong there, and will be told so
        target = target.setdefault(step, {})
    if isinstance(target, dict):
        target[path[-1]] = value
        sources.overridden[path] = origin


# What types alone cannot say.


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
        return _checks(read(plain, Settings, closed=True))
    except Unreadable:  # what is wrong cannot be taken out
        return []


def _checks(settings: Settings) -> list[Problem]:
    agents = settings.agents
    ranges = [
        (("max_concurrent_wps",), settings.max_concurrent_wps, 1, MOST_WORK_PACKAGES_AT_ONCE),
        (("grace_seconds",), settings.grace_seconds, 0, 600),
        (("refresh_seconds",), settings.refresh_seconds, 1, None),
        (("agents", "max_retries"), agents.max_retries, 0, 100),
        (("agents", "timeout_seconds"), agents.timeout_seconds, 1, None),
        (("agents", "idle_timeout_seconds"), agents.idle_timeout_seconds, 1, None),
        (("host", "timeout_seconds"), settings.host.timeout_seconds, 5, None),
    ]
    ranges += [
        (("agents", "settings", agent_id, "timeout_seconds"), one.timeout_seconds, 1, None)
        for agent_id, one in agents.settings.items()
    ]
    problems = [_out_of_range(*each) for each in ranges]
    if not settings.approval_lane.is_accepted:
        problems.append(Problem(("approval_lane",), "expected done or approved"))
    for name, words in MODES.items():
        if getattr(settings.policy, name) not in words:
            problems.append(Problem(("policy", name), f"expected one of {', '.join(words)}"))
    return [problem for problem in [*problems, *_agent_problems(agents)] if problem is not None]


def _out_of_range(path: KeyPath, value: float | None, least: float, most: float | None) -> Problem | None:
    if value is None or (value >= least and (most is None or value <= most)):
        return None
    return Problem(path, f"expected {least:g} or more" + (f", up to {most:g}" if most is not None else ""))


def _agent_problems(agents: AgentChoice) -> Iterator[Problem]:
    known = {*all_agent_ids(), *agents.custom}
    for role, chosen in (("implementation", agents.implementation), ("review", agents.review)):
        if not chosen:
            yield Problem(("agents", role), "expected at least one agent")
        for index, agent_id in enumerate(chosen):
            if agent_id not in known:
                yield Problem(("agents", role, index), unknown_agent(agent_id, known))
            elif agent_id in chosen[:index]:
                yield Problem(("agents", role, index), f"{agent_id!r} is named twice")
    for agent_id in agents.settings:
        if agent_id not in known:
            yield Problem(("agents", "settings", agent_id), unknown_agent(agent_id, known))
    for agent_id, custom in agents.custom.items():
        if agent_id in all_agent_ids():
            yield Problem(("agents", "custom", agent_id), "is a known agent; give yours another name")
        if not any(custom.command.values()):
            yield Problem(
                ("agents", "custom", agent_id, "command"), "expected a program for `implementation`"
            )
