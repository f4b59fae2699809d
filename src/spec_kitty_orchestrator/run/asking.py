"""Whether what a person asks of single work packages can be done: told before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from ..agents import unknown_agent
from ..agents.agent import Agent
from ..agents.custom import known_agents
from ..agents.names import agent_of
from ..errors import UsageError
from ..host.contract.lanes import Lane
from ..host.contract.payloads import MissionState, WorkPackageState
from ..settings.checks import problems_of
from ..settings.values import AgentChoice, Asked, Flags, Settings


def check_asked_agent(asked: Asked, settings: Settings, agents: Mapping[str, Agent]) -> None:
    """Raises UsageError when the agent that is asked for is unknown, not installed, or may not be asked."""
    if asked.agent is None:
        return
    known, agent_id = known_agents(settings.agents.custom), agent_of(asked.agent)
    if agent_id not in known:
        raise UsageError(f"--agent: {unknown_agent(agent_id, known)}", remedy=f"known: {', '.join(known)}")
    if agents[asked.agent].program is None:
        raise UsageError(
            f"--agent: {asked.agent} is not installed (not on PATH)",
            remedy="install it, or name another one; `spec-kitty-orchestrator agents` shows what is here",
        )
    # It is asked as it is named, whatever model others are asked with for a single work package.
    alone = evolve(settings.agents, implementation=(asked.agent,), by_work_package={})
    with_it = evolve(settings, agents=alone)
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


def check_named_work_packages(agents: AgentChoice, mission: MissionState) -> None:
    """Raises UsageError when agents are chosen for a work package that the mission does not have."""
    known = [found.wp_id for found in mission.work_packages]
    for wp_id in agents.by_work_package:
        if wp_id not in known:
            raise _unknown(f"agents.by_work_package.{wp_id}", wp_id, mission)


def wanted_of(flags: Flags, asked: Asked, mission: MissionState) -> frozenset[str] | None:
    """The work packages that `--only` or `--until` ask for, and those that are to be retried; None: all.

    Raises:
        UsageError: one is not in the mission, both flags are given, or what one waits for is not asked for.
    """
    if flags.only and flags.until:
        raise UsageError("--only and --until: give one of them", remedy="--until takes dependencies along")
    found = {each.wp_id: each for each in mission.work_packages}
    for flag, wp_ids in (("--only", flags.only or ()), ("--until", (flags.until,) if flags.until else ())):
        for wp_id in wp_ids:
            if wp_id not in found:
                raise _unknown(flag, wp_id, mission)
    if flags.until:
        return frozenset(_with_what_it_depends_on(flags.until, found)) | {*asked.wp_ids}
    if not flags.only:
        return None
    for wp_id in flags.only:
        waits = [
            dep
            for dep in found[wp_id].dependencies
            if dep not in flags.only and not (dep in found and found[dep].lane.is_accepted)
        ]
        if waits and found[wp_id].lane is Lane.PLANNED:
            raise UsageError(
                f"--only: {wp_id} waits for {', '.join(waits)}",
                remedy=f"name them too, or use --until {wp_id}, which takes along what it depends on",
            )
    return frozenset((*flags.only, *asked.wp_ids))


def _with_what_it_depends_on(wp_id: str, found: Mapping[str, WorkPackageState]) -> set[str]:
    reached, to_ask = {wp_id}, [wp_id]
    while to_ask:
        new = {dep for dep in found[to_ask.pop()].dependencies if dep in found} - reached
        reached |= new
        to_ask += new
    return reached


def _unknown(where: str, wp_id: str, mission: MissionState) -> UsageError:
    return UsageError(
        f"{where}: mission {mission.mission_slug} has no work package {wp_id}",
        remedy=f"it has {', '.join(found.wp_id for found in mission.work_packages)}",
    )
