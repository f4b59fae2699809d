"""What must be true of settings beyond their types: ranges, words, names that exist."""

from __future__ import annotations

from collections.abc import Iterator

from ..agents import all_agent_ids, unknown_agent
from ..agents.custom import known_agents
from ..agents.enforced import enforced_modes, lifted
from ..agents.spec import AgentSettings, Role
from ..converter import Problem
from ..host.contract.policy import MODES
from .values import AgentChoice, Settings

KeyPath = tuple["str | int", ...]
"""Keys and list indices, from the top of the settings."""

MOST_WORK_PACKAGES_AT_ONCE = 64
"""A bound on what one machine can hold of agents, not a target."""

NEVER_ENFORCED = {
    "approval_mode": "in an unattended run nobody approves what an agent does",
    "network_mode": "nothing here closes an agent's network",
}
"""The modes that are the same for every agent, and why nothing can be asked of them."""

_UNSET = AgentSettings()


def problems_of(settings: Settings) -> list[Problem]:
    """Everything that is wrong with settings whose types are right."""
    agents = settings.agents
    ranges = [
        (("max_concurrent_wps",), settings.max_concurrent_wps, 1, MOST_WORK_PACKAGES_AT_ONCE),
        (("grace_seconds",), settings.grace_seconds, 0, 600),
        (("refresh_seconds",), settings.refresh_seconds, 1, None),
        (("patience_seconds",), settings.patience_seconds, 0, None),
        (("check_timeout_seconds",), settings.check_timeout_seconds, 1, None),
        (("max_log_mb",), settings.max_log_mb, 1, None),
        (("agents", "max_retries"), agents.max_retries, 0, 100),
        (("agents", "timeout_seconds"), agents.timeout_seconds, 1, None),
        (("agents", "idle_timeout_seconds"), agents.idle_timeout_seconds, 1, None),
        (
            ("agents", "independent_review_wait_seconds"),
            agents.independent_review_wait_seconds,
            0,
            None,
        ),
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
    problems += [*_policy_problems(settings), *_agent_problems(agents)]
    return [problem for problem in problems if problem is not None]


def _out_of_range(path: KeyPath, value: float | None, least: float, most: float | None) -> Problem | None:
    if value is None or (value >= least and (most is None or value <= most)):
        return None
    return Problem(path, f"expected {least:g} or more" + (f", up to {most:g}" if most is not None else ""))


def _policy_problems(settings: Settings) -> Iterator[Problem]:
    for name, words in MODES.items():
        asked = getattr(settings.policy, name)
        if asked is None:
            continue
        if asked not in words:
            yield Problem(("policy", name), f"expected one of {', '.join(words)}")
        elif why := _not_enforced(settings.agents, name, asked):
            told = "leave the key out, and the host is told what is so"
            yield Problem(("policy", name), f"{asked} is more than is enforced: {why}; or {told}")


def _not_enforced(agents: AgentChoice, name: str, asked: str) -> str:
    """Why a mode is not true of every chosen agent, and what would enforce it; empty when it is."""
    custom = {agent_id: one for agent_id, one in agents.custom.items() if any(one.command.values())}
    known, words = known_agents(custom), MODES[name]

    def enforces(agent_id: str, role: Role, settings: AgentSettings = _UNSET) -> bool:
        said = enforced_modes(known[agent_id], settings, role)[name]
        return words.index(said) >= words.index(asked)

    lacking, remedies = [], {}
    for agent_id, role in _cast(agents):
        settings = agents.settings.get(agent_id, _UNSET)
        if agent_id in known and not enforces(agent_id, role, settings):
            why = ", by its extra_args" if lifted(known[agent_id], settings) else ""
            lacking.append(f"{agent_id} ({role.value}{why})")
            able = " or ".join(each for each in known if enforces(each, role)) or "no agent"
            remedies[role] = f"for {role.value} {able} would"
    if not lacking or name in NEVER_ENFORCED:
        return NEVER_ENFORCED[name] if lacking else ""
    return f"no sandbox keeps {', '.join(lacking)} to it; {', '.join(remedies.values())}"


def _cast(agents: AgentChoice) -> Iterator[tuple[str, Role]]:
    """Who may be asked in which role."""
    single = agents.single_agent_mode
    implementers = agents.implementation[:1] if single else agents.implementation
    yield from ((agent_id, Role.IMPLEMENTATION) for agent_id in implementers)
    yield from ((agent_id, Role.REVIEW) for agent_id in (implementers if single else agents.review))


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
