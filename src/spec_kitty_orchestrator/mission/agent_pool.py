"""Who can work in this run: agents that are out, agents that rest. Shared by all work packages.

One of the two places with mutable state (the other is `records.py`). Only work-package tasks change it,
through the two methods; nothing of it is stored: a new run asks every agent afresh.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from ..agents.failure import Failure
from .rules import Availability, parking_seconds


@define
class AgentPool:
    """The agents' state during one run; `clock` gives seconds, the same that waiting is done by."""

    clock: Callable[[], float]
    _out: dict[str, Failure] = field(factory=dict)
    _parked: dict[str, float] = field(factory=dict)
    _strikes: dict[str, int] = field(factory=dict)

    def availability(self) -> Availability:
        """The state as a value, for `rules.choose_agent`."""
        return Availability(self.clock(), dict(self._out), dict(self._parked))

    def drop(self, agent: str, failure: Failure) -> bool:
        """Takes an agent out for the whole run; whether that is news."""
        news = agent not in self._out
        self._out.setdefault(agent, failure)
        return news

    def park(self, agent: str, told: float) -> float:
        """Lets an agent rest for the whole run; the seconds from now.

        An agent that rests already (its attempts side by side all hit the limit) gets no further strike.
        """
        now = self.clock()
        if self._parked.get(agent, now) <= now:
            self._strikes[agent] = self._strikes.get(agent, 0) + 1
        until = now + parking_seconds(told, self._strikes.get(agent, 1))
        self._parked[agent] = max(until, self._parked.get(agent, until))
        return self._parked[agent] - now

    def worked(self, agent: str) -> None:
        """An attempt got through: the next limit starts from the short rest again."""
        self._strikes.pop(agent, None)
