"""What a run leaves behind of a work package: how it is through with it, where it stands, and why."""

from __future__ import annotations

import enum

from attrs import frozen

from ..host.contract.lanes import Lane


class Ended(enum.Enum):
    """How a run is through with a work package."""

    ACCEPTED = "accepted"
    BLOCKED = "blocked"
    MOVED = "moved"  # by somebody else, while we were at it; goes on from where it stands
    WAITS = "waits"  # for its turn in its lane
    TAKEN = "taken"  # somebody else holds it
    REFUSED_FOR_NOW = "refused for now"  # by the host, the workspace or the disk
    BROKEN = "broken"  # the host could not be run, or gave no answer that can be trusted
    NO_AGENT = "no agent"
    BUDGET = "budget"  # of the run, spent, or a person has it end
    PAUSED = "paused"  # as it was about to begin something; begins anew after the pause
    INTERNAL = "internal error"

    @property
    def is_for_now(self) -> bool:
        """It is tried again."""
        return self in (Ended.REFUSED_FOR_NOW, Ended.BROKEN)


@frozen
class Outcome:
    """What a run leaves behind of a work package: its lane by the host's last word, and why.

    `asked_for` is where the host was asked to move it when it broke down: it may stand there by now.
    """

    ended: Ended
    lane: Lane
    reason: str = ""
    asked_for: Lane | None = None

    def may_have_moved_to(self, lane: Lane) -> bool:
        """That it stands there is what we asked for ourselves; the reply was lost."""
        on_the_way = self.asked_for is Lane.IN_PROGRESS and lane is Lane.CLAIMED
        return self.asked_for is lane or on_the_way


class Through(Exception):
    """Ends the life of a work package in a run; never leaves `WorkPackage.live`."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome
