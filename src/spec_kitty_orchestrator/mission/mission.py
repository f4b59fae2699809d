"""The nursery of a mission: admits work packages, watches what becomes of them, accepts the mission."""

from __future__ import annotations

import math
from functools import partial

import trio
from attrs import define, field

from ..errors import HostError
from ..host.contract.lanes import Lane
from ..host.contract.payloads import MissionState
from ..report.events import LaneChanged, Notice, WpLeft
from ..settings.values import Asked
from .acceptance import MissionEnd
from .admission import Admission
from .asked import carry_out
from .boundary import outcome_of
from .context import RunContext
from .ending import end_of, wake_people
from .outcome import Ended, Outcome
from .patience import HOST, Patience
from .standing import Standing
from .view import Look, View
from .work_package import WorkPackage

MOVED_MOST = 5
"""How often a work package is begun again that others moved: an agent that moves its own would never end."""


@define
class Mission:
    """One run of a mission.

    Attributes:
        first: what mission-state said when the run was opened.
        view: what is known of the work packages.
        in_flight: the tasks' cancel scopes.
        admission: who may start, and who is put off.
        unproven: those that somebody else moved to approved or done while an agent of ours was at work.
        is_ending: nothing is at work any more, nor will be.
    """

    run: RunContext
    first: MissionState
    view: View = field(factory=View)
    in_flight: dict[str, trio.CancelScope] = field(factory=dict)
    admission: Admission = field(init=False)
    unproven: dict[str, str] = field(factory=dict)
    _living: dict[str, WorkPackage] = field(factory=dict)
    _moved_to: dict[str, Lane] = field(factory=dict)
    _taken_over: dict[str, int] = field(factory=dict)
    _trouble: HostError | None = None
    is_ending: bool = field(default=False, init=False)
    _waits_for_people: bool = False
    _asked_for: int = field(default=0, init=False)
    _looks: trio.MemorySendChannel[Look | None] = field(init=False)

    def __attrs_post_init__(self) -> None:
        patience = Patience(self.run.pause.clock, self.run.settings.patience_seconds)
        self.admission = Admission(self.run, self.view, self.in_flight, patience)

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """What became of those that this run is through with, if only for now."""
        return self.admission.outcomes

    async def orchestrate(self) -> MissionEnd:
        """Runs until nothing is in flight and nothing will be, then accepts the mission if all is done.

        Raises:
            HostError: the host cannot even say how the mission stands, and could not for a long time.
            StateFileError: what happens can no longer be recorded; the agents are stopped.
        """
        self._looks, looks = trio.open_memory_channel["Look | None"](math.inf)
        self.run.pause.woken = self._wake
        self.run.slots.freed, self.run.claims.kin = self._wake, self.admission.kin
        self.run.slots.first_of = self.run.claims.first_of = self.admission.first_of
        self._learn(Look(self.first, {}))
        for wp_id, lane in self.view.lanes.items():
            if lane.is_accepted and self.run.record(wp_id).was_at_work:
                self._take_over(wp_id, lane)
        self.run.pool.nothing_else = self._has_nothing_else
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.run.notes.keep)
            looking = trio.CancelScope()
            nursery.start_soon(self._keep_looking, looking)
            while await self._admit(nursery):
                with trio.move_on_after(min(self.admission.seconds_until_due, self.run.budget.seconds_left)):
                    if (look := await looks.receive()) is not None:
                        self._learn(look)
            self.is_ending = True
            looking.cancel()
            self.run.notes.close()
        is_cut_short = self.admission.leave_to_the_budget()
        if self._trouble is not None and not is_cut_short:  # out of a nursery it would come in a group
            raise self._trouble
        return await end_of(self.run, self.view, self.outcomes, self.unproven)

    # Admission: a task for everything that can start, as far as there are slots.

    async def _admit(self, nursery: trio.Nursery) -> bool:
        """Whether there is anything to wait for."""
        self.run.budget.look()
        if self._is_paused:
            return True
        if self.admission.is_due or (self._is_at_the_end() and not self._waits_for_people):
            await self._look_anew()
        for wp_id in self.admission.startable():
            if not self.run.slots.are_free:
                break
            if self.admission.admit(wp_id):
                self._begin(wp_id)
                nursery.start_soon(self._supervise, wp_id)
        if self.in_flight or self._is_paused or self._asked_for:
            return True
        return self._are_people_waited_for() or self.admission.is_patient

    @property
    def _is_paused(self) -> bool:
        return self.run.pause.is_on and not self.run.budget.is_spent

    def _has_nothing_else(self) -> bool:
        """For those that wait for an agent: nobody is at work, or will be without them."""
        is_busy = self.admission.is_patient or self.admission.startable() or self._is_paused
        return self.run.slots.are_idle and not is_busy

    def _are_people_waited_for(self) -> bool:
        """Whether the end is put off until somebody moves something; says so, until that happens."""
        waits = self.admission.waits_for_people and not self.admission.startable()
        if waits and not (self.admission.is_patient or self._waits_for_people):
            self._waits_for_people = True
            wake_people(self.run, self.view, self.outcomes)
        return waits

    def _is_at_the_end(self) -> bool:
        """Before giving up the host is asked: people may have moved something. Accepting asks it anyway."""
        has_more = self.in_flight or self.admission.is_patient or self.admission.startable()
        return not (has_more or self.view.all_accepted)

    def _begin(self, wp_id: str) -> None:
        standing = Standing(self.run, wp_id, self.view.lanes[wp_id], partial(self._touched, wp_id))
        self.in_flight[wp_id] = trio.CancelScope()
        asks_for_lane = partial(self.admission.may_share_a_lane, wp_id)
        self._living[wp_id] = WorkPackage(self.run, wp_id, standing, asks_for_lane)
        self._living[wp_id].slot.take_now(wp_id)
        self._touched(wp_id)

    def _touched(self, wp_id: str) -> None:
        """Told by a task around each of its moves: what was seen of its lane until now is old."""
        self.view.touch(wp_id)
        if self.view.put(wp_id, self._living[wp_id].standing.lane):
            self._lift()

    def _lift(self) -> None:
        self.admission.lift()
        self._waits_for_people = False
        self._wake()

    def _wake(self) -> None:
        self._looks.send_nowait(None)

    # One task for each work package. What goes wrong in one never reaches its siblings.

    async def _supervise(self, wp_id: str) -> None:
        work_package, record = self._living[wp_id], self.run.record(wp_id)
        made = record.attempts_made
        with self.in_flight[wp_id] as scope:
            outcome = await outcome_of(self.run, work_package)
        if scope.cancelled_caught:
            outcome = Outcome(Ended.MOVED, self._moved_to.pop(wp_id))
        del self.in_flight[wp_id], self._living[wp_id]
        self.view.touch(wp_id)
        self.admission.give_back(wp_id, outcome)
        if record.attempts_made > made:
            self._lift()
        self._record_end(wp_id, outcome)
        self._wake()

    def _record_end(self, wp_id: str, outcome: Outcome) -> None:
        if outcome.ended is Ended.MOVED:
            self._take_over(wp_id, outcome.lane)
            return
        self.view.put(wp_id, outcome.lane)
        if outcome.ended in (Ended.WAITS, Ended.PAUSED):
            return
        if outcome.ended.is_for_now:
            self.admission.put_off(wp_id, outcome)
        else:
            self.outcomes[wp_id] = outcome
        if outcome.ended is Ended.ACCEPTED:
            self.unproven.pop(wp_id, None)
        else:
            if outcome.ended is not Ended.BUDGET:  # that is no error of its own
                self.run.note_error(wp_id, outcome.reason)
            if not outcome.ended.is_for_now:
                self.run.events.emit(WpLeft(wp_id, outcome.reason))

    # What people do meanwhile.

    async def retry(self, asked: Asked, state: MissionState) -> None:
        """Tries these again, none of which has a task now, as a person asks of the live run."""
        self._asked_for += 1  # it does not end meanwhile
        try:
            then = await carry_out(asked, self.run, state, self.view.touch)
        finally:
            self._asked_for -= 1
            self._wake()
        for found in then.work_packages:
            if found.wp_id in {*asked.wp_ids} - {*self.in_flight}:
                self.admission.forget(found.wp_id)
                self.view.put(found.wp_id, found.lane)
        self._lift()

    async def _keep_looking(self, looking: trio.CancelScope) -> None:
        is_told = False
        with looking:
            while True:
                await trio.sleep(self.run.settings.refresh_seconds)
                try:
                    self._looks.send_nowait(await self._look())
                    is_told = False
                except HostError as problem:
                    if not is_told:
                        words = f"the host could not say how the mission stands: {problem}"
                        self.run.events.emit(Notice(words))
                    is_told = True

    async def _look(self) -> Look:
        epochs = self.view.epochs
        return Look(await self.run.host.mission_state(), epochs)

    async def _look_anew(self) -> None:
        """How the mission stands; where nothing can start, also what the host thinks could."""
        try:
            self._learn(await self._look())
            if Lane.PLANNED in self.view.lanes.values() and self._is_at_the_end():
                listed = await self.run.host.list_ready()
                self.view.ready = {each.wp_id for each in listed.ready_work_packages} & {*self.view.lanes}
            self._trouble = None
        except HostError as problem:
            self._trouble = problem
            self.admission.patience.put_off(HOST)
        self.admission.in_trouble = self._trouble is not None

    def _learn(self, look: Look) -> None:
        for found in look.state.work_packages:
            wp_id = found.wp_id
            self.view.dependencies[wp_id] = found.dependencies
            if not self.view.is_current(wp_id, look):
                continue
            if wp_id in self.in_flight:
                self._check_in_flight(wp_id, found.lane)
                continue
            if self.run.record(wp_id).found_in(found.lane):
                self.run.save(wp_id)
            if self.view.put(wp_id, found.lane):
                before = self.admission.forget(wp_id)
                by_us = before is not None and before.may_have_moved_to(found.lane)
                self.run.events.emit(LaneChanged(wp_id, found.lane.value, by_us=by_us))
                self._lift()
        self._forget_gone(look)
        self.admission.keep_lanes()

    def _forget_gone(self, look: Look) -> None:
        """What people took out of the mission; one in flight hears of it at its next call."""
        there = {found.wp_id for found in look.state.work_packages}
        for wp_id in {*self.view.lanes} - there - {*self.in_flight}:
            if self.view.is_current(wp_id, look):
                self.run.events.emit(Notice(f"{wp_id} is no longer in the mission"))
                self.view.drop(wp_id)
                self.unproven.pop(wp_id, None)
                self.admission.forget(wp_id)
                self._lift()

    def _check_in_flight(self, wp_id: str, lane: Lane) -> None:
        """Someone took a work package away from us: nobody may go on working on it."""
        if not self._living[wp_id].standing.expects(lane):
            self._moved_to[wp_id] = lane
            self.in_flight[wp_id].cancel()

    def _take_over(self, wp_id: str, lane: Lane) -> None:
        """Goes on from where somebody else has put a work package, as if it had been found there."""
        self.view.put(wp_id, lane)
        record = self.run.record(wp_id)
        record.taken_over(lane, f"moved to {lane.value} by someone else while we worked on it")
        words = record.last_error or ""
        self._taken_over[wp_id] = self._taken_over.get(wp_id, 0) + 1
        if self._taken_over[wp_id] > MOVED_MOST and not lane.is_settled:
            times = f"{words}, for the {self._taken_over[wp_id]}th time; its agents may do that"
            self.outcomes[wp_id] = Outcome(Ended.TAKEN, lane, times)
        if lane.is_accepted:
            record.approved_commit = None
            self.unproven[wp_id] = words
        self.run.save(wp_id)
        self.run.events.emit(LaneChanged(wp_id, lane.value, by_us=False))
        self._lift()
