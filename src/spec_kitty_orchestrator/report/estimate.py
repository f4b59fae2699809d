"""How long a mission still takes: what is left of it, played through with how long the others took."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence

from attrs import frozen

FEWEST_THROUGH = 3
"""Of fewer that are through nobody can tell how long the others take."""
LEAST_LEFT = 0.1
"""Of the usual time: what one that is late is taken to need all the same."""


@frozen
class Remaining:
    """What is left of a mission.

    Attributes:
        begun: for how many seconds each that has begun was worked on.
        to_begin: those that have not, those first that go first.
        waits_for: of each of these, the others that must be through before it.
        slots: how many may be at work at once.
    """

    begun: Mapping[str, float]
    to_begin: Sequence[str]
    waits_for: Mapping[str, Collection[str]]
    slots: int


def seconds_left(took: Sequence[float], remaining: Remaining) -> float | None:
    """The time until the last one is through, if each takes as long as those that are; None while few are.

    What waits for one that will never be through in this run is left out.

    Args:
        took: for how many seconds each that is through was worked on.
    """
    if len(took) < FEWEST_THROUGH:
        return None
    usual = sum(took) / len(took)
    at_work = [
        (max(usual - already, usual * LEAST_LEFT), wp_id) for wp_id, already in remaining.begun.items()
    ]
    heapq.heapify(at_work)
    waiting, through, now = list(remaining.to_begin), set[str](), 0.0
    while True:
        able = [wp_id for wp_id in waiting if through.issuperset(remaining.waits_for.get(wp_id, ()))]
        for wp_id in able[: max(remaining.slots - len(at_work), 0)]:
            waiting.remove(wp_id)
            heapq.heappush(at_work, (now + usual, wp_id))
        if not at_work:
            return now
        now, ended = heapq.heappop(at_work)
        through.add(ended)
