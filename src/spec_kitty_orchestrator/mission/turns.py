"""Whose turn it is in a lane: its work packages share one workspace, and go one after the other."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define, field

from ..host.contract.lanes import Lane
from .records import WpRecord

UNDER_WAY = frozenset({Lane.CLAIMED, Lane.IN_PROGRESS, Lane.FOR_REVIEW, Lane.IN_REVIEW})


@define
class Turns:
    """Which work package has the workspace of a lane to itself, from before its claim until it is let go.

    The host refuses a claim into a lane with unfinished work in it, and into a clean one it merges what the
    work package depends on, under the feet of an agent that is at work there (3.2.7).
    """

    _holders: dict[str, str] = field(factory=dict)

    def take(self, branch: str, wp_id: str) -> bool:
        """Takes the lane with this branch, if nobody else has it; whether it is this one's turn now."""
        return self._holders.setdefault(branch, wp_id) == wp_id

    def give_back(self, wp_id: str) -> None:
        """Lets go of every lane that this one has."""
        for branch in [branch for branch, holder in self._holders.items() if holder == wp_id]:
            del self._holders[branch]

    def holder(self, branch: str) -> str | None:
        """Who has the lane with this branch now."""
        return self._holders.get(branch)


def place_in_lane(record: WpRecord, lane: Lane) -> int:
    """Who goes first in a lane: 0 with work in its workspace, 1 with a claim alone, 2 with neither."""
    if lane not in UNDER_WAY:
        return 2
    return 1 if record.claiming else 0


def related(wp_id: str, dependencies: Mapping[str, tuple[str, ...]]) -> set[str]:
    """All that hang together with a work package by dependencies, in whatever direction, itself included.

    Only those can lie in one lane: the host lets no others own the same files (3.2.7).
    """
    neighbours: dict[str, set[str]] = {}
    for one, others in dependencies.items():
        for other in others:
            neighbours.setdefault(one, set()).add(other)
            neighbours.setdefault(other, set()).add(one)
    found, to_ask = {wp_id}, [wp_id]
    while to_ask:
        new = neighbours.get(to_ask.pop(), set()) - found
        found |= new
        to_ask += new
    return found
