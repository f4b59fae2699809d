"""What must be true of settings beyond their types: ranges, words, names that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import evolve

from ..agents import all_agent_ids, get_agent, unknown_agent
from ..agents.custom import CustomAgent, known_agents
from ..agents.enforced import enforced_modes, lifted, modes_behind
from ..agents.names import SEPARATOR, agent_of, model_of, with_model
from ..agents.spec import AgentSettings, AgentSpec, OutputFormat, Role, Wall
from ..converter import Problem
from ..host.contract.policy import MODES, secret_word_in
from .cast import parts
from .launchers import MOST_WORK_PACKAGES_AT_ONCE, launcher_problems, launcher_ranges
from .reading import KeyPath
from .values import AgentChoice, MergeSettings, Settings
from .walls import path_problem, wall_problems

MOST_SECONDS = 366 * 24 * 3600
"""A year: the system's clocks and timers know no infinity."""

MOST_LOG_MB = 1024**2
"""A TiB."""

WP_ID = r"WP\d{2,}"

STRATEGIES = ("merge", "squash", "rebase")
"""Of the host's merge-mission (3.2.7)."""

MOST_REVIEWS = 10
"""As there are hardly more agents than that."""

NEVER_ENFORCED = {
    "approval_mode": "in an unattended run nobody approves what an agent does",
}
"""The mode that is the same for every agent, and why nothing can be asked of it."""

LEAST_USD, MOST_USD = 0.01, 1_000_000
"""Of a budget: with less no agent could begin."""

_UNSET = AgentSettings()


def ranges_of(settings: Settings) -> list[tuple[KeyPath, float | None, float, float]]:
    """Each number: the path to it, what it is, the least and the most that it may be."""
    agents = settings.agents
    ranges: list[tuple[KeyPath, float | None, float, float]] = [
        (("max_concurrent_wps",), settings.max_concurrent_wps, 1, MOST_WORK_PACKAGES_AT_ONCE),
        (("grace_seconds",), settings.grace_seconds, 0, 600),
        (("refresh_seconds",), settings.refresh_seconds, 1, MOST_SECONDS),
        (("patience_seconds",), settings.patience_seconds, 0, MOST_SECONDS),
        (("check_timeout_seconds",), settings.check_timeout_seconds, 1, MOST_SECONDS),
        (("max_log_mb",), settings.max_log_mb, 1, MOST_LOG_MB),
        (("max_cost_usd",), settings.max_cost_usd, LEAST_USD, MOST_USD),
        (("max_runtime_seconds",), settings.max_runtime_seconds, 1, MOST_SECONDS),
        (("agents", "max_retries"), agents.max_retries, 0, 100),
        (("agents", "timeout_seconds"), agents.timeout_seconds, 1, MOST_SECONDS),
        (("agents", "idle_timeout_seconds"), agents.idle_timeout_seconds, 1, MOST_SECONDS),
        (
            ("agents", "independent_review_wait_seconds"),
            agents.independent_review_wait_seconds,
            0,
            MOST_SECONDS,
        ),
        (("agents", "reviews_required"), agents.reviews_required, 1, MOST_REVIEWS),
        (("host", "timeout_seconds"), settings.host.timeout_seconds, 5, MOST_SECONDS),
    ]
    ranges += [
        (("agents", "settings", agent_id, "timeout_seconds"), one.timeout_seconds, 1, MOST_SECONDS)
        for agent_id, one in agents.settings.items()
    ]
    ranges += [
        (("agents", "settings", agent_id, "max_cost_usd"), one.max_cost_usd, LEAST_USD, MOST_USD)
        for agent_id, one in agents.settings.items()
    ]
    return ranges + launcher_ranges(settings)


def problems_of(settings: Settings) -> list[Problem]:
    """Everything that is wrong with settings whose types are right."""
    agents = settings.agents
    problems = [_out_of_range(*each) for each in ranges_of(settings)]
    if not settings.approval_lane.is_accepted:
        problems.append(Problem(("approval_lane",), "expected done or approved"))
    for name in ("setup", "checks", "on_attention", "on_finish"):
        problems += [
            Problem((name, index), "expected a command: a list of words, the program first")
            for index, command in enumerate(getattr(settings, name))
            if not _names_a_program(command)
        ]
    problems += [*_merge_problems(settings.merge), *_policy_problems(settings), *_agent_problems(agents)]
    problems += [*wall_problems(settings, _known(agents)), *launcher_problems(settings)]
    return [problem for problem in problems if problem is not None]


def _out_of_range(path: KeyPath, value: float | None, least: float, most: float) -> Problem | None:
    if value is None or least <= value <= most:
        return None
    return Problem(path, f"expected {least:g} or more, up to {most:.0f}")


def _merge_problems(merge: MergeSettings) -> Iterator[Problem]:
    if merge.strategy not in STRATEGIES:
        yield Problem(("merge", "strategy"), f"expected one of {', '.join(STRATEGIES)}")
    if merge.target is not None and not merge.target.strip():
        yield Problem(("merge", "target"), "expected the name of a branch")


def _policy_problems(settings: Settings) -> Iterator[Problem]:
    for name, words in MODES.items():
        asked = getattr(settings.policy, name)
        if asked is None:
            continue
        if asked not in words:
            yield Problem(("policy", name), f"expected one of {', '.join(words)}")
        elif why := _not_enforced(settings, name, asked):
            told = "leave the key out, and the host is told what is so"
            yield Problem(("policy", name), f"{asked} is more than is enforced: {why}; or {told}")


def _not_enforced(settings: Settings, name: str, asked: str) -> str:
    """Why a mode is not true of every chosen agent, and what would enforce it; empty when it is."""
    known, words = _known(settings.agents), MODES[name]

    def enforces(agent_id: str, role: Role, own: AgentSettings = _UNSET) -> bool:
        said = enforced_modes(known[agent_id], own, role)[name]
        return words.index(said) >= words.index(asked)

    lacking, remedies = [], {}
    for agent_id, role in dict.fromkeys(_cast(settings.agents)):
        own = settings.of_agent(agent_id)
        if agent_id in known and not enforces(agent_id, role, own):
            why = ", by its extra_args" if lifted(known[agent_id], own) else ""
            lacking.append(f"{agent_id} ({role.value}{why})")
            able = [each for each in known if enforces(each, role)]
            able += [
                f"sandbox.use: {wall.value}"
                for wall in Wall
                if words.index(modes_behind(wall, role)[name]) >= words.index(asked)
            ]
            remedies[role] = f"for {role.value} {' or '.join(able) or 'nothing'} would"
    if not lacking or name in NEVER_ENFORCED:
        return NEVER_ENFORCED[name] if lacking else ""
    return f"nothing keeps {', '.join(lacking)} to it; {', '.join(remedies.values())}"


def _cast(agents: AgentChoice) -> Iterator[tuple[str, Role]]:
    yield from ((agent_of(name), part.role) for part in parts(agents) for name in part.names)


def _agent_problems(agents: AgentChoice) -> Iterator[Problem]:
    known = {*all_agent_ids(), *agents.custom}
    yield from _cost_limit_problems(agents)
    yield from _cast_problems(agents)
    for agent_id, settings in agents.settings.items():
        at = ("agents", "settings", agent_id)
        if agent_id not in known:
            yield Problem(at, unknown_agent(agent_id, known))
        if settings.model is not None and not settings.model.strip():
            yield Problem((*at, "model"), "expected the name of a model")
        for name in settings.env:
            if not name or "=" in name:
                yield Problem((*at, "env", name), "no variable can have this name")
    for agent_id, custom in agents.custom.items():
        yield from _custom_problems(("agents", "custom", agent_id), agent_id, custom)


def _cast_problems(agents: AgentChoice) -> Iterator[Problem]:
    everybody = evolve(agents, single_agent_mode=False)  # also whom a single agent leaves nothing to do
    for part in parts(everybody):
        if not part.names:
            yield Problem(part.path, "expected at least one agent")
        told = [_with_its_model(agents, name) for name in part.names]
        for index, name in enumerate(part.names):
            at = part.path if part.path[-1] == "model" else (*part.path, index)
            if why := _not_to_be_asked(agents, name):
                yield Problem(at, why)
            elif told[index] in told[:index]:
                yield Problem(at, f"{name!r} is named twice")
    for wp_id, own in agents.by_work_package.items():
        at = ("agents", "by_work_package", wp_id)
        if not re.fullmatch(WP_ID, wp_id):
            yield Problem(at, "no work package can have this name; they are named like WP01")
        if not (own.implementation or own.review or own.model is not None):
            yield Problem(at, "expected `implementation`, `review` or `model`")
    yield from _review_problems(agents)
    yield from _escalation_problems(agents)


def _with_its_model(agents: AgentChoice, name: str) -> str:
    """The name with the model that it will be told, whether it is named with that one or not."""
    return with_model(name, agents.settings.get(agent_of(name), _UNSET).model)


def _not_to_be_asked(agents: AgentChoice, name: str) -> str:
    """Why nobody of that name can be asked; empty when somebody can."""
    known, (agent_id, model) = {*all_agent_ids(), *agents.custom}, (agent_of(name), model_of(name))
    if agent_id not in known:
        return unknown_agent(agent_id, known)
    if model is None:
        return ""
    if not model.strip():
        return f"expected the name of a model after {agent_id}{SEPARATOR}"
    if agent_id in agents.custom or not get_agent(agent_id).model_args:
        return f"{agent_id} cannot be told a model"
    return ""


def _review_problems(agents: AgentChoice) -> Iterator[Problem]:
    """Each work package must have as many reviewers as must approve it."""
    for part in parts(agents):
        if part.role is Role.REVIEW and 0 < len({*part.names}) < agents.reviews_required:
            single = "with single_agent_mode " if agents.single_agent_mode else ""
            told = (
                f"{single}there are {len({*part.names})}, and reviews_required is {agents.reviews_required}"
            )
            yield Problem(part.path, told)


def _escalation_problems(agents: AgentChoice) -> Iterator[Problem]:
    if (escalation := agents.escalate_after_rejections) is None:
        return
    at = ("agents", "escalate_after_rejections")
    if agents.single_agent_mode:
        yield Problem(at, "with single_agent_mode there is nobody to hand over to")
    if not 1 <= escalation.after <= agents.max_retries:
        after = f"expected 1 or more, up to max_retries, {agents.max_retries}: then it is blocked"
        yield Problem((*at, "after"), after)


def _cost_limit_problems(agents: AgentChoice) -> Iterator[Problem]:
    """A limit that nobody can hold is refused: it would be trusted."""
    known = _known(agents)
    able = ", ".join(agent_id for agent_id, spec in known.items() if spec.can_limit_cost)
    for agent_id, settings in agents.settings.items():
        if settings.max_cost_usd is None or agent_id not in known or known[agent_id].can_limit_cost:
            continue
        why = "it has no such limit, and does not tell its cost while it is at work"
        at = ("agents", "settings", agent_id, "max_cost_usd")
        yield Problem(at, f"{agent_id} cannot be held to it: {why}; these can: {able}")


def _known(agents: AgentChoice) -> dict[str, AgentSpec]:
    return known_agents({name: one for name, one in agents.custom.items() if any(one.command.values())})


def _custom_problems(at: KeyPath, agent_id: str, custom: CustomAgent) -> Iterator[Problem]:
    if agent_id in all_agent_ids():
        yield Problem(at, "is a known agent; give yours another name")
    if (
        {",", SEPARATOR} & {*agent_id}
        or agent_id != agent_id.strip()
        or not agent_id.isprintable()
        or not agent_id
    ):
        yield Problem(at, "expected a name without commas and colons, and without blanks around it")
    if not any(custom.command.values()):
        yield Problem((*at, "command"), "expected a program for `implementation`")
    for role, command in custom.command.items():
        if command and not _names_a_program(command):
            yield Problem((*at, "command", role.value), "expected a list of words, the program first")
    if not custom.family.strip():
        yield Problem((*at, "family"), "expected a name")
    elif word := secret_word_in(custom.family):
        yield Problem((*at, "family"), f"the host refuses whatever holds the word {word!r}")
    for name in ("input_tokens", "output_tokens", "cost_usd"):
        if getattr(custom, name) is not None and custom.output is OutputFormat.TEXT:
            yield Problem(
                (*at, name), "is for `output: json` and `jsonl`; in plain text nothing is looked for"
            )
    for index, path in enumerate(custom.litter):
        if path.startswith("/") or not {*path.split("/")} - {"", "."} or ".." in path.split("/"):
            yield Problem((*at, "litter", index), "expected a path inside the workspace")
    for index, path in enumerate(custom.state):
        if what := path_problem(path):
            yield Problem((*at, "state", index), what)


def _names_a_program(command: tuple[str, ...]) -> bool:
    return bool(command) and bool(command[0].strip())
