"""How a run stands as plain values, for `status --json`. Pure, but for the time that is handed in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

import attrs

from ..mission.records import AttemptRecord
from ..report.story import Story
from ..report.totals import NOTHING, Total
from ..report.wp_story import WpStory
from .overview import Overview
from .state import RunState


def facts_of(found: Overview | None, others: Iterable[RunState], now: float) -> dict[str, Any]:
    """All of it; `run` is null when there is none. Times are ISO 8601 in UTC, durations seconds."""
    kept = [{"run_id": run.run_id, "mission": run.mission, "actor": run.actor} for run in others]
    if found is None:
        return {"run": None, "work_packages": [], "agents": {}, "others": kept}
    totals, current = found.state.totals, found.current
    return {
        "run": _of_run(found, now),
        "work_packages": [_of_wp(found, current, wp_id, now) for wp_id in found.lanes],
        "agents": {agent: _of_total(total) for agent, total in totals.by_agent.items()},
        "others": kept,
    }


def _of_run(found: Overview, now: float) -> dict[str, Any]:
    state, story = found.state, found.story
    return {
        "run_id": state.run_id,
        "mission": state.mission,
        "actor": state.actor,
        "status": state.status.value,
        "alive": found.is_alive,
        "process": state.process.pid,
        "how": found.how,
        "paused_since": state.paused_since,
        "waits_for_people": [*map(str.strip, story.people)] if found.is_alive else [],
        "accepted": state.accepted,
        "reason": state.reason,
        "started_at": state.started_at,
        "updated_at": state.updated_at,
        "seconds": round(story.seconds(now if found.is_alive else story.last), 3),
        "logs": str(found.log_dir.relative_to(found.root)),
        "lanes_are_live": found.is_live,
        "slots": story.slots,
        "resting": [
            {"agent": rest.agent, "until": _iso(rest.until), "kind": rest.kind, "reason": rest.reason}
            for rest in story.resting(now)
        ],
        "totals": _of_total(state.totals.run),
    }


def _of_wp(found: Overview, current: Story, wp_id: str, now: float) -> dict[str, Any]:
    record, told = found.record(wp_id), found.wp_story(wp_id)
    return {
        "wp_id": wp_id,
        "title": told.title,
        "lane": told.lane or None,
        "depends_on": [*told.dependencies],
        "waits_for": [*current.waits_for(wp_id)],
        "now": _of_now(told, now) if found.is_alive else None,
        "attempts": [_of_attempt(attempt) for attempt in record.attempts],
        "failures": sum(attempt.failed for attempt in record.attempts),
        "sent_back": record.rejections,
        "approved_commit": record.approved_commit,
        "approved_by": record.approved_by,
        "last_error": record.last_error,
        "left": told.left or None,
        "totals": _of_total(found.state.totals.by_work_package.get(wp_id, NOTHING)),
    }


def _of_now(told: WpStory, now: float) -> dict[str, Any] | None:
    """What lasts: a phase of `report/phases.py`, who it is about, and why."""
    if (span := told.timeline.now) is None:
        return None
    return {
        "phase": span.phase.value,
        "since": _iso(span.start),
        "seconds": round(span.seconds(now), 3),
        "who": [*span.who],
        "until": None if span.until is None else _iso(span.until),
        "words": span.words,
    }


def _of_attempt(attempt: AttemptRecord) -> dict[str, Any]:
    return {
        "role": attempt.role.value,
        "agent": attempt.agent,
        "number": attempt.number,
        "started_at": attempt.started_at,
        "outcome": attempt.outcome,
        "message": attempt.message,
        "seconds": attempt.seconds,
        "log": attempt.log,
        **attrs.asdict(attempt.usage),
    }


def _of_total(total: Total) -> dict[str, Any]:
    return attrs.asdict(total)


def _iso(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, timezone.utc).isoformat(timespec="milliseconds")
