"""A live run takes orders: looks for them, obeys, has that recorded, and only then answers."""

from __future__ import annotations

from functools import partial

import trio
from attrs import frozen

from ..errors import ExitCode, OrchestratorError
from ..mission.context import RunContext
from ..mission.mission import Mission
from ..report.run_events import RunPaused, RunUnpaused
from ..settings.values import Asked
from .asking import check_asked_work_packages
from .ordering import LOOK_SECONDS, Answer, Order, OrderBox, Ordered
from .state import RunState
from .writer import StateWriter


@frozen
class Obeying:
    """Who takes the orders of one run."""

    run: RunContext
    writer: StateWriter
    mission: Mission
    box: OrderBox

    @property
    def state(self) -> RunState:
        """What is remembered of the run."""
        return self.writer.state

    async def obey(self) -> None:
        """Takes orders until cancelled."""
        one = trio.CapacityLimiter(1)
        while True:
            await trio.sleep(LOOK_SECONDS)
            look = partial(trio.to_thread.run_sync, abandon_on_cancel=True, limiter=one)
            for name, ordered in (await look(self.box.take)).items():
                answer = await self.carry_out(ordered)
                await self.writer.saved()
                await look(self.box.answer, name, answer)

    async def carry_out(self, ordered: Ordered) -> Answer:
        """Obeys one order; what it changes is marked to be stored.

        Raises:
            StateNotWritten: what was done cannot be recorded.
        """
        if self.mission.is_ending:
            return Answer(False, f"{self._named} is ending: nothing is left to be told")
        if self.run.budget.is_spent:
            ends = "it ends when what is at work has finished"
            return Answer(ordered.order is Order.STOP, f"{self._named}: {self.run.budget.words}; {ends}")
        if ordered.order is Order.RETRY:
            return await self._retry(ordered.asked)
        return {Order.PAUSE: self._pause, Order.UNPAUSE: self._unpause, Order.STOP: self._stop}[
            ordered.order
        ]()

    @property
    def _named(self) -> str:
        return f"run {self.state.run_id}"

    def _pause(self) -> Answer:
        pause = self.run.pause
        if pause.is_on:
            return Answer(True, f"{self._named} was paused before, {pause.since}")
        pause.begin()
        assert pause.since is not None
        self._remember(pause.since)
        self.run.events.emit(RunPaused(pause.since))
        return Answer(True, f"{self._named} is paused: agents at work finish, nothing new begins")

    def _unpause(self) -> Answer:
        pause = self.run.pause
        if not pause.is_on:
            return Answer(True, f"{self._named} is not paused")
        seconds = pause.end()
        self._remember(None)
        self.run.events.emit(RunUnpaused(round(seconds, 1)))
        return Answer(True, f"{self._named} goes on")

    def _stop(self) -> Answer:
        """What is paused ends, too, and is not paused any more when it is gone on with."""
        self.run.budget.end()
        self.run.pause.woken()
        self._remember(None)
        code = int(ExitCode.TERMINATED)
        return Answer(True, f"{self._named} ends when what is at work has finished, with exit code {code}")

    async def _retry(self, asked: Asked) -> Answer:
        wp_ids, known = ", ".join(asked.wp_ids), self.run.agents.known
        if asked.agent is not None and (asked.agent not in known or known[asked.agent].program is None):
            return Answer(False, f"{asked.agent} is not among the agents of {self._named}: stop it first")
        if others := [wp_id for wp_id in asked.wp_ids if not self._is_wanted(wp_id)]:
            return Answer(False, f"{', '.join(others)}: {self._named} is not asked for it (--only, --until)")
        try:
            found = await self.run.host.mission_state()
            check_asked_work_packages(asked, found)
            if self.mission.is_ending:  # by now
                return Answer(False, f"{self._named} is ending: nothing is left to be told")
            if busy := [wp_id for wp_id in asked.wp_ids if wp_id in self.mission.in_flight]:
                return Answer(False, f"{', '.join(busy)}: {self._named} is at work on it")
            await self.mission.retry(asked, found)
        except OrchestratorError as problem:
            return Answer(False, str(problem))
        return Answer(True, f"{self._named} tries {wp_ids} again")

    def _is_wanted(self, wp_id: str) -> bool:
        return self.run.wanted is None or wp_id in self.run.wanted

    def _remember(self, paused_since: str | None) -> None:
        self.state.paused_since = paused_since
        self.writer.mark()
