"""The first event of a run, or of another start of it."""

from __future__ import annotations

from ..report.events import RunStarted
from .opening import Opened
from .state import RunState


def run_started(opened: Opened, state: RunState, *, resumed: bool) -> RunStarted:
    """The first event: which run it is, how its mission was found, and its limits."""
    found, settings, wanted = opened.mission.work_packages, opened.settings, opened.wanted
    return RunStarted(
        state.run_id,
        state.mission,
        state.actor,
        lanes={wp.wp_id: wp.lane.value for wp in found},
        resumed=resumed,
        dependencies={wp.wp_id: wp.dependencies for wp in found},
        max_concurrent_wps=settings.max_concurrent_wps,
        max_cost_usd=settings.max_cost_usd,
        max_runtime_seconds=settings.max_runtime_seconds,
        wanted=None if wanted is None else tuple(wp.wp_id for wp in found if wp.wp_id in wanted),
    )
