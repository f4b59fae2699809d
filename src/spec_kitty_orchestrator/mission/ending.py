"""When a run has nothing left to do by itself: what is said of the rest, and to whom."""

from __future__ import annotations

from collections.abc import Mapping

from ..report.events import WpLeft
from ..report.run_events import WaitingForPeople
from .acceptance import MissionEnd, accept, unfinished
from .context import RunContext
from .outcome import Outcome
from .stall import what_is_left
from .view import View


async def end_of(
    run: RunContext, view: View, outcomes: Mapping[str, Outcome], unproven: Mapping[str, str]
) -> MissionEnd:
    """Accepts the mission if all is done, else says what is left.

    Args:
        unproven: those that somebody else moved to approved or done while an agent of ours was at work.
    """
    if view.all_accepted:
        return await accept(run, view.lanes, unproven)
    for wp_id, outcome in outcomes.items():
        if outcome.ended.is_for_now:
            run.events.emit(WpLeft(wp_id, outcome.reason))
    lanes, wanted = view.lanes, run.wanted or frozenset()
    done = [wp_id for wp_id in lanes if wp_id in wanted]
    if not all(lanes[wp_id].is_accepted and wp_id not in unproven for wp_id in done):
        done = []
    left = [f"  {wp_id} {lanes[wp_id].value}: {why}" for wp_id, why in unproven.items()]
    left += what_is_left(run, view, outcomes)
    return unfinished(run, outcomes, left, done)


def wake_people(run: RunContext, view: View, outcomes: Mapping[str, Outcome]) -> None:
    """Says what a run that waits for people waits for."""
    run.events.emit(WaitingForPeople(tuple(what_is_left(run, view, outcomes))))
