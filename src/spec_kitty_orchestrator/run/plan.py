"""What a run would do, as lines: the waves of work packages, the agents, their command lines, the limits."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from ..agents.spec import AgentSettings, CommandContext, Role, command_line
from ..host.contract.payloads import MissionState, WorkPackageState
from .opening import Opened


def plan_lines(opened: Opened) -> Iterator[str]:
    """The plan, for a person."""
    settings, mission = opened.settings, opened.mission
    yield f"Mission {mission.mission_slug}: {len(mission.work_packages)} work packages"
    yield f"Host: {opened.host.endpoint.binary}"
    for number, wave in enumerate(waves(mission), start=1):
        yield f"Wave {number}: " + ", ".join(f"{wp.wp_id} ({wp.lane.value})" for wp in wave)
    for role in Role:
        yield f"{role.value.capitalize()}:"
        for agent in getattr(settings.agents, role.value):
            yield from _agent_lines(opened, role, agent)
    yield (
        f"Limits: {settings.max_concurrent_wps} work packages at once, {settings.agents.max_retries} "
        f"retries, {settings.agents.timeout_seconds:g} s for each attempt, {settings.grace_seconds:g} s grace"
    )
    yield f"Approved work packages go to: {settings.approval_lane.value}"
    yield "Nothing was changed."


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


def _agent_lines(opened: Opened, role: Role, agent: str) -> Iterator[str]:
    program, spec = opened.programs[agent], opened.specs[agent]
    if program is None:
        yield f"  {agent}: not installed; skipped"
        return
    context = CommandContext(
        binary=program,
        workspace=Path("WORKSPACE"),
        git_dir=Path("REPOSITORY/.git/worktrees/WORKSPACE"),
        common_git_dir=Path("REPOSITORY/.git"),
        planning_dir=Path("MISSION"),
        attempt_dir=Path("ATTEMPT"),
        settings=opened.settings.agents.settings.get(agent, AgentSettings()),
    )
    line = command_line(spec, role, context)
    yield f"  {agent}: {shlex.join(line.argv)} < PROMPT"
    if role is Role.REVIEW and not spec.read_only_review:
        yield "    (this CLI cannot be kept from writing while it reviews)"
