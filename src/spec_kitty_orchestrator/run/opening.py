"""Opens a run: repository, settings, agents, host, mission, checked in this order. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import trio
from attrs import evolve, field, frozen

from ..agents import find_binary
from ..agents.agent import Agent
from ..agents.custom import known_agents
from ..agents.names import agent_of, model_of
from ..agents.spec import AgentSpec
from ..errors import NoAgentCanWork, OrchestratorError, UsageError
from ..host.client import HostClient
from ..host.contract.payloads import MissionState
from ..host.coordination import shortcoming
from ..host.program import HostEndpoint, find_host_binary
from ..mission.context import AgentKit, policy_for
from ..mission.evidence import GitRepository
from ..mission.obstacles import obstacles
from ..processes.agent_process import RunAgent
from ..processes.open_files import most_open_files, open_files_for
from ..settings.cast import Part, parts
from ..settings.loading import load_settings
from ..settings.values import Asked, Flags, Settings
from ..walls.around import Walls
from ..walls.trial import check_walls
from .asking import (
    check_asked_agent,
    check_asked_work_packages,
    check_named_work_packages,
    wanted_of,
)
from .jobs import check_launchers, launchers_in
from .tracing import check_traces

KITTIFY = ".kittify"


@frozen
class Request:
    """What the user asked for.

    Attributes:
        asked: of single work packages; and `agents`, who may be asked for some beside those of the settings.
        plain: show lines, not a board.
        events: print the events on stdout, as they are in their file; all for people goes to stderr.
    """

    mission: str
    actor: str
    repo_root: Path
    flags: Flags = field(factory=Flags)
    environ: Mapping[str, str] = field(factory=lambda: dict(os.environ))
    asked: Asked = field(factory=Asked)
    agents: tuple[str, ...] = ()
    plain: bool = False
    events: bool = False


@frozen
class Opened:
    """Everything that could be checked, checked; nothing is written yet.

    Attributes:
        wanted: the work packages that are asked for; None: all, also those that come in later.
    """

    request: Request
    settings: Settings
    agents: Mapping[str, Agent]
    host: HostClient
    mission: MissionState
    contract: str = ""
    wanted: frozenset[str] | None = None

    @property
    def shortcoming(self) -> str:
        """What this host cannot do for this mission; nothing if it can do all."""
        return shortcoming(self.contract, self.mission)

    @property
    def walls(self) -> Walls:
        """What is put around the agents."""
        return Walls(self.settings.sandbox, self.request.repo_root)

    def agent_kit(self, start: RunAgent, kill_now: trio.Event) -> AgentKit:
        """The agents, and how one is started."""
        return AgentKit(self.agents, self.request.environ, start, kill_now)


def find_repo_root(given: Path | None) -> Path:
    """The primary checkout of a project: the folder given, or the nearest one above with `.kittify`.

    Raises:
        UsageError: there is none, or it is not the primary checkout of a git repository.
    """
    start = (given or Path.cwd()).resolve()
    candidates = [start] if given is not None else [start, *start.parents]
    try:
        root = next((folder for folder in candidates if (folder / KITTIFY).is_dir()), None)
    except PermissionError as problem:
        raise UsageError(
            f"{problem.filename} may not be looked at", remedy="do this as its owner"
        ) from problem
    if root is None:
        raise UsageError(
            f"{start}: no spec-kitty project here{'' if given else ' or above'} (no {KITTIFY} folder)",
            remedy="go to the project, give --repo-root, or make one with: spec-kitty init",
        )
    git = root / ".git"
    if git.is_file():
        raise UsageError(
            f"{root} is a linked worktree", remedy="run it in the primary checkout, or give --repo-root"
        )
    if not git.is_dir():
        raise UsageError(f"{root} is not a git repository", remedy="make it one with: git init")
    return root


async def check_everything(request: Request) -> Opened:
    """Checks all that can be checked before a run, what costs nothing first. Changes nothing.

    Raises:
        OrchestratorError: the first thing that is wrong, with its remedy.
    """
    settings = load_settings(request.repo_root / KITTIFY, request.environ, request.flags)
    check_traces(settings.otel, request.environ)
    agents = named_agents(settings, request.environ, (*request.agents, request.asked.agent))
    check_asked_agent(request.asked, settings, agents)
    for part in parts(settings.agents):
        check_part(part, agents)
        for agent in part.names:
            policy_for(agents[agent], part.role)
    check_open_files(settings.max_concurrent_wps, is_far=bool(launchers_in(agents)))
    await check_launchers(agents, request.environ)
    await check_walls(Walls(settings.sandbox, request.repo_root), agents, request.environ)
    await check_merge(settings, request.repo_root)
    binary = find_host_binary(settings.host.binary, request.environ)
    endpoint = HostEndpoint(binary, request.repo_root, settings.host.timeout_seconds, request.environ)
    host = HostClient(endpoint, request.mission, request.actor)
    contract, mission = await ask_host(host)
    host.mission = mission.mission_slug
    check_asked_work_packages(request.asked, mission)
    check_named_work_packages(settings.agents, mission)
    wanted = wanted_of(request.flags, request.asked, mission)
    return Opened(request, settings, agents, host, mission, contract, wanted)


async def check_merge(settings: Settings, repo_root: Path) -> None:
    """Raises UsageError when a merge is asked for that would fail as things are."""
    if not settings.merge.when_accepted:
        return
    if found := await obstacles(GitRepository(), repo_root, settings.merge):
        raise UsageError(
            f"the mission could not be merged: {'; '.join(found)}",
            remedy="mend that, or run without --merge (merge.when_accepted)",
        )


async def ask_host(host: HostClient) -> tuple[str, MissionState]:
    """The version of its contract, and how the mission stands; asked for side by side.

    Raises:
        OrchestratorError: one of them could not be told. Of two it is the version's, which may be why the
            other one was refused.
    """
    states: list[MissionState] = []
    problems: list[OrchestratorError] = []  # raised below: out of a nursery they would come in a group

    async def look() -> None:
        try:
            states.append(await host.mission_state())
        except OrchestratorError as problem:
            problems.append(problem)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        try:
            version = await host.contract_version()
        except OrchestratorError as problem:
            problems.insert(0, problem)
            nursery.cancel_scope.cancel()
    if problems:
        raise problems[0]
    return version.api_version, states[0]


def check_open_files(agents: int, *, is_far: bool = False) -> None:
    """Raises UsageError when this process may not have as many files open as so many agents at once need."""
    needed, most = open_files_for(agents, is_far=is_far), most_open_files()
    if 0 <= most < needed:
        raise UsageError(
            f"max_concurrent_wps: {agents} agents at once need {needed} open files, we may have {most}",
            remedy="lower it, or raise the hard limit on open files (LimitNOFILE=, limits.conf)",
        )


def named_agents(
    settings: Settings, environ: Mapping[str, str], also: tuple[str | None, ...] = ()
) -> dict[str, Agent]:
    """The agents that the settings name, and those of `also` that are known, by id, as they are here."""
    known = known_agents(settings.agents.custom)
    asked = (each for each in also if each is not None and agent_of(each) in known)
    named = dict.fromkeys((*(name for part in parts(settings.agents) for name in part.names), *asked))
    return {name: _agent(known[agent_of(name)], name, settings, environ) for name in named}


def _agent(spec: AgentSpec, name: str, settings: Settings, environ: Mapping[str, str]) -> Agent:
    own = settings.of_agent(spec.agent_id)
    own = evolve(own, model=model_of(name) or own.model)
    return Agent(spec, find_binary(spec, environ), own, name)


def check_part(part: Part, agents: Mapping[str, Agent]) -> None:
    """Raises NoAgentCanWork when too few of those who are named for a role are installed."""
    missing = [agent for agent in part.names if not agents[agent].program]
    if len(part.names) - len(missing) < part.needed:
        needed = f", and it takes {part.needed}" if part.needed > 1 else ""
        raise NoAgentCanWork(
            f"{'.'.join(map(str, part.path))}: {', '.join(missing)}: not installed (not on PATH){needed}",
            remedy="install it, or name another one; `spec-kitty-orchestrator agents` shows what is here",
        )
