"""What a person asks of single work packages, of a run that goes on or is alive: carried out at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from attrs import evolve

from ..agents.spec import Role
from ..errors import HostError
from ..host.contract.lanes import Lane
from ..host.contract.payloads import MissionState, TransitionRequest
from ..report.events import Notice
from ..settings.cast import implementers
from ..settings.values import Asked
from .context import RunContext
from .outcome import Through
from .records import REVIEWS_KEPT
from .standing import Standing

UNBLOCKED = "unblocked: a person asked for it to be tried again"


async def carry_out(
    asked: Asked, run: RunContext, mission: MissionState, touched: Callable[[str], None] = lambda _: None
) -> MissionState:
    """Forgets what counts against those work packages, keeps what is said of them, and unblocks them.

    Work that was ended or approved before, and of which the host has not heard, is not enough then.

    Args:
        touched: told before and after each move of a work package at the host.

    Returns:
        the mission as it stands then. One that cannot be unblocked is told, and stays where it is.
    """
    lanes = {found.wp_id: found.lane for found in mission.work_packages}
    wanted = lanes.keys() if run.wanted is None else run.wanted
    blocked = [wp_id for wp_id, lane in lanes.items() if lane is Lane.BLOCKED and wp_id in wanted]
    ours = [wp_id for wp_id in blocked if run.record(wp_id).blocked] if asked.retry_blocked else []
    for wp_id in dict.fromkeys((*asked.wp_ids, *ours)):
        run.record(wp_id).forget_failures()
        if wp_id in asked.wp_ids:
            _tell(asked, run, wp_id, lanes[wp_id])
        run.save(wp_id)
        if lanes[wp_id] is Lane.BLOCKED:
            lanes[wp_id] = await _unblock(run, wp_id, partial(touched, wp_id))
    if asked.retry_blocked:
        for wp_id in [wp_id for wp_id in blocked if wp_id not in (*asked.wp_ids, *ours)]:
            command = f"spec-kitty-orchestrator retry {wp_id}"
            run.events.emit(Notice(f"{wp_id} was blocked by somebody else; to go on with it too: {command}"))
    found = tuple(evolve(each, lane=lanes[each.wp_id]) for each in mission.work_packages)
    return evolve(mission, work_packages=found)


def _tell(asked: Asked, run: RunContext, wp_id: str, lane: Lane) -> None:
    record = run.record(wp_id)
    record.asked_agent = asked.agent or record.asked_agent
    if asked.feedback or asked.agent:
        record.finished_by = None
    if asked.feedback:
        if record.verdict is not None and record.verdict.said.approved:
            record.verdict = None
        record.approvals = []
        record.asked = f"The person who runs this mission says: {asked.feedback}"
        record.reviews = [*record.reviews, record.asked][-REVIEWS_KEPT:]
        if lane in (Lane.FOR_REVIEW, Lane.IN_REVIEW):
            text = f"{wp_id} is up for review: its reviewer is told what you say, and judges by it"
            run.events.emit(Notice(text))


async def _unblock(run: RunContext, wp_id: str, touched: Callable[[], None]) -> Lane:
    """Moves it to in_progress in our own name; where it stands then."""
    policy = run.policy(implementers(run.settings.agents, wp_id)[0], Role.IMPLEMENTATION)
    request = TransitionRequest(wp_id, Lane.IN_PROGRESS, note=UNBLOCKED, policy=policy)
    try:
        await Standing(run, wp_id, Lane.BLOCKED, touched).move(request)
    except Through as end:
        why = end.outcome.reason or f"somebody moved it to {end.outcome.lane.value}"
        run.events.emit(Notice(f"{wp_id} was not unblocked: {why}"))
        return end.outcome.lane
    except HostError as problem:
        run.events.emit(Notice(f"{wp_id} was not unblocked: {problem}"))
        return Lane.BLOCKED
    return Lane.IN_PROGRESS
