"""The lanes of a work package, and the questions that are asked of a lane."""

from __future__ import annotations

import enum


class Lane(str, enum.Enum):
    """Where a work package stands, in the host's own words (contract 1.5.0)."""

    PLANNED = "planned"
    CLAIMED = "claimed"
    IN_PROGRESS = "in_progress"
    FOR_REVIEW = "for_review"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    DONE = "done"
    BLOCKED = "blocked"
    CANCELED = "canceled"

    @property
    def is_accepted(self) -> bool:
        """The work counts: what depends on it may start, and the mission may be accepted."""
        return self in (Lane.APPROVED, Lane.DONE)

    @property
    def needs_a_person(self) -> bool:
        """Nothing that a run does will move it on."""
        return self in (Lane.BLOCKED, Lane.CANCELED)

    @property
    def is_settled(self) -> bool:
        """There is nothing left for a run to do."""
        return self.is_accepted or self.needs_a_person
