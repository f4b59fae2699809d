"""What must be true of settings beyond their types: ranges, words, names that exist."""

from __future__ import annotations

from collections.abc import Iterator

from ..agents import all_agent_ids, unknown_agent
from ..converter import Problem
from ..host.contract.policy import MODES
from .values import AgentChoice, Settings

KeyPath = tuple["str | int", ...]
"""Keys and list indices, from the top of the settings."""

MOST_WORK_PACKAGES_AT_ONCE = 64
"""A bound on what one machine can hold of agents, not a target."""


def problems_of(settings: Settings) -> list[Problem]:
    """Everything that is wrong with settings whose types are right."""
    agents = settings.agents
    ranges = [
        (("max_concurrent_wps",), settings.max_concurrent_wps, 1, MOST_WORK_PACKAGES_AT_ONCE),
        (("grace_seconds",), settings.grace_seconds, 0, 600),
        (("refresh_seconds",), settings.refresh_seconds, 1, None),
        (("check_timeout_seconds",), settings.check_timeout_seconds, 1, None),
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
    for name in ("setup", "checks"):
        problems += [
            Problem((name, index), "expected a command: a list of words, the program first")
            for index, command in enumerate(getattr(settings, name))
            if not command or not command[0].strip()
        ]
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
