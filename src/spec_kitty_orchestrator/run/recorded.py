"""Runs as they are recorded below `.kittify/logs`: the last one, a mission's, one by its id; is it alive?"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from attrs import define, field

from ..errors import StateFileError, UsageError
from ..report.reading import FILE_NAME, EventFile
from ..report.story import Story
from ..report.wp_story import AttemptStory, WpStory
from .lock import is_locked
from .opening import KITTIFY
from .state import RunState, RunStore

MOST_NAMED = 5
"""Runs that an error names, the newest ones."""


@define
class RecordedRun:
    """One run, as far as its events tell.

    Attributes:
        folder: where its events and logs are.
        story: what it is, as of the last `look`.
    """

    root: Path
    folder: Path
    story: Story = field(factory=Story)
    _events: EventFile = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._events = EventFile(self.folder / FILE_NAME)

    def look(self) -> None:
        """Takes in what has happened since the last time. Raises UsageError when it cannot be read."""
        try:
            for timed in self._events.more():
                self.story.take(timed.time, timed.event)
        except OSError as problem:
            raise UsageError(f"{self._events.path} cannot be read: {problem.strerror}") from problem

    @property
    def problems(self) -> tuple[str, ...]:
        """A line for a person on each thing that could not be read."""
        return self._events.problems

    def is_alive(self) -> bool:
        """Whether its process is at work, as far as that can be seen from here."""
        state = _last_state(self.root)
        if state is None or state.run_id != self.folder.name:
            return False
        if state.checkout is not None and not state.belongs_to(self.root):
            return False  # a copy; the run is somewhere else
        return state.process.is_alive() or (state.process.is_of_another_container and is_locked(self.root))

    def work_package(self, wp_id: str) -> WpStory:
        """One of its work packages, by its exact id. Raises UsageError, with those that it has."""
        found = self.story.work_packages.get(wp_id)
        if found is None:
            raise UsageError(
                f"run {self.folder.name} of mission {self.story.mission} has no work package {wp_id}",
                remedy=f"it has {_list(self.story.work_packages)}",
            )
        return found

    def attempt(self, wp_id: str, role: str | None, number: int | None) -> AttemptStory:
        """An attempt by its role and number; without a number the last one.

        Raises UsageError, with the attempts that there are, when there is none, or more than one.
        """
        wp = self.work_package(wp_id)
        fitting = [
            each for each in wp.attempts if role in (None, each.role) and number in (None, each.number)
        ]
        roles = {each.role for each in fitting}
        if fitting and (number is None or len(roles) == 1):
            return fitting[-1]
        asked = " ".join(filter(None, (role, "attempt", None if number is None else str(number))))
        if fitting:
            both = " and ".join(sorted(roles))
            raise UsageError(f"{wp_id} has an {asked} in each of {both}", remedy="say which with --role")
        there = _list(
            f"{each.role} {each.number} ({each.agent}, {each.outcome or 'no end'})" for each in wp.attempts
        )
        raise UsageError(
            f"{wp_id} has no {asked} in run {self.folder.name}",
            remedy=f"it has {there}" if there else f"no agent was at work on it; it is {wp.lane}",
        )


def recorded_run(root: Path, mission: str | None = None, run_id: str | None = None) -> RecordedRun:
    """The run with that id, or the last one, or the last one of a mission (its slug, or the end of it).

    Raises:
        UsageError: there is none, or its events cannot be read.
    """
    logs = root / KITTIFY / "logs"
    newest_first = _run_ids(root, logs)
    for each in [run_id] if run_id in newest_first else newest_first if run_id is None else []:
        run = RecordedRun(root, logs / str(each))
        run.look()
        if mission is None or run.story.mission == mission or run.story.mission.endswith(f"-{mission}"):
            return run
    asked = f"run{f' {run_id}' if run_id else ''}{f' of mission {mission}' if mission else ''}"
    raise UsageError(
        f"no {asked} is recorded in {logs}",
        remedy=f"there are {_list(newest_first[:MOST_NAMED])}"
        if newest_first
        else "start one with: orchestrate",
    )


def _run_ids(root: Path, logs: Path) -> list[str]:
    """Of the runs whose events are there: the last one first, then by the time in their ids."""
    found = sorted((path.parent.name for path in logs.glob(f"*/{FILE_NAME}")), reverse=True)
    last = _last_state(root)
    if last is not None and last.run_id in found:
        found.remove(last.run_id)
        found.insert(0, last.run_id)
    return found


def _last_state(root: Path) -> RunState | None:
    with suppress(StateFileError):  # its events tell all that is asked here, but whether it is alive
        return RunStore(root / KITTIFY).load()
    return None


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
