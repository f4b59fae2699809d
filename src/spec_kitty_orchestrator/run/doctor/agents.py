"""The agents that the settings name: installed, in which version, signed in, and what holds them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...agents import all_agent_ids
from ...agents.agent import Agent
from ...agents.enforced import enforced_modes
from ...agents.probe import Found as Probed
from ...agents.probe import exit_status, probe_all
from ...agents.setting_up import SETTING_UP
from ...agents.spec import Role
from ...agents.versions import Age
from ...errors import OrchestratorError
from ...settings.cast import parts
from ...settings.values import AgentChoice
from ..opening import check_part
from .findings import Case, Finding, Found, problem, warning


async def enough(case: Case) -> Found:
    """Whether each role has as many agents as it takes."""
    if case.settings is None:
        return []
    found = []
    for part in parts(case.settings.agents):
        what = f"{part.role.value}{part.of_whom}"
        try:
            check_part(part, case.agents)
            found.append(Finding(what, ", ".join(part.names)))
        except OrchestratorError as lacking:
            found.append(problem(what, lacking))
    return found


async def each(case: Case) -> Found:
    """Every agent that is named: program, version beside the one that was measured, signed in or not.

    One of the user's own is not run: nobody knows what it does when it is asked for its version.
    """
    named = {agent.spec.agent_id: agent for agent in case.agents.values()}
    known = tuple(agent.spec for agent_id, agent in named.items() if agent_id in all_agent_ids())
    found = [_own(agent) for agent_id, agent in named.items() if agent_id not in all_agent_ids()]
    for one in await probe_all(known, case.environ):
        agent = named[one.spec.agent_id]
        found.append(_installed(one))
        if one.binary is not None:
            found += await _signed_in(agent, one.binary, case)
    return found


def _own(agent: Agent) -> Finding:
    what, program = agent.spec.agent_id, agent.spec.binaries[0]
    if agent.program is None:
        return warning(
            what, f"{program} is not on PATH", "mend its command in orchestrator.yaml (agents.custom)"
        )
    return Finding(what, f"{agent.program}, of your own")


def _installed(found: Probed) -> Finding:
    spec = found.spec
    if found.binary is None:
        told = f"not installed: no {' or '.join(spec.binaries)} on PATH"
        return warning(spec.agent_id, told, SETTING_UP[spec.agent_id].install)
    named = f"{found.version or 'a version that it does not tell'}, {found.binary}"
    if found.age is Age.OLDER:
        told = f"{named}; older than {spec.verified}, which is verified"
        return warning(spec.agent_id, told, SETTING_UP[spec.agent_id].install)
    newer = f"; newer than {spec.verified}, which is verified" if found.age is Age.NEWER else ""
    return Finding(spec.agent_id, named + newer)


async def _signed_in(agent: Agent, binary: Path, case: Case) -> Found:
    """Asked without cost: a variable, what the CLI says of itself, a file of its own."""
    setting_up = SETTING_UP[agent.spec.agent_id]
    what, environ = f"{agent.spec.agent_id} signed in", {**case.environ, **agent.settings.env}
    if given := next((name for name in setting_up.variables if environ.get(name)), ""):
        return [Finding(what, f"by {given}")]
    if setting_up.status:
        asked = f"{binary.name} {' '.join(setting_up.status)}"
        status = await exit_status(binary, setting_up.status, environ)
        if status == 0:
            return [Finding(what, f"says {asked}")]
        if status == 1:
            told = f"it is not, says {asked} (no trouble where it has a provider of your own)"
            return [warning(what, told, setting_up.sign_in)]
        return [warning(what, f"{asked} does not tell", f"see for yourself: {asked}")]
    home = Path(environ.get("HOME") or Path.home())
    if kept := next((name for name in setting_up.files if (home / name).is_file()), ""):
        return [Finding(what, f"~/{kept} is there")]
    return [Finding(what, f"cannot be told without cost (if it is not: {setting_up.sign_in})")]


async def reviewers(case: Case) -> Found:
    """Those that cannot be kept from writing while they review."""
    if case.settings is None:
        return []
    found = "its CLI cannot be kept from writing while it reviews; what it changes voids its verdict"
    return [
        Finding(f"reviewer {name}", found)
        for name, role in _cast(case.settings.agents)
        if role is Role.REVIEW and name in case.agents and not case.agents[name].spec.read_only_review
    ]


async def sandboxes(case: Case) -> Found:
    """What is told to the host; nothing has to be enforced unless the settings ask for it."""
    if case.settings is None:
        return []
    return [Finding("sandboxes", ", ".join(_told(case, case.settings.agents)))]


def _told(case: Case, choice: AgentChoice) -> Iterator[str]:
    for name, role in _cast(choice):
        agent = case.agents[name]
        yield f"{name} {enforced_modes(agent.spec, agent.settings, role)['sandbox_mode']} ({role.value})"


def _cast(choice: AgentChoice) -> list[tuple[str, Role]]:
    """Who may be asked in which role, once each."""
    return [*dict.fromkeys((name, part.role) for part in parts(choice) for name in part.names)]
