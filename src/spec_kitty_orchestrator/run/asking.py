"""Whether what a person asks of single work packages can be done: told before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from ..agents import unknown_agent
from ..agents.agent import Agent
from ..agents.custom import known_agents
from ..errors import UsageError
from ..host.contract.lanes import Lane
from ..host.contract.payloads import MissionState
from ..settings.checks import problems_of
from ..settings.values import Asked, Settings


def check_asked_agent(asked: Asked, settings: Settings, agents: Mapping[str, Agent]) -> None:
    """Raises UsageError when the agent that is asked for is unknown, not installed, or may not be asked."""
    if asked.agent is None:
        return
    known = known_agents(settings.agents.custom)
    if asked.agent not in known:
        raise UsageError(f"--agent: {unknown_agent(asked.agent, known)}", remedy=f"known: {', '.join(known)}")
    if agents[asked.agent].program is None:
        raise UsageError(
            f"--agent: {asked.agent} is not installed (not on PATH)",
            remedy="install it, or name another one; `spec-kitty-orchestrator agents` shows what is here",
        )
    with_it = evolve(settings, agents=evolve(settings.agents, implementation=(asked.agent,)))
    if problems := problems_of(with_it):
        raise UsageError(f"--agent: with {asked.agent}, {problems[0].at('')}")


def check_asked_work_packages(asked: Asked, mission: MissionState) -> None:
    """Raises UsageError for one that is not in the mission, or that only a person can take back."""
    lanes = {found.wp_id: found.lane for found in mission.work_packages}
    for wp_id in asked.wp_ids:
        if wp_id not in lanes:
            raise UsageError(
                f"mission {mission.mission_slug} has no work package {wp_id}",
                remedy=f"it has {', '.join(lanes)}",
            )
        if lanes[wp_id].is_accepted or lanes[wp_id] is Lane.CANCELED:
            take_back = f"spec-kitty agent tasks move-task {wp_id} --to planned --force"
            why = f"--review-feedback-file FILE --mission {mission.mission_slug}"
            raise UsageError(
                f"{wp_id} is {lanes[wp_id].value}",
                remedy=f"take it back first, with words: {take_back} {why}",
            )
