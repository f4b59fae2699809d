"""Who may start, in which order, and who is put off: lanes, turns and patience together. Starts nothing."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from attrs import define, field

from ..report.events import WpLeft, WpPutOff
from ..report.wp_events import WpTakenUp
from .chains import chain_lengths
from .context import RunContext
from .outcome import Ended, Outcome
from .patience import HOST, Patience
from .turns import UNDER_WAY, place_in_lane, related
from .view import View


@define
class Admission:
    """The order in which the work packages of a mission get their turn.

    Attributes:
        in_flight: those that have a task now.
        outcomes: what became of those that this run is through with, if only for now.
        in_trouble: the host cannot even say how the mission stands.
    """

    run: RunContext
    view: View
    in_flight: Collection[str]
    patience: Patience
    outcomes: dict[str, Outcome] = field(factory=dict)
    in_trouble: bool = False
    _probe: str | None = None
    _told: dict[str, str] = field(factory=dict)

    def startable(self) -> list[str]:
        """Those that can be admitted now, those first that should be.

        Work under way goes before new work; then whoever begins the longest chain of dependents, as the
        mission takes at least as long as that; then the host's order.
        """
        if self.run.budget.is_spent:
            return []
        idle = [wp_id for wp_id in self.view.lanes if self._can_go(wp_id) and self._may_try(wp_id)]
        if len(idle) < 2:
            return idle
        chains = self._chains()
        return sorted(idle, key=lambda wp_id: (self._place(wp_id), -chains[wp_id]))

    def first_of(self, waiting: Sequence[str]) -> str:
        """Who goes first of those that wait for a slot again, or met in a lane: the longest chain again."""
        chains = self._chains()
        return max(waiting, key=lambda wp_id: chains.get(wp_id, 0))

    def _chains(self) -> dict[str, int]:
        """How long the chain is that each one begins, of what is asked for and not done yet."""
        to_do = [wp_id for wp_id, lane in self.view.lanes.items() if not lane.is_accepted]
        wanted = [wp_id for wp_id in to_do if self._is_wanted(wp_id)]
        return chain_lengths(wanted, self.view.dependencies)

    def _place(self, wp_id: str) -> int:
        return place_in_lane(self.run.record(wp_id), self.view.lanes[wp_id])

    def admit(self, wp_id: str) -> bool:
        """Lets one go, unless another one of its lane was faster, or tries the host."""
        branch = self.run.record(wp_id).branch
        if not self._may_try(wp_id) or not (branch is None or self.run.turns.take(branch, wp_id)):
            return False
        before = self.outcomes.pop(wp_id, None)
        if before is not None and before.ended is Ended.BROKEN:
            self._probe = wp_id
        if before is None:  # else it is tried again, which may be often
            self.run.events.emit(WpTakenUp(wp_id))
        return True

    def give_back(self, wp_id: str, outcome: Outcome) -> None:
        """One has no task any more; one that is under way keeps its lane until somebody moves it."""
        if outcome.ended in (Ended.WAITS, Ended.MOVED) or outcome.lane not in UNDER_WAY:
            self.run.turns.give_back(wp_id)
        self._probe = None if self._probe == wp_id else self._probe

    def keep_lanes(self) -> None:
        """Those with work in their workspace keep their lane also when they are not asked for."""
        for wp_id in self.view.lanes.keys() - (self.run.wanted or self.view.lanes.keys()):
            record = self.run.record(wp_id)
            if record.branch is not None and place_in_lane(record, self.view.lanes[wp_id]) == 0:
                self.run.turns.take(record.branch, wp_id)

    def may_share_a_lane(self, wp_id: str) -> bool:
        """Its lane is not known, and may be that of one that has begun."""
        if self.run.record(wp_id).branch is not None:
            return False
        return any(self.view.lanes.get(each) in UNDER_WAY for each in self.kin(wp_id) - {wp_id})

    def kin(self, wp_id: str) -> set[str]:
        """All that may lie in one lane with a work package, itself included."""
        return related(wp_id, self.view.dependencies)

    # Refusals and breakdowns: for now, not for ever.

    def put_off(self, wp_id: str, outcome: Outcome) -> None:
        """One was refused, or the host broke down on it: it is tried again later."""
        self.outcomes[wp_id] = outcome
        seconds = self.patience.put_off(HOST if outcome.ended is Ended.BROKEN else wp_id)
        if self._told.get(wp_id) != outcome.reason:
            self._told[wp_id] = outcome.reason
            self.run.events.emit(WpPutOff(wp_id, outcome.reason, round(seconds, 1)))

    def lift(self) -> None:
        """Something has changed: it may be what the others waited for."""
        self.patience.lift()
        self._probe = None

    def forget(self, wp_id: str) -> Outcome | None:
        """What became of one counts no more, as somebody has moved it."""
        self.run.turns.give_back(wp_id)
        self._told.pop(wp_id, None)
        return self.outcomes.pop(wp_id, None)

    @property
    def is_due(self) -> bool:
        """Somebody's pause is over: the host is to be looked at anew, and then they may try."""
        return self.seconds_until_due <= 0.0

    @property
    def seconds_until_due(self) -> float:
        """Until the next pause is over, as far as there is a slot then; a slot that is freed wakes us too."""
        if self.run.budget.is_spent or self.run.pause.is_on:
            return math.inf
        waits = (
            [self._seconds_until_due(wp_id) for wp_id in self._put_off()] if self.run.slots.are_free else []
        )
        if self.in_trouble:
            waits.append(self.patience.seconds_until_due(HOST))
        return min(waits, default=math.inf)

    @property
    def is_patient(self) -> bool:
        """There is somebody to be tried again, or the host, and the patience is not over."""
        is_over = self.patience.is_over or self.run.budget.is_spent
        return (self.in_trouble or bool(self._put_off())) and not is_over

    @property
    def waits_for_people(self) -> bool:
        """What the run cannot do by itself is waited for, if something is left of what is asked for."""
        if not self.run.settings.wait_for_people or self.run.budget.is_spent:
            return False
        return any(self._is_wanted(wp_id) and not lane.is_accepted for wp_id, lane in self.view.lanes.items())

    def leave_to_the_budget(self) -> bool:
        """The run ends: notes those that could be tried had its budget not been spent; whether any could."""
        for wp_id, lane in self.view.lanes.items() if self.run.budget.is_spent else ():
            before = self.outcomes.get(wp_id)
            if before is None and self._can_go(wp_id):
                self.outcomes[wp_id] = Outcome(Ended.BUDGET, lane, self.run.budget.reason)
            elif before is not None and before.ended.is_for_now:
                self.run.events.emit(WpLeft(wp_id, before.reason))
                self.outcomes[wp_id] = Outcome(Ended.BUDGET, lane, before.reason)
        return any(outcome.ended is Ended.BUDGET for outcome in self.outcomes.values())

    def _put_off(self) -> list[str]:
        """Those on whom the host broke down wait while one of them is tried again."""
        for_now = [wp_id for wp_id, outcome in self.outcomes.items() if outcome.ended.is_for_now]
        return [
            wp_id
            for wp_id in for_now
            if self._can_go(wp_id) and not (self._probe and self.outcomes[wp_id].ended is Ended.BROKEN)
        ]

    def _seconds_until_due(self, wp_id: str) -> float:
        return self.patience.seconds_until_due(HOST if self.outcomes[wp_id].ended is Ended.BROKEN else wp_id)

    def _may_try(self, wp_id: str) -> bool:
        outcome = self.outcomes.get(wp_id)
        if outcome is None:
            return True
        return wp_id in self._put_off() and self._seconds_until_due(wp_id) <= 0.0

    def _can_go(self, wp_id: str) -> bool:
        """It is asked for, lanes and dependencies let it, and nobody else has its lane."""
        if not self._is_wanted(wp_id):
            return False
        if wp_id not in self.view.lanes or wp_id in self.in_flight or not self.view.can_start(wp_id):
            return False
        branch = self.run.record(wp_id).branch
        return branch is None or self.run.turns.holder(branch) in (None, wp_id)

    def _is_wanted(self, wp_id: str) -> bool:
        return self.run.wanted is None or wp_id in self.run.wanted
