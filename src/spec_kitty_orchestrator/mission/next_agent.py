"""Who is asked next: carries out for one work package what `rules.py` decides about agents."""

from __future__ import annotations

import trio
from attrs import evolve, frozen

from ..agents.failure import Failure
from ..agents.spec import Role
from ..report.events import AgentDropped, AgentParked, RetryPlanned, WaitingForAgents
from .context import RunContext
from .rules import (
    Ask,
    DropAgent,
    LastPlace,
    NextAgent,
    NobodyLeft,
    ParkAgent,
    Retry,
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


@frozen
class AgentPicker:
    """Asks for agents on behalf of one work package, whose slot is given back while it waits."""

    run: RunContext
    wp_id: str
    slot: Slot

    async def next_agent(self, role: Role) -> str:
        """The agent to ask now; waits while all who are left rest.

        Raises:
            NobodyCanWork: there is none, and none will come back in this run.
        """
        while True:
            record = self.run.record(self.wp_id)
            candidates = self.candidates(role)
            choice = choose_agent(candidates, record.tallies.get(role, {}), self.run.pool.availability())
            if isinstance(choice, Ask):
                return choice.agent
            if isinstance(choice, NobodyLeft):
                raise NobodyCanWork(choice)
            seconds = max(0.0, choice.until - self.run.pool.clock())
            self.run.events.emit(WaitingForAgents(self.wp_id, choice.agents, seconds))
            await self._wait(seconds)

    def candidates(self, role: Role) -> tuple[str, ...]:
        """Who may take a role, in order."""
        agents, record = self.run.settings.agents, self.run.record(self.wp_id)
        if role is Role.IMPLEMENTATION:
            named = agents.implementation[:1] if agents.single_agent_mode else agents.implementation
            first = record.asked_agent or ""
            return tuple(dict.fromkeys((first, *named))) if first in self.run.agents.known else named
        known = record.implementer in self.run.agents.known  # settings may have changed since
        implementer = record.implementer if known and record.implementer else agents.implementation[0]
        return reviewers(
            agents.review, implementer, record.last_reviewers, single_agent=agents.single_agent_mode
        )

    async def cope_with(self, role: Role, agent: str, failure: Failure) -> None:
        """Records a failure and does what follows from it, the waiting included.

        An attempt whose process did well can fail all the same: no verdict, or refused by the host.
        """
        record = self.run.record(self.wp_id)
        record.attempts[-1].outcome, record.attempts[-1].message = failure.kind.value, failure.message
        record.last_error = f"{agent}: {failure.kind.value}: {failure.message}"
        tally = record.tally(role, agent).after(failure.kind)
        record.set_tally(role, agent, tally)
        decision = after_failure(failure, tally, self.run.settings.agents.max_retries, self.run.jitter())
        if isinstance(decision, NextAgent):
            record.set_tally(role, agent, evolve(tally, given_up=failure.kind))
        elif isinstance(decision, LastPlace):
            record.last_reviewers.append(agent)
        self.run.save(self.wp_id)
        if not isinstance(decision, ParkAgent):
            self.run.notes.note(self.wp_id, f"{role.value} attempt failed: {record.last_error}")
        if isinstance(decision, DropAgent) and self.run.pool.drop(agent, failure):
            self.run.events.emit(AgentDropped(agent, failure.message))
        elif isinstance(decision, ParkAgent):
            self.run.events.emit(AgentParked(agent, self.run.pool.park(agent, decision.seconds)))
        elif isinstance(decision, Retry):
            why = failure.kind.value
            self.run.events.emit(RetryPlanned(self.wp_id, role.value, agent, decision.delay, why))
            await self._wait(decision.delay)

    async def _wait(self, seconds: float) -> None:
        """Others may use the slot meanwhile: one agent's limit must not hold up the rest."""
        self.slot.give_back()
        await trio.sleep(seconds)
        await self.slot.take()
