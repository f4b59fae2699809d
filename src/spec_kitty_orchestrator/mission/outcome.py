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
    TAKEN = "taken"  # somebody else holds it
    REFUSED_FOR_NOW = "refused for now"  # by the host, the workspace or the disk
    BROKEN = "broken"  # the host could not be run, or gave no answer that can be trusted
    NOT_READY = "not ready"
    NO_AGENT = "no agent"
    INTERNAL = "internal error"


@frozen
class Outcome:
    """What a run leaves behind of a work package: its lane by the host's last word, and why."""

    ended: Ended
    lane: Lane
    reason: str = ""


class Through(Exception):
    """Ends the life of a work package in a run; never leaves `WorkPackage.live`."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome
