"""A pause that a person ordered: nothing new begins, what is at work finishes, and no time passes."""

from __future__ import annotations

from collections.abc import Callable

import trio
from attrs import define, field

from ..report.times import utc_now


class Paused(Exception):
    """Nothing may begin now; whoever was about to begins anew after the pause, as things stand then."""


@define(eq=False)
class Pause:
    """Whether a run is paused.

    Attributes:
        since: when it was, ISO 8601 in UTC; None while it is not.
        woken: told when a pause begins or ends.
        over: told when one ends, with the seconds that it took.
    """

    since: str | None = None
    woken: Callable[[], None] = lambda: None
    over: Callable[[float], None] = lambda _: None
    _began: float = field(factory=trio.current_time, init=False)
    _lost: float = field(default=0.0, init=False)
    _ended: trio.Event = field(factory=trio.Event, init=False)

    @property
    def is_on(self) -> bool:
        """Nothing new may begin."""
        return self.since is not None

    def clock(self) -> float:
        """Seconds of the event loop's clock without those of pauses: patience and budgets go by it."""
        return (self._began if self.is_on else trio.current_time()) - self._lost

    def begin(self) -> None:
        """From now on nothing new begins."""
        if not self.is_on:
            self.since, self._began, self._ended = utc_now(), trio.current_time(), trio.Event()
            self.woken()

    def end(self) -> float:
        """Has everything go on at once; how many seconds it took, as far as this process has seen."""
        if not self.is_on:
            return 0.0
        self.since, seconds = None, trio.current_time() - self._began
        self._lost += seconds
        self.over(seconds)
        self._ended.set()
        self.woken()
        return seconds

    def check(self) -> None:
        """Before anything begins that was decided on a moment ago. Raises Paused."""
        if self.is_on:
            raise Paused

    async def ended(self) -> None:
        """Returns once there is none."""
        while self.is_on:
            await self._ended.wait()
