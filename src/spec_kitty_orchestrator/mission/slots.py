"""How many work packages may have an agent at work, and which of them makes the first claim."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
from attrs import define, field


@define(eq=False)
class FirstClaim:
    """Lets the first claim of a run go alone.

    The host makes the mission's branch with it, and two first ones at once can collide there (3.2.7:
    LANE_ALLOCATION_FAILED, "a branch named ... already exists"; rare, seen on a busy machine).
    """

    _lock: trio.Lock = field(factory=trio.Lock, init=False)
    _made: bool = field(default=False, init=False)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Make a claim inside; others wait until one has succeeded, and from then on nobody does."""
        if not self._made:
            async with self._lock:
                if not self._made:
                    yield
                    self._made = True
                    return
        yield


@define(eq=False)
class Slots:
    """How many work packages may have an agent at work at once; `freed` is told when one gives way."""

    limiter: trio.CapacityLimiter
    freed: Callable[[], None] = lambda: None

    @property
    def are_free(self) -> bool:
        """Whether one more may start now."""
        return self.limiter.available_tokens > 0

    @property
    def are_idle(self) -> bool:
        """Whether nobody is at work, nor waits for a place to be."""
        return not self.limiter.borrowed_tokens and not self.limiter.statistics().tasks_waiting


@define(eq=False)
class Slot:
    """One work package's place among those that may have an agent at work; can be lent to others."""

    _slots: Slots
    held: bool = field(default=False, init=False)

    def take_now(self) -> None:
        """Takes a place that is free."""
        self._slots.limiter.acquire_on_behalf_of_nowait(self)
        self.held = True

    async def take(self) -> None:
        """Waits for a place, first come first served."""
        await self._slots.limiter.acquire_on_behalf_of(self)
        self.held = True

    def give_back(self) -> None:
        """Gives the place to the next one; nothing happens when there is none to give."""
        if self.held:
            self.held = False
            self._slots.limiter.release_on_behalf_of(self)
            self._slots.freed()
