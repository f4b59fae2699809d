"""One run as its events tell it, which may still come, with its attempts, and whether it is alive."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from attrs import define, field

from ..errors import StateFileError, UsageError
from ..report.reading import FILE_NAME, EventFile
from ..report.story import Story
from ..report.wp_story import AttemptStory, WpStory
from .opening import KITTIFY
from .overview import how_it_stands
from .runs import find_past_run
from .state import RunStore


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
        with suppress(StateFileError):  # else its events are all that is known
            state = RunStore(self.root / KITTIFY).load()
            return (
                state is not None and state.run_id == self.folder.name and how_it_stands(state, self.root)[1]
            )
        return False

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


def recorded_run(root: Path, run_id: str | None = None, mission: str | None = None) -> RecordedRun:
    """The run that was active last, of all or of a mission, or the one of an id; see `find_past_run`.

    Raises:
        UsageError: there is none, or nothing of it can be read.
    """
    past = find_past_run(root / KITTIFY / "logs", run_id, mission)
    run = RecordedRun(root, past.events.parent)
    run.look()
    if run.story.last == 0.0:
        why = "; ".join(run.problems) or f"{past.events} is empty"
        raise UsageError(f"run {past.run_id}: no event can be read: {why}")
    return run


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
