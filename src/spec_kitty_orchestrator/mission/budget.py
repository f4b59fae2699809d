"""What a run may cost and how long it may last: when that is used up nothing new begins, and nobody waits.

So it is when a person has the run end after what is at work. Agents at work finish all the same, and what
they did is handed over: what the host does costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import trio
from attrs import define, field

from ..report.events import Event
from ..report.run_events import BudgetUsedUp, EndOrdered
from ..report.totals import Total, dollars
from .costs import total_of
from .pause import Pause
from .records import WpRecord

BY_A_PERSON = "stop --after-current"
"""What a run is ended by, in place of a setting, when a person orders it."""


class BudgetSpent(Exception):
    """No attempt may begin any more in this run; the message says which budget is the reason."""


@define(eq=False)
class Budget:
    """What is left of a run's budget. Once it is spent it stays so.

    Attributes:
        max_cost_usd: of all attempts that are remembered, those of the run's earlier starts too; None: any.
        max_runtime_seconds: of this start, by the event loop's clock; None: as long as it likes.
        records: what is remembered of each work package.
        tell: is told when it is spent.
        pause: while there is one, no time passes.
        spent_by: the setting that is used up, or a person's order to end; None until then.
    """

    max_cost_usd: float | None
    max_runtime_seconds: float | None
    records: Mapping[str, WpRecord]
    tell: Callable[[Event], None] = lambda _: None
    pause: Pause = field(factory=Pause)
    spent_by: str | None = field(default=None, init=False)
    _started: float = field(init=False)
    _waits: set[trio.CancelScope] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self._started = self.pause.clock()

    @property
    def is_spent(self) -> bool:
        """Nothing new may begin, as far as `look` has seen."""
        return self.spent_by is not None

    @property
    def seconds_left(self) -> float:
        """Until the time is over; infinite when it is no limit, or nothing is left to be ended by it."""
        if self.is_spent or self.pause.is_on:
            return math.inf
        return max(0.0, self._ends - self.pause.clock())

    @property
    def is_ended_by_a_person(self) -> bool:
        """It is not what the run has cost, or its time, that ends it."""
        return self.spent_by == BY_A_PERSON

    def end(self) -> None:
        """A person has the run end after what is at work: as when all is spent, which it may be already."""
        if not self.is_spent:
            self._spend(BY_A_PERSON)
            self.tell(EndOrdered())

    def look(self) -> None:
        """Sees whether it is spent by now, and has those go on then who wait for something."""
        if self.is_spent:
            return
        if self._is_cost_reached():
            self._spend("max_cost_usd")
        elif self.pause.clock() >= self._ends:
            self._spend("max_runtime_seconds")
        if self.is_spent:
            self.tell(BudgetUsedUp(self.words))

    def _spend(self, by: str) -> None:
        self.spent_by = by
        for wait in self._waits:
            wait.cancel()

    def check(self) -> None:
        """Before anything begins that costs. Raises BudgetSpent when nothing may."""
        self.look()
        if self.is_spent:
            raise BudgetSpent(self.reason)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait inside for what may take long; raises BudgetSpent as soon as it would be for nothing."""
        self.check()
        with trio.CancelScope() as wait:
            self._waits.add(wait)
            try:
                yield
            finally:
                self._waits.discard(wait)
        if wait.cancelled_caught:
            self.check()

    @property
    def reason(self) -> str:
        """Which budget is spent, for what is left because of it."""
        if self.is_ended_by_a_person:
            return f"the run was told to end ({self.spent_by})"
        return f"the run's budget is spent ({self.spent_by})"

    @property
    def how_to_go_on(self) -> str:
        """The command that the run goes on with, without the program's name."""
        return "resume --max-cost-usd MORE" if self.spent_by == "max_cost_usd" else "resume"

    @property
    def words(self) -> str:
        """What was spent of what, as things stand; empty while there is no limit to it."""
        if self.spent_by == "max_cost_usd" and self.max_cost_usd is not None:
            total = self._total()
            least = "at least " if total.untold else ""
            spent = f"{least}{dollars(total.cost_usd or 0.0)} of {dollars(self.max_cost_usd)} USD"
            untold = f"; {total.untold} of {total.attempts} attempts told no cost" if total.untold else ""
            return f"budget spent: {spent} (max_cost_usd{untold})"
        if self.spent_by is not None and self.max_runtime_seconds is not None:
            lasted = self.pause.clock() - self._started
            return f"time over: {lasted:.0f} of {self.max_runtime_seconds:g} s (max_runtime_seconds)"
        return "ended by a person, after what was at work" if self.is_ended_by_a_person else ""

    @property
    def _ends(self) -> float:
        return math.inf if self.max_runtime_seconds is None else self._started + self.max_runtime_seconds

    def _total(self) -> Total:
        return total_of(attempt for record in self.records.values() for attempt in record.attempts)

    def _is_cost_reached(self) -> bool:
        return self.max_cost_usd is not None and (self._total().cost_usd or 0.0) >= self.max_cost_usd
