"""What a run leaves behind of a work package: how it is through with it, where it stands, and why."""

from __future__ import annotations

import enum

from attrs import frozen

from ..host.contract.lanes import Lane


class Ended(enum.Enum):
    """How a run is through with a work package."""

    ACCEPTED = "accepted"
    BLOCKED = "blocked"
    LEFT = "left"
    NOT_READY = "not ready"
    NO_AGENT = "no agent"
    HOST_BROKEN = "host broken"
    INTERNAL = "internal error"


@frozen
class Outcome:
    """What a run leaves behind of a work package: its lane by the host's last word, and why."""

    ended: Ended
    lane: Lane
    reason: str = ""
