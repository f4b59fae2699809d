"""What a run needs, checked one by one, each with its remedy. Changes nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from attrs import frozen

from ..agents import find_binary
from ..agents.custom import known_agents
from ..agents.spec import Role
from ..errors import OrchestratorError
from ..host.client import HostClient
from ..host.program import HostEndpoint, find_host_binary
from ..settings.loading import load_settings
from ..settings.values import Flags, Settings
from .lock import is_locked
from .opening import KITTIFY, check_role, find_repo_root
from .state import RunStore


@frozen
class Finding:
    """One check: what was looked at, and what was found or is wrong."""

    what: str
    found: str = ""
    problem: OrchestratorError | None = None


async def examine(given: Path | None) -> list[Finding]:
    """All checks, in the order in which a run makes them, as far as they can be made."""
    findings: list[Finding] = [_platform()]
    try:
        root = find_repo_root(given)
        findings.append(Finding("project", str(root)))
        settings = load_settings(root / KITTIFY, os.environ, Flags())
        findings.append(Finding("settings", f"{root / KITTIFY / 'orchestrator.yaml'} and SK_ORCH_*"))
    except OrchestratorError as problem:
        return [*findings, Finding("project and settings", problem=problem)]
    findings += [_last_run(root), *(_agents(settings, role) for role in Role), *_loose_reviewers(settings)]
    findings.append(await _host(settings, root))
    return findings


def _platform() -> Finding:
    if sys.platform == "linux":
        return Finding("clean-up", "every process that an agent starts is ended with it")
    return Finding("clean-up", "no subreaper on this system: an agent's own group is ended, not what left it")


def _last_run(root: Path) -> Finding:
    try:
        state = RunStore(root / KITTIFY).load()
    except OrchestratorError as problem:
        return Finding("last run", problem=problem)
    if state is None:
        return Finding("last run", "none")
    return Finding("last run", f"{state.run_id}, {'alive' if is_locked(root) else state.status.value}")


def _agents(settings: Settings, role: Role) -> Finding:
    chosen, specs = getattr(settings.agents, role.value), known_agents(settings.agents.custom)
    programs = {agent: find_binary(specs[agent], os.environ) for agent in chosen}
    try:
        check_role(role, chosen, programs)
    except OrchestratorError as problem:
        return Finding(f"{role.value} agents", problem=problem)
    return Finding(
        f"{role.value} agents", ", ".join(f"{a} ({p or 'not installed'})" for a, p in programs.items())
    )


def _loose_reviewers(settings: Settings) -> list[Finding]:
    specs = known_agents(settings.agents.custom)
    return [
        Finding(f"reviewer {agent}", "its CLI cannot be kept from writing while it reviews")
        for agent in settings.agents.review
        if not specs[agent].read_only_review
    ]


async def _host(settings: Settings, root: Path) -> Finding:
    try:
        binary = find_host_binary(settings.host.binary, os.environ)
        said = await HostClient(HostEndpoint(binary, root, settings.host.timeout_seconds)).contract_version()
    except OrchestratorError as problem:
        return Finding("host", problem=problem)
    return Finding("host", f"{binary}, contract {said.api_version}")
