"""What is left when a run ends: for each, what it waits for, since when, and what would move it."""

from __future__ import annotations

from collections.abc import Mapping

from ..host.contract.lanes import Lane
from ..report.times import local_minute
from .context import PROGRAM, RunContext
from .outcome import Ended, Outcome
from .view import View


def what_is_left(run: RunContext, view: View, outcomes: Mapping[str, Outcome]) -> list[str]:
    """One line for each work package that is not accepted, in the host's order."""
    return [_line(run, view, outcomes, wp_id) for wp_id, lane in view.lanes.items() if not lane.is_accepted]


def _line(run: RunContext, view: View, outcomes: Mapping[str, Outcome], wp_id: str) -> str:
    lane, outcome = view.lanes[wp_id], outcomes.get(wp_id)
    since = f" since {local_minute(view.since[wp_id])}" if wp_id in view.since else ""
    said = f"  {wp_id} {lane.value}{since}: {' '.join(_why(run, view, outcomes, wp_id).split())}"
    then = _what_moves(run.host.mission, wp_id, lane, outcome)
    return f"{said}; {then}" if then else said


def _why(run: RunContext, view: View, outcomes: Mapping[str, Outcome], wp_id: str) -> str:
    outcome = outcomes.get(wp_id)
    if run.wanted is not None and wp_id not in run.wanted:
        return "not asked for"
    if outcome is not None and outcome.reason:
        return outcome.reason
    if waits := view.waits_for(wp_id):
        lanes = [f"{dep} ({view.lanes[dep].value if dep in view.lanes else 'unknown'})" for dep in waits]
        return f"waits for {', '.join(lanes)}"
    record, lane = run.record(wp_id), view.lanes[wp_id]
    said = record.last_error or ""
    if lane.needs_a_person and not record.blocked and not said.startswith(f"moved to {lane.value}"):
        return f"{lane.value} by somebody else"
    first = run.turns.holder(record.branch or "")
    if first not in (None, wp_id):
        return f"waits for {first} ({view.lanes[first].value}), which has their lane {record.branch}"
    return said or "a person must decide"


def _what_moves(mission: str, wp_id: str, lane: Lane, outcome: Outcome | None) -> str:
    """The command that would move it on; empty where that is the command of another one."""
    if lane is Lane.BLOCKED:
        return f"try it again with: {PROGRAM} retry {wp_id} --feedback 'WHAT TO DO'"
    if lane is Lane.CANCELED:
        return "it stays so, unless whoever canceled it thinks again"
    if outcome is None:
        return ""
    if outcome.ended is Ended.TAKEN:
        back = f"spec-kitty agent tasks move-task {wp_id} --mission {mission} --to planned --force"
        return f"go on when they are through, or take it back: {back} --review-feedback-file FILE"
    return f"then: {PROGRAM} resume"
