"""When what was refused, or broke down, is tried again, and when no more. Decides; does nothing itself."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from .rules import Rhythm

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 60.0
_PAUSES = Rhythm(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)

HOST = ""
"""Stands for the host itself among those that are put off: when it breaks down it does so for all."""

_TOGETHER = 0.75
"""Who is due after this part of a pause waits for the rest of it: one look at the host serves both."""


@define
class Patience:
    """Who is put off until when. Whatever changes anywhere lifts all pauses: it may be what they waited for.

    Attributes:
        clock: gives seconds, the same that waiting is done by.
        longest: how many of them nothing may change, while all that is left is refused.
    """

    clock: Callable[[], float]
    longest: float
    _tries: dict[str, int] = field(factory=dict)
    _until: dict[str, float] = field(factory=dict)
    _quiet_since: float | None = None

    def put_off(self, who: str) -> float:
        """One more try brought nothing; the seconds until the next one."""
        now = self.clock()
        if self._quiet_since is None:
            self._quiet_since = now
        self._tries[who] = self._tries.get(who, 0) + 1
        pause = _PAUSES.after(self._tries[who])
        others = [until for each, until in self._until.items() if each not in (who, HOST)]
        soon = [until for until in others if _TOGETHER * pause <= until - now <= pause]
        self._until[who] = min(soon, default=now + pause)
        return self._until[who] - now

    def lift(self) -> None:
        """Something changed: all may try at once, and the patience begins anew."""
        self._tries.clear()
        self._until.clear()
        self._quiet_since = None

    def seconds_until_due(self, who: str) -> float:
        """How long this one still has to wait: for its own pause, and for the host's."""
        return max(0.0, max(self._until.get(each, 0.0) for each in (who, HOST)) - self.clock())

    @property
    def is_over(self) -> bool:
        """Nothing has changed for so long that nothing is expected to."""
        return self._quiet_since is not None and self.clock() - self._quiet_since >= self.longest
