"""How many work packages may have an agent at work, and who gets the next place: one at a time, and lent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio
from attrs import define, field


@define(eq=False)
class Slots:
    """How many work packages may have an agent at work at once.

    Who has lent its place and waits for one goes before those that never had any: its work is under way.

    Attributes:
        most: how many.
        freed: told when one gives way.
        first_of: which of those that wait for a place gets the next one; they are given as they came.
    """

    most: int
    freed: Callable[[], None] = lambda: None
    first_of: Callable[[Sequence[str]], str] = lambda waiting: waiting[0]
    _taken: int = field(default=0, init=False)
    _waiting: dict[str, trio.Event] = field(factory=dict, init=False)

    @property
    def are_free(self) -> bool:
        """Whether one more may start now."""
        return self._taken < self.most

    @property
    def are_idle(self) -> bool:
        """Whether nobody is at work, nor waits for a place to be."""
        return not self._taken and not self._waiting

    def take_now(self) -> None:
        """Takes a place that is free."""
        assert self.are_free
        self._taken += 1

    async def take(self, wp_id: str) -> None:
        """Waits for a place, if there is none that is free."""
        if self.are_free:
            self.take_now()
            return
        given = self._waiting[wp_id] = trio.Event()
        try:
            await given.wait()
        except BaseException:
            if given.is_set():  # in the same moment: nobody else would ever have that place
                self.give_back()
            raise
        finally:
            self._waiting.pop(wp_id, None)

    def give_back(self) -> None:
        """Gives a place that was taken to whoever waits for one, or to nobody."""
        if self._waiting:
            self._waiting.pop(self.first_of([*self._waiting])).set()
        else:
            self._taken -= 1
        self.freed()


@define(eq=False)
class Slot:
    """One work package's place among those that may have an agent at work; can be lent to others."""

    _slots: Slots
    held: bool = field(default=False, init=False)
    _wp_id: str = field(default="", init=False)

    def take_now(self, wp_id: str) -> None:
        """Takes a place that is free, for this work package."""
        self._slots.take_now()
        self._wp_id, self.held = wp_id, True

    async def take(self) -> None:
        """Waits for a place once more, which `Slots` gives to those first for whom the most is waiting."""
        await self._slots.take(self._wp_id)
        self.held = True

    def give_back(self) -> None:
        """Gives the place to the next one; nothing happens when there is none to give."""
        if self.held:
            self.held = False
            self._slots.give_back()
