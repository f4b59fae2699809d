"""The runs of a project that have left events: finds the one that a person asks for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from ..errors import UsageError
from ..report.events import RunStarted
from ..report.reading import FILE_NAME, EventFile, EventReader
from ..report.story import Story

HEAD_BYTES = 256 * 1024
"""So far into a file its first event is looked for; one of a thousand work packages has 60 kB."""
SHOWN = 5


@frozen
class PastRun:
    """A run that has left events; `mission` is empty when its first event cannot be read."""

    run_id: str
    mission: str
    events: Path


def find_past_run(logs: Path, run: str | None = None, mission: str | None = None) -> PastRun:
    """The run that was active last, of all or of a mission, or the one of an id.

    Args:
        run: the run's id, or how it begins or ends.
        mission: its slug, or the short id at its end.

    Raises:
        UsageError: there is none, or more than one has such an id.
    """
    found = [each for each in past_runs(logs) if _is_meant(each, run, mission)]
    if run is not None and len(found) > 1:
        exact = [each for each in found if each.run_id == run]
        if not exact:
            ids = ", ".join(each.run_id for each in found[:SHOWN])
            raise UsageError(f"--run {run}: {len(found)} runs are called so", remedy=f"say which: {ids}")
        found = exact
    if not found:
        what = f" {run}" if run else f" of mission {mission}" if mission else ""
        there = ", ".join(each.run_id for each in past_runs(logs)[:SHOWN])
        raise UsageError(
            f"{logs}: no run{what} has left events",
            remedy=f"there are: {there}" if there else "start one with: spec-kitty-orchestrator orchestrate",
        )
    return found[0]


def story_of(past: PastRun) -> tuple[Story, tuple[str, ...]]:
    """What a run is by its events, and a line for each thing that cannot be read of them.

    Raises:
        UsageError: nothing of it can be read.
    """
    file, story = EventFile(past.events), Story()
    try:
        for timed in file.more():
            story.take(timed.time, timed.event)
    except OSError as problem:
        raise UsageError(f"cannot read {past.events}: {problem.strerror}") from problem
    if story.last == 0.0:
        why = "; ".join(file.problems) or f"{past.events} is empty"
        raise UsageError(f"run {past.run_id}: no event can be read: {why}")
    return story, file.problems


def past_runs(logs: Path) -> list[PastRun]:
    """All of them, the one that was active last at first."""
    files = sorted(_files(logs), reverse=True)
    return [PastRun(path.parent.name, _mission_of(path), path) for _, path in files]


def _files(logs: Path) -> Iterator[tuple[float, Path]]:
    for path in logs.glob(f"*/{FILE_NAME}"):
        try:
            yield path.stat().st_mtime, path
        except OSError:  # taken away at this moment
            continue


def _is_meant(past: PastRun, run: str | None, mission: str | None) -> bool:
    if run is not None and not (past.run_id.startswith(run) or past.run_id.endswith(f"-{run}")):
        return False
    return mission is None or past.mission == mission or past.mission.endswith(f"-{mission}")


def _mission_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = EventReader().feed(file.read(HEAD_BYTES))
    except OSError:
        return ""
    return next((each.event.mission for each in head if isinstance(each.event, RunStarted)), "")
