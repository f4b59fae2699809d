"""What a run would do, as lines: the waves of work packages, the agents, their command lines, the limits."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..agents.agent import Agent
from ..agents.enforced import enforced_modes
from ..agents.spec import Role, Wall
from ..host.contract.payloads import MissionState, WorkPackageState
from ..host.workspace import Workspace
from ..report.totals import dollars
from ..report.untraced import without_password
from ..settings.cast import parts
from ..settings.values import Settings
from .opening import Opened
from .tracing import plan_traces

SOME_WORKSPACE = Workspace(
    path=Path("WORKSPACE"),
    git_dir=Path("REPOSITORY/.git/worktrees/WORKSPACE"),
    common_git_dir=Path("REPOSITORY/.git"),
    branch="LANE",
    base="BASE",
    prompt_file=Path("MISSION/tasks/WP.md"),
)


def plan_lines(opened: Opened) -> Iterator[str]:
    """The plan, for a person."""
    settings, mission = opened.settings, opened.mission
    yield f"Mission {mission.mission_slug}: {len(mission.work_packages)} work packages"
    yield f"Host: {opened.host.endpoint.binary}"
    if opened.shortcoming:
        yield f"WARNING: {opened.shortcoming}"
    for number, wave in enumerate(waves(mission), start=1):
        yield f"Wave {number}: " + ", ".join(f"{wp.wp_id} ({wp.lane.value})" for wp in wave)
    if opened.wanted is not None:
        yield f"Only: {', '.join(wp.wp_id for wp in mission.work_packages if wp.wp_id in opened.wanted)}"
    for part in parts(settings.agents):
        yield f"{part.role.value.capitalize()}{part.of_whom}:"
        for agent in part.names:
            yield from _agent_lines(opened, part.role, agent)
    if settings.agents.reviews_required > 1:
        yield f"Approvals that a commit needs: {settings.agents.reviews_required}"
    for name, commands in (("Setup", settings.setup), ("Checks", settings.checks)):
        if commands:
            yield f"{name}: {'; '.join(map(shlex.join, commands))}"
    yield (
        f"Limits: {settings.max_concurrent_wps} work packages at once, {settings.agents.max_retries} "
        f"retries, {settings.agents.timeout_seconds:g} s for each attempt, {settings.grace_seconds:g} s grace"
    )
    yield from budget_lines(settings, opened.agents)
    yield f"Approved work packages go to: {settings.approval_lane.value}"
    if (merge := settings.merge).when_accepted:
        into = merge.target or "the branch that is checked out"
        pushed = " and pushed" if merge.push else ""
        yield f"Once accepted it is merged into {into} ({merge.strategy}){pushed}"
    yield from trace_lines(opened)
    yield "Nothing was changed."


def budget_lines(settings: Settings, agents: Mapping[str, Agent]) -> Iterator[str]:
    """What the run may cost and how long it may last, if it is limited, and whose cost does not count."""
    cost, seconds = settings.max_cost_usd, settings.max_runtime_seconds
    limits = [] if cost is None else [f"{dollars(cost)} USD for the run, over all its starts"]
    limits += [] if seconds is None else [f"{seconds:g} s for each start of it"]
    if limits:
        yield f"Budget: {'; '.join(limits)}; agents at work finish when it is spent"
    if cost is not None and (untold := cost_not_told(agents)):
        yield f"  {untold}"


def cost_not_told(agents: Mapping[str, Agent]) -> str:
    """Which of these tell no cost, and what that means for a budget; empty when all do."""
    silent = [agent_id for agent_id, agent in agents.items() if not agent.spec.reports_cost]
    if not silent:
        return ""
    if len(silent) == len(agents):
        return "WARNING: no chosen agent tells what it costs: max_cost_usd will end nothing"
    return f"max_cost_usd: no cost is told by {', '.join(silent)}: what they spend does not count"


def trace_lines(opened: Opened) -> Iterator[str]:
    """Where traces would go, if anybody asks for them."""
    traces = plan_traces(opened.settings.otel, opened.request.environ)
    if traces.problem:
        yield f"Traces: none, although {traces.by} is set: {traces.problem}"
    elif traces.endpoint:
        yield f"Traces go to: {without_password(traces.endpoint)} ({traces.by})"


def waves(mission: MissionState) -> list[list[WorkPackageState]]:
    """The work packages by their longest chain of dependencies; a cycle comes last, together."""
    left = {wp.wp_id: wp for wp in mission.work_packages}
    result: list[list[WorkPackageState]] = []
    while left:
        wave = [wp for wp in left.values() if not any(dep in left for dep in wp.dependencies)]
        result.append(wave or list(left.values()))
        for wp in result[-1]:
            del left[wp.wp_id]
    return result


def _agent_lines(opened: Opened, role: Role, agent_id: str) -> Iterator[str]:
    agent = opened.agents[agent_id]
    if agent.program is None:
        yield f"  {agent_id}: not installed; skipped"
        return
    line = agent.command_line(role, SOME_WORKSPACE, Path("ATTEMPT"))
    yield f"  {agent_id}: {shlex.join(line.argv)} < PROMPT"
    yield f"    ({_held(opened, agent, role)})"
    if (launcher := agent.settings.launcher) is not None and launcher.is_far:
        yield f"    (runs elsewhere, by launcher.use: {launcher.use.value})"
    if agent.settings.max_cost_usd is not None and not agent.spec.cost_limit_args:
        yield f"    (stopped once it has told more than {dollars(agent.settings.max_cost_usd)} USD)"
    if role is Role.REVIEW and not agent.spec.read_only_review:
        yield "    (this CLI cannot be kept from writing while it reviews)"


def _held(opened: Opened, agent: Agent, role: Role) -> str:
    """What holds an agent to its limits."""
    modes = enforced_modes(agent.spec, agent.settings, role)
    wall, sandbox = opened.walls.of(agent), modes["sandbox_mode"]
    if wall is Wall.OFF:
        return f"held by a sandbox of its own: {sandbox}" if sandbox != "none" else "no sandbox holds it"
    network = "network open" if wall is Wall.BWRAP else "network: only allowed domains"
    return f"inside {wall.value}: {sandbox}, {network}"
