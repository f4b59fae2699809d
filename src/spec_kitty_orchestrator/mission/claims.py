"""The claims of a run: the first goes alone, and nobody begins in a lane where one may still be landing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence, Set
from contextlib import asynccontextmanager, contextmanager

import trio
from attrs import define, field


@define(eq=False)
class Claims:
    """The claims of a run.

    With a claim the host makes a lane's workspace, or merges into it what the work package depends on; the
    reply tells which lane. So those that can start at one time are claimed side by side, without asking
    first, and nobody who may be in the same lane begins until all of them have returned. Two that meet in
    one lane do no harm there: both get in, or one is refused, and the tree is clean (3.2.7, 18 pairs).

    Attributes:
        kin: all that may lie in one lane with a work package, itself included.
        first_of: which of those that met in a lane goes first; they are given by their ids.
    """

    kin: Callable[[str], Set[str]] = lambda wp_id: {wp_id}
    first_of: Callable[[Sequence[str]], str] = lambda met: met[0]
    _first: trio.Lock = field(factory=trio.Lock, init=False)
    _is_first_made: bool = field(default=False, init=False)
    _out: set[str] = field(factory=set, init=False)
    _returned: trio.Event = field(factory=trio.Event, init=False)
    _in_lane: dict[str, str] = field(factory=dict, init=False)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Make a claim inside; others wait until one has succeeded, and from then on nobody does.

        The host makes the mission's branch with the first one, and two at once can collide there (3.2.7:
        LANE_ALLOCATION_FAILED, "a branch named ... already exists"; rare, seen on a busy machine).
        """
        if not self._is_first_made:
            async with self._first:
                if not self._is_first_made:
                    yield
                    self._is_first_made = True
                    return
        yield

    @contextmanager
    def into_unknown_lane(self, wp_id: str) -> Iterator[None]:
        """Claim one inside whose lane nobody knows yet."""
        self._out.add(wp_id)
        try:
            yield
        finally:
            self._out.discard(wp_id)
            self._returned.set()
            self._returned = trio.Event()

    async def have_landed(self, wp_id: str) -> None:
        """Returns once no claim is out that may be into the lane of this one."""
        while self._out and self._out & self.kin(wp_id):
            await self._returned.wait()

    async def first_in_lane(self, wp_id: str, branch: str) -> str:
        """Who goes first of those that came into the lane with this branch together with this work package.

        Returns once no claim is out that may be into it.
        """
        self._in_lane[wp_id] = branch
        try:
            await self.have_landed(wp_id)
            return self.first_of(sorted(each for each, lane in self._in_lane.items() if lane == branch))
        finally:
            del self._in_lane[wp_id]
