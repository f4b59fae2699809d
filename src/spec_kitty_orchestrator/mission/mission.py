"""The nursery of a mission: admits work packages, watches what becomes of them, accepts the mission."""

from __future__ import annotations

import math
import traceback
from functools import partial

import trio
from attrs import define, field, frozen

from ..errors import HostError, OrchestratorError, StateFileError
from ..host.contract.lanes import Lane
from ..host.contract.payloads import MissionState
from ..host.errors import HostRefused
from ..report.events import LaneChanged, Notice, WpLeft
from .acceptance import MissionEnd, accept, unfinished
from .context import RunContext
from .outcome import Ended, Outcome
from .standing import Standing
from .work_package import WorkPackage


@frozen
class Look:
    """One mission-state, and which tasks had started or ended when it was asked for.

    What our own tasks learned since then is newer than the look and outranks it.
    """

    state: MissionState
    epochs: dict[str, int]


MOVED_MOST = 5
"""How often a work package is begun again that others moved: an agent that moves its own would never end."""

Happenings = trio.MemorySendChannel["Look | None"]


@define
class Mission:
    """One run of a mission.

    Attributes:
        first: what mission-state said when the run was opened.
        lanes: the host's last words, read in this run; they are never stored.
        ready: what the host's list-ready named and nothing has contradicted since.
        outcomes: what became of those that this run is through with.
        in_flight: the tasks' cancel scopes.
        unproven: those that somebody else moved to approved or done while an agent of ours was at work.
    """

    run: RunContext
    first: MissionState
    lanes: dict[str, Lane] = field(factory=dict)
    dependencies: dict[str, tuple[str, ...]] = field(factory=dict)
    ready: set[str] = field(factory=set)
    outcomes: dict[str, Outcome] = field(factory=dict)
    in_flight: dict[str, trio.CancelScope] = field(factory=dict)
    unproven: dict[str, str] = field(factory=dict)
    _living: dict[str, WorkPackage] = field(factory=dict)
    _taken_over: dict[str, int] = field(factory=dict)
    _epochs: dict[str, int] = field(factory=dict)

    async def orchestrate(self) -> MissionEnd:
        """Runs until nothing is in flight and nothing can start, then accepts the mission if all is done.

        Raises:
            HostError: the host cannot even say how the mission stands.
            StateFileError: what happens can no longer be recorded; the agents are stopped.
        """
        self._learn(Look(self.first, {}))
        for wp_id, lane in self.lanes.items():
            if lane.is_accepted and self.run.record(wp_id).was_at_work:
                self._take_over(wp_id, lane)
        await self._list_ready()
        broken: HostError | None = None
        send, receive = trio.open_memory_channel["Look | None"](math.inf)
        self.run.slots.freed = lambda: send.send_nowait(None)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.run.notes.keep)
            looking = trio.CancelScope()
            nursery.start_soon(self._keep_looking, send, looking)
            try:
                while await self._admit(nursery, send):
                    happened = await receive.receive()
                    if happened is not None:
                        self._learn(happened)
            except HostError as problem:
                broken = problem  # raised below: out of a nursery it would come wrapped in a group
                nursery.cancel_scope.cancel()
            looking.cancel()
            self.run.notes.close()
        if broken is not None:
            raise broken
        return await self._finish()

    # Admission: a task for everything that can start, as far as there are slots, in the host's order.

    async def _admit(self, nursery: trio.Nursery, send: Happenings) -> bool:
        if not self.in_flight and not self._startable():
            await self._ask_the_host()  # before giving up: people may have moved something
        for wp_id in self._startable():
            if not self.run.slots.are_free:
                break
            self._note_change(wp_id)
            self.in_flight[wp_id] = trio.CancelScope()
            touched = partial(self._note_change, wp_id)
            self._living[wp_id] = WorkPackage(
                self.run, wp_id, Standing(self.run, wp_id, self.lanes[wp_id], touched)
            )
            self._living[wp_id].slot.take_now()
            nursery.start_soon(self._supervise, wp_id, send)
        return bool(self.in_flight)

    def _startable(self) -> list[str]:
        idle = [wp_id for wp_id in self.lanes if wp_id not in self.in_flight and wp_id not in self.outcomes]
        return [wp_id for wp_id in idle if self._can_start(wp_id)]

    def _can_start(self, wp_id: str) -> bool:
        lane = self.lanes[wp_id]
        if lane is Lane.PLANNED:
            return wp_id in self.ready or not self._waits_for(wp_id)
        return not lane.is_settled

    def _waits_for(self, wp_id: str) -> list[str]:
        lanes = self.lanes
        return [
            dep for dep in self.dependencies.get(wp_id, ()) if dep not in lanes or not lanes[dep].is_accepted
        ]

    # One task for each work package. What goes wrong in one never reaches its siblings.

    async def _supervise(self, wp_id: str, send: Happenings) -> None:
        work_package = self._living[wp_id]
        with self.in_flight[wp_id] as scope:
            outcome = await self._live(work_package)
        if scope.cancelled_caught:
            outcome = Outcome(Ended.MOVED, self.lanes[wp_id])
        del self.in_flight[wp_id], self._living[wp_id]
        self._note_change(wp_id)
        self._record_end(wp_id, outcome)
        send.send_nowait(None)

    async def _live(self, work_package: WorkPackage) -> Outcome:
        try:
            return await work_package.live()
        except StateFileError:
            raise
        except HostRefused as refusal:
            return Outcome(Ended.REFUSED_FOR_NOW, work_package.standing.lane, str(refusal))
        except HostError as broken:
            return Outcome(Ended.BROKEN, work_package.standing.lane, str(broken))
        except OrchestratorError as problem:
            return Outcome(Ended.REFUSED_FOR_NOW, work_package.standing.lane, str(problem))
        except OSError as problem:  # the disk is full, or no descriptor is to be had
            return Outcome(Ended.REFUSED_FOR_NOW, work_package.standing.lane, str(problem))
        except Exception as bug:  # noqa: BLE001 - the task's boundary: recorded, and the siblings go on
            return Outcome(
                Ended.INTERNAL, work_package.standing.lane, self._record_bug(work_package.wp_id, bug)
            )

    def _record_bug(self, wp_id: str, bug: Exception) -> str:
        path = self.run.log_dir / f"{wp_id}-internal-error.txt"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                "".join(traceback.format_exception(type(bug), bug, bug.__traceback__)), encoding="utf-8"
            )
        except OSError:  # its siblings go on
            return f"internal error: {bug!r}"
        return f"internal error: {bug!r}; see {path.relative_to(self.run.repo_root)}"

    def _record_end(self, wp_id: str, outcome: Outcome) -> None:
        self.ready.discard(wp_id)
        if outcome.ended is Ended.MOVED:
            self._take_over(wp_id, outcome.lane)
            return
        self.lanes[wp_id], self.outcomes[wp_id] = outcome.lane, outcome
        if outcome.ended is Ended.ACCEPTED:
            self._forget_not_ready(list(self.outcomes))
        else:
            self.run.record(wp_id).last_error = outcome.reason
            self.run.save(wp_id)
            self.run.events.emit(WpLeft(wp_id, outcome.reason))

    def _forget_not_ready(self, wp_ids: list[str]) -> None:
        for wp_id in wp_ids:
            outcome = self.outcomes.get(wp_id)
            if outcome is not None and outcome.ended is Ended.NOT_READY:
                del self.outcomes[wp_id]

    # What people do at the host meanwhile.

    async def _keep_looking(self, send: Happenings, looking: trio.CancelScope) -> None:
        with looking:
            while True:
                await trio.sleep(self.run.settings.refresh_seconds)
                try:
                    send.send_nowait(await self._look())
                except HostError as problem:
                    self.run.events.emit(Notice(f"the host could not say how the mission stands: {problem}"))

    async def _look(self) -> Look:
        epochs = dict(self._epochs)
        return Look(await self.run.host.mission_state(), epochs)

    async def _ask_the_host(self) -> None:
        self._learn(await self._look())
        await self._list_ready()

    async def _list_ready(self) -> None:
        if Lane.PLANNED in self.lanes.values():
            listed = await self.run.host.list_ready()
            self.ready = {ready.wp_id for ready in listed.ready_work_packages if ready.wp_id in self.lanes}

    def _learn(self, look: Look) -> None:
        for found in look.state.work_packages:
            wp_id = found.wp_id
            self.dependencies[wp_id] = found.dependencies
            if self._epochs.get(wp_id, 0) != look.epochs.get(wp_id, 0):
                continue
            if wp_id in self.in_flight:
                self._check_in_flight(wp_id, found.lane)
                continue
            if wp_id in self.lanes and self.lanes[wp_id] is not found.lane:
                self.run.events.emit(LaneChanged(wp_id, found.lane.value, by_us=False))
                self.outcomes.pop(wp_id, None)
            self.lanes[wp_id] = found.lane
        self._forget_gone({found.wp_id for found in look.state.work_packages}, look.epochs)
        self._forget_not_ready([wp_id for wp_id in self.outcomes if self._waits_for(wp_id)])

    def _forget_gone(self, there: set[str], epochs: dict[str, int]) -> None:
        """What people took out of the mission; one in flight hears of it at its next call."""
        for wp_id in {*self.lanes} - there - {*self.in_flight}:
            if there and self._epochs.get(wp_id, 0) == epochs.get(wp_id, 0):
                self.run.events.emit(Notice(f"{wp_id} is no longer in the mission"))
                del self.lanes[wp_id]
                self.outcomes.pop(wp_id, None)

    def _check_in_flight(self, wp_id: str, lane: Lane) -> None:
        """Someone took a work package away from us: nobody may go on working on it."""
        if not self._living[wp_id].standing.expects(lane):
            self.lanes[wp_id] = lane
            self.in_flight[wp_id].cancel()

    def _take_over(self, wp_id: str, lane: Lane) -> None:
        """Goes on from where somebody else has put a work package, as if it had been found there."""
        self.lanes[wp_id] = lane
        record = self.run.record(wp_id)
        record.holds_claim = record.holds_review = False
        record.last_error = f"moved to {lane.value} by someone else while we worked on it"
        self._taken_over[wp_id] = self._taken_over.get(wp_id, 0) + 1
        if self._taken_over[wp_id] > MOVED_MOST and not lane.is_settled:
            times = f"{record.last_error}, for the {self._taken_over[wp_id]}th time; its agents may do that"
            self.outcomes[wp_id] = Outcome(Ended.TAKEN, lane, times)
        if lane.is_accepted:
            record.approved_commit = None
            self.unproven[wp_id] = record.last_error
        self.run.save(wp_id)
        self.run.events.emit(LaneChanged(wp_id, lane.value, by_us=False))

    def _note_change(self, wp_id: str) -> None:
        self._epochs[wp_id] = self._epochs.get(wp_id, 0) + 1

    # The end.

    async def _finish(self) -> MissionEnd:
        if all(lane.is_accepted for lane in self.lanes.values()):
            return await accept(self.run, self.lanes, self.unproven)
        left = {wp_id: self._why_left(wp_id) for wp_id, lane in self.lanes.items() if not lane.is_accepted}
        return unfinished(self.run.host.mission, self.lanes, self.outcomes, left)

    def _why_left(self, wp_id: str) -> str:
        outcome = self.outcomes.get(wp_id)
        if outcome is not None and outcome.reason:
            return outcome.reason
        if waits := self._waits_for(wp_id):
            lanes = [f"{dep} ({self.lanes[dep].value if dep in self.lanes else 'unknown'})" for dep in waits]
            return f"waits for {', '.join(lanes)}"
        return self.run.record(wp_id).last_error or "a person must decide"
