"""Puts the state of a live run on the disk from a thread: a slow one holds up only who has to wait for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from attrs import define, field

from ..errors import StateFileError, StateNotWritten
from ..processes.bounds import SAVE_SECONDS
from .state import RunState, RunStore

Write = Callable[[Callable[[str], None], str], Awaitable[None]]
"""Has a function that blocks write a text."""


@define
class StateWriter:
    """One write at a time; whatever is marked meanwhile goes with the next one, however much it is.

    Attributes:
        write: how; in simulated time, without a thread.
    """

    store: RunStore
    state: RunState
    write: Write | None = None
    _changed: set[str] = field(factory=set)
    _marks: int = 0
    _stored: int = 0
    _turn: trio.Lock = field(factory=trio.Lock)
    _marked: trio.Event = field(factory=trio.Event)
    _thread: trio.CapacityLimiter = field(factory=lambda: trio.CapacityLimiter(1))

    def __attrs_post_init__(self) -> None:
        self._changed.update(self.state.work_packages)

    def mark(self, wp_id: str | None = None) -> None:
        """This record changed, or without one the run itself. Returns at once; `keep` stores it soon."""
        if wp_id is not None:
            self._changed.add(wp_id)
        self._marks += 1
        self._marked.set()

    async def saved(self) -> None:
        """Returns when everything that was marked until now is on the disk.

        Raises:
            StateNotWritten: it cannot be written; the file before is untouched.
        """
        wanted = self._marks
        async with self._turn:
            if self._stored < wanted:
                stored, changed, self._changed = self._marks, self._changed, set()
                text = self.store.render(self.state, changed)
                await self._write(text)
                self._stored = stored

    async def keep(self) -> None:
        """Stores what is marked, until cancelled. Raises as `saved` does."""
        while True:
            await self._marked.wait()
            self._marked = trio.Event()
            await self.saved()

    async def save_at_last(self) -> None:
        """The last word, also while everything is cancelled; bounded. Raises as `saved` does."""
        self.mark()
        with trio.move_on_after(SAVE_SECONDS, shield=True) as patience:
            await self.saved()
        if patience.cancelled_caught:
            raise StateNotWritten(f"cannot write {self.store.path}: the disk takes too long")

    async def _write(self, text: str) -> None:
        """A write that is given up goes on in its thread, and the next one waits for that."""
        try:
            if self.write is not None:
                await self.write(self.store.write, text)
            else:
                await trio.to_thread.run_sync(
                    self.store.write, text, abandon_on_cancel=True, limiter=self._thread
                )
        except StateFileError as problem:
            raise StateNotWritten(problem.message, remedy=problem.remedy) from problem
