"""What a run needs, checked one by one, each with its remedy. Changes nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from ..agents.agent import Agent
from ..agents.enforced import enforced_modes
from ..agents.spec import Role
from ..errors import OrchestratorError
from ..host.client import HostClient
from ..host.coordination import shortcoming
from ..host.program import HostEndpoint, find_host_binary
from ..settings.cast import Part, parts
from ..settings.loading import load_settings
from ..settings.values import AgentChoice, Flags, Settings
from .lock import is_locked
from .opening import KITTIFY, check_open_files, check_part, find_repo_root, named_agents
from .state import RunStore


@frozen
class Finding:
    """One check: what was looked at, and what was found or is wrong."""

    what: str
    found: str = ""
    problem: OrchestratorError | None = None


OUT_OF_REACH = Finding(
    "out of reach",
    "what an agent has started by something that already runs (tmux, docker, systemd-run, at, cron, ssh); "
    "other users' processes",
)
WARNING = "WARNING: "
COORDINATION = "-coord"
REAPERS = {"init", "systemd", "launchd", "tini", "docker-init", "dumb-init", "catatonit", "podman-init"}


async def examine(given: Path | None, mission: str | None = None) -> list[Finding]:
    """All checks, in the order in which a run makes them, as far as they can be made.

    Args:
        mission: which one to ask the host about; None: those that it may not be able to accept.
    """
    findings = [_platform(), OUT_OF_REACH, *_surroundings(Path("/proc"), os.getpid())]
    try:
        root = find_repo_root(given)
        findings.append(Finding("project", str(root)))
        settings = load_settings(root / KITTIFY, os.environ, Flags())
        findings.append(Finding("settings", f"{root / KITTIFY / 'orchestrator.yaml'} and SK_ORCH_*"))
    except OrchestratorError as problem:
        return [*findings, Finding("project and settings", problem=problem)]
    findings.append(_open_files(settings.max_concurrent_wps))
    choice, agents = settings.agents, named_agents(settings, os.environ)
    findings += [_last_run(root), *(_agents(part, agents) for part in parts(choice))]
    findings += [*_loose_reviewers(choice, agents), _sandboxes(choice, agents)]
    return [*findings, *await _host(settings, root, mission)]


def _platform() -> Finding:
    if sys.platform == "linux":
        return Finding("clean-up", "every process that an agent starts is ended with it")
    return Finding("clean-up", "no subreaper on this system: an agent's own group is ended, not what left it")


def _open_files(agents: int) -> Finding:
    try:
        check_open_files(agents)
    except OrchestratorError as problem:
        return Finding("open files", problem=problem)
    return Finding("open files", f"enough for {agents} agents at once")


def _surroundings(proc: Path, pid: int) -> list[Finding]:
    """What stops us in another way than we stop ourselves: a container without an init, a unit of systemd."""
    findings = []
    first = _read(proc / "1" / "comm")
    if first and first not in REAPERS:
        found = "we are" if pid == 1 else f"{first} is"
        findings.append(
            Finding("container", f"{found} process 1, which reaps nobody's children: start it with --init")
        )
    unit = _read(proc / "self" / "cgroup").rpartition("/")[2]
    if unit.endswith(".service"):
        found = f"{unit}: give it KillMode=mixed, else stopping it stops agents and host before we can"
        findings.append(Finding("systemd unit", found))
    return findings


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # not on this system
        return ""


def _last_run(root: Path) -> Finding:
    try:
        state = RunStore(root / KITTIFY).load()
    except OrchestratorError as problem:
        return Finding("last run", problem=problem)
    if state is None:
        return Finding("last run", "none")
    return Finding("last run", f"{state.run_id}, {'alive' if is_locked(root) else state.status.value}")


def _agents(part: Part, agents: Mapping[str, Agent]) -> Finding:
    what = f"{part.role.value} agents{part.of_whom}"
    try:
        check_part(part, agents)
    except OrchestratorError as problem:
        return Finding(what, problem=problem)
    found = (f"{agent} ({agents[agent].program or 'not installed'})" for agent in part.names)
    return Finding(what, ", ".join(found))


def _cast(choice: AgentChoice) -> list[tuple[str, Role]]:
    """Who may be asked in which role, once each."""
    return [*dict.fromkeys((name, part.role) for part in parts(choice) for name in part.names)]


def _loose_reviewers(choice: AgentChoice, agents: Mapping[str, Agent]) -> list[Finding]:
    return [
        Finding(f"reviewer {name}", "its CLI cannot be kept from writing while it reviews")
        for name, role in _cast(choice)
        if role is Role.REVIEW and not agents[name].spec.read_only_review
    ]


def _sandboxes(choice: AgentChoice, agents: Mapping[str, Agent]) -> Finding:
    """What is told to the host; nothing has to be enforced unless the settings ask for it."""

    def told(name: str, role: Role) -> str:
        modes = enforced_modes(agents[name].spec, agents[name].settings, role)
        return f"{name} {modes['sandbox_mode']} ({role.value})"

    return Finding("sandboxes", ", ".join(told(*each) for each in _cast(choice)))


async def _host(settings: Settings, root: Path, mission: str | None) -> list[Finding]:
    try:
        binary = find_host_binary(settings.host.binary, os.environ)
        endpoint = HostEndpoint(binary, root, settings.host.timeout_seconds)
        contract = (await HostClient(endpoint).contract_version()).api_version
    except OrchestratorError as problem:
        return [Finding("host", problem=problem)]
    host = Finding("host", f"{binary}, contract {contract}")
    if mission is not None:
        return [host, await _mission(endpoint, contract, mission)]
    seen = [await _mission(endpoint, contract, each) for each in _with_coordination(root)]
    return [host, *(found for found in seen if found.found.startswith(WARNING))]


def _with_coordination(root: Path) -> list[str]:
    """The missions that have a coordination worktree here, by the name that the host gives it."""
    return sorted(
        path.name.removesuffix(COORDINATION) for path in (root / ".worktrees").glob(f"*{COORDINATION}")
    )


async def _mission(endpoint: HostEndpoint, contract: str, slug: str) -> Finding:
    try:
        state = await HostClient(endpoint, slug).mission_state()
    except OrchestratorError as problem:
        return Finding(f"mission {slug}", problem=problem)
    lacking = shortcoming(contract, state)
    return Finding(
        f"mission {slug}", WARNING + lacking if lacking else f"{len(state.work_packages)} work packages"
    )
