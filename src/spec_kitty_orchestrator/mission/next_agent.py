"""Who is asked next: carries out for one work package what `rules.py` decides about agents."""

from __future__ import annotations

import trio
from attrs import define, evolve, field

from ..agents.failure import Failure
from ..agents.spec import Role
from ..report.events import RetryPlanned, WaitingForAgents
from ..report.wp_events import AttemptInVain
from ..settings import cast
from .context import RunContext
from .records import SUCCEEDED, AttemptRecord
from .rules import (
    SPENDS_NOTHING,
    Ask,
    Choice,
    LastPlace,
    NextAgent,
    NobodyLeft,
    OwnWork,
    ParkAgent,
    Retry,
    WaitForAgent,
    after_failure,
    choose_agent,
    reviewers,
)
from .slots import Slot


class NobodyCanWork(Exception):
    """No agent is left for a role of a work package; `left` says why, and whether the work is the reason."""

    def __init__(self, left: NobodyLeft) -> None:
        super().__init__("; ".join(left.reasons))
        self.left = left


@define
class AgentPicker:
    """Asks for agents on behalf of one work package, whose slot is given back while it waits."""

    run: RunContext
    wp_id: str
    slot: Slot
    _told: tuple[Role, tuple[str, ...]] | None = field(default=None, init=False)
    _asked_at: float | None = field(default=None, init=False)

    async def next_agent(self, role: Role) -> str:
        """The agent to ask now; waits while the run is paused, or those rest who should be asked.

        Raises:
            NobodyCanWork: there is none, and none will come back in this run.
            BudgetSpent: nobody may be asked any more in this run.
        """
        pool = self.run.pool
        if role is Role.IMPLEMENTATION:
            pool.review_since.pop(self.wp_id, None)
        else:
            since, now = pool.review_since.get(self.wp_id, pool.now()), pool.now()
            # A reviewer that was at it until its limit was not waited for meanwhile.
            pool.review_since[self.wp_id] = since + (0.0 if self._asked_at is None else now - self._asked_at)
        self._asked_at = None
        while True:
            with self.run.budget.waiting():
                await self.run.pause.ended()
            choice = self._choose(role)
            if isinstance(choice, Ask):
                pool.takes(self.wp_id, choice.agent)
                self._asked_at = pool.now() if role is Role.REVIEW else None
                return choice.agent
            if isinstance(choice, NobodyLeft):
                raise NobodyCanWork(choice)
            await self._wait_for(role, choice)

    def _choose(self, role: Role) -> Choice:
        pool, tallies = self.run.pool, self.run.record(self.wp_id).tallies.get(role, {})
        own = None
        if role is Role.REVIEW:
            patience = self.run.settings.agents.independent_review_wait_seconds
            own = OwnWork(self._implementer(), pool.review_since[self.wp_id] + patience)
        return choose_agent(self.candidates(role), tallies, pool.availability(self.wp_id), own)

    def candidates(self, role: Role) -> tuple[str, ...]:
        """Who may take a role, in order: whom a person asked for, then those whom the settings name.

        Of reviewers those are left out who have approved already what must be approved by others, too.
        """
        agents, record = self.run.settings.agents, self.run.record(self.wp_id)
        if role is Role.IMPLEMENTATION:
            first = (record.asked_agent or "", *cast.escalated(agents, record.rejections))
            named = (*first, *cast.implementers(agents, self.wp_id))
            return tuple(name for name in dict.fromkeys(named) if name in self.run.agents.known)
        named = tuple(name for name in cast.reviewers(agents, self.wp_id) if not self._has_approved(name))
        return reviewers(named, self._implementer(), record.last_reviewers)

    def _has_approved(self, name: str) -> bool:
        approvals = self.run.record(self.wp_id).approvals
        return any(self.run.agents.are_same(name, each.agent) for each in approvals)

    def _implementer(self) -> str:
        """Who made it, by its name among the reviewers if it is one.

        As far as is known: an earlier run may have had agents that the settings lack now.
        """
        agents = self.run.settings.agents
        made_by = self.run.record(self.wp_id).implementer or cast.implementers(agents, self.wp_id)[0]
        among = cast.reviewers(agents, self.wp_id)
        return next((name for name in among if self.run.agents.are_same(name, made_by)), made_by)

    async def cope_with(self, role: Role, agent: str, failure: Failure) -> None:
        """Records a failure and does what follows from it, the waiting included.

        An attempt whose process did well can fail all the same: no verdict, or refused by the host.
        Raises BudgetSpent where it would have to wait, and nothing may begin after that.
        """
        record = self.run.record(self.wp_id)
        if record.attempts:  # what an earlier run finished may be refused only now
            self._note_failure(record.attempts[-1], failure)
        record.last_error = f"{agent}: {failure.kind.value}: {failure.message}"
        tally = record.tally(role, agent).after(failure.kind)
        if tally.spent:
            record.set_tally(role, agent, tally)
        decision = after_failure(failure, tally, self.run.settings.agents.max_retries, self.run.jitter())
        if isinstance(decision, NextAgent):
            record.set_tally(role, agent, evolve(tally, given_up=failure.kind))
        elif isinstance(decision, LastPlace):
            record.last_reviewers.append(agent)
        self.run.save(self.wp_id)
        if failure.kind not in SPENDS_NOTHING:  # those would be told of every work package, all night
            self.run.notes.note(self.wp_id, f"{role.value} attempt failed: {record.last_error}")
        if isinstance(decision, ParkAgent):
            self.run.pool.park(agent, failure)
        elif isinstance(decision, Retry):
            with self.run.budget.waiting():
                why = failure.kind.value
                self.run.events.emit(RetryPlanned(self.wp_id, role.value, agent, decision.delay, why))
                self.slot.give_back()
                with self.run.pool.waiting(self.wp_id, self.candidates(role)):
                    await trio.sleep(decision.delay)
                await self.slot.take()

    def _note_failure(self, last: AttemptRecord, failure: Failure) -> None:
        if last.outcome == SUCCEEDED:
            what = (last.role.value, last.agent, last.number, failure.kind.value, failure.message)
            self.run.events.emit(AttemptInVain(self.wp_id, *what))
        last.outcome, last.message = failure.kind.value, failure.message

    async def _wait_for(self, role: Role, choice: Choice) -> None:
        """Others may use the slot meanwhile: one agent's limit must not hold up the rest."""
        self.slot.give_back()
        with self.run.budget.waiting():
            while isinstance(choice, WaitForAgent):
                self._tell(role, choice)
                agents = choice.agents if choice.instead is None else (*choice.agents, choice.instead)
                with self.run.pool.waiting(self.wp_id, agents):
                    await self.run.pool.pause(choice.until)
                choice = self._choose(role)
            await self.slot.take()

    def _tell(self, role: Role, choice: WaitForAgent) -> None:
        if self._told != (role, choice.agents):
            self._told = (role, choice.agents)
            seconds = max(0.0, choice.until - self.run.pool.now())
            self.run.events.emit(WaitingForAgents(self.wp_id, choice.agents, seconds, choice.instead))
