"""How a mission stands: the host's last words on each work package, read in this run and never stored."""

from __future__ import annotations

from attrs import define, field, frozen

from ..host.contract.lanes import Lane
from ..host.contract.payloads import MissionState
from ..report.times import utc_now


@frozen
class Look:
    """One mission-state, and which tasks had started, moved or ended when it was asked for.

    What our own tasks learned since then is newer than the look and outranks it.
    """

    state: MissionState
    epochs: dict[str, int]


@define
class View:
    """What is known of the work packages, in the host's order.

    Attributes:
        lanes: where each stands.
        dependencies: what each depends on.
        ready: those that the host called ready to start, although we would have them wait.
        since: when each was seen to change its lane, or was left where it is; ISO 8601 in UTC.
    """

    lanes: dict[str, Lane] = field(factory=dict)
    dependencies: dict[str, tuple[str, ...]] = field(factory=dict)
    ready: set[str] = field(factory=set)
    since: dict[str, str] = field(factory=dict)
    _epochs: dict[str, int] = field(factory=dict)

    @property
    def all_accepted(self) -> bool:
        """Nothing is open."""
        return all(lane.is_accepted for lane in self.lanes.values())

    def put(self, wp_id: str, lane: Lane) -> bool:
        """Notes where one stands; whether that is news of one that was known."""
        before = self.lanes.get(wp_id)
        self.lanes[wp_id] = lane
        if before is lane:
            return False
        if before is not None:
            self.since[wp_id] = utc_now()
        return before is not None

    def drop(self, wp_id: str) -> None:
        """Forgets one that is gone from the mission, but not whom it ties together: they may share a lane."""
        self.lanes.pop(wp_id, None)

    def can_start(self, wp_id: str) -> bool:
        """Whether there is anything for a run to do, as far as lanes and dependencies tell."""
        lane = self.lanes[wp_id]
        if lane is Lane.PLANNED:
            return wp_id in self.ready or not self.waits_for(wp_id)
        return not lane.is_settled

    def waits_for(self, wp_id: str) -> list[str]:
        """Its dependencies that are not accepted, or not known."""
        lanes = self.lanes
        return [
            dep for dep in self.dependencies.get(wp_id, ()) if dep not in lanes or not lanes[dep].is_accepted
        ]

    # Which of two pieces of news is newer.

    def touch(self, wp_id: str) -> None:
        """Told when a task begins, ends, or moves its work package: what was seen until now is old."""
        self._epochs[wp_id] = self._epochs.get(wp_id, 0) + 1

    @property
    def epochs(self) -> dict[str, int]:
        """How often each was touched, to be kept with what is asked for now."""
        return dict(self._epochs)

    def is_current(self, wp_id: str, look: Look) -> bool:
        """Nothing of our own has touched it since that look was asked for."""
        return self._epochs.get(wp_id, 0) == look.epochs.get(wp_id, 0)
