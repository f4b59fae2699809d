"""The host: whether it is there and understood, and what it can do for a mission."""

from __future__ import annotations

from pathlib import Path

from ...errors import OrchestratorError
from ...host.client import HostClient
from ...host.coordination import shortcoming
from ...host.program import HostEndpoint, find_host_binary, installed_version
from .findings import Case, Finding, Found, problem, warning

COORDINATION = "-coord"
PLAN_ANEW = "plan missions with: spec-kitty orchestrator-api specify --topology lanes ..."


async def host(case: Case) -> Found:
    """Its version, contract and program; and the mission that was asked about, or those with trouble."""
    if case.settings is None or case.root is None:
        return []
    settings = case.settings.host
    try:
        binary = find_host_binary(settings.binary, case.environ)
        endpoint = HostEndpoint(binary, case.root, settings.timeout_seconds, case.environ)
        contract = (await HostClient(endpoint).contract_version()).api_version
    except OrchestratorError as found:
        return [problem("host", found)]
    version = installed_version(binary)
    named = f"version {version}, " if version else ""
    here = Finding("host", f"{named}contract {contract}, {binary}")
    if case.mission is not None:
        return [here, *await _mission(endpoint, contract, case.mission)]
    seen = [await _mission(endpoint, contract, each) for each in _with_coordination(case.root)]
    return [here, *(each for found in seen for each in found if each.remedy == PLAN_ANEW)]


def _with_coordination(root: Path) -> list[str]:
    """The missions that have a coordination worktree here, by the name that the host gives it."""
    return sorted(
        path.name.removesuffix(COORDINATION) for path in (root / ".worktrees").glob(f"*{COORDINATION}")
    )


async def _mission(endpoint: HostEndpoint, contract: str, name: str) -> Found:
    """How many work packages it has in which lane, and whether the host can accept it."""
    what = f"mission {name}"
    try:
        state = await HostClient(endpoint, name).mission_state()
    except OrchestratorError as lost:
        return [problem(what, lost)]
    lanes = [each.lane.value for each in state.work_packages]
    told = ", ".join(f"{lanes.count(lane)} {lane}" for lane in dict.fromkeys(lanes))
    found = [Finding(what, f"work packages: {told}")]
    if lacking := shortcoming(contract, state):
        return [*found, warning(f"topology of {name}", lacking, PLAN_ANEW)]
    return found
