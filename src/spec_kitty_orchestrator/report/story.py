"""What a run is, by its events so far. A pure fold: it looks at no clock, no disk and no host.

story = Story()
for timed in file.more():
    story.take(timed.time, timed.event)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field, frozen

from .events import AttemptEnded, Event, LaneChanged, RunEnded, RunStarted, WpEvent
from .phases import Phase, Span
from .run_events import (
    AgentDropped,
    AgentParked,
    BudgetUsedUp,
    EndOrdered,
    MissionMerged,
    RunPaused,
    RunUnpaused,
    WaitingForPeople,
)
from .totals import Totals
from .wp_story import TimedWords, WpStory, total_of


@define
class Start:
    """One start of a run, which may have been begun and gone on with several times.

    Attributes:
        ended: None while it is under way; its last event's time, when it was killed.
        status: a RunStatus; `running`, or `killed` when another start followed without an end.
    """

    started: float
    resumed: bool
    ended: float | None = None
    status: str = "running"
    exit_code: int | None = None
    summary: str = ""


@frozen
class AgentRest:
    """An agent that rests, from when until when, and why. `kind` is the failure kind."""

    agent: str
    since: float
    until: float
    kind: str
    reason: str


@define
class Story:
    """One run, as far as its events tell; times are seconds since the epoch.

    Attributes:
        slots: how many work packages may be at work at once; None in files of release 1.0.
        wanted: those that are asked for; None: all.
        starts: each start of the run, the first one first.
        work_packages: by id, in the mission's order.
        parked: the agents that rest, by id; ask `resting` for those that do at some time.
        rests: every rest that was told, in order.
        out: the agents that are out for this start, and why.
        pauses: when a person had it paused, each from when until when; the last one may last.
        notices: what was said about the run as a whole.
        merged: the merge, once it is done.
        ending: why nothing new will begin, in a word or two; empty while it may.
        people: what is waited for, while only people can move something.
        last: when the newest event happened.
    """

    run_id: str = ""
    mission: str = ""
    actor: str = ""
    slots: int | None = None
    max_cost_usd: float | None = None
    max_runtime_seconds: float | None = None
    wanted: tuple[str, ...] | None = None
    starts: list[Start] = field(factory=list)
    work_packages: dict[str, WpStory] = field(factory=dict)
    parked: dict[str, AgentRest] = field(factory=dict)
    rests: list[AgentRest] = field(factory=list)
    out: dict[str, str] = field(factory=dict)
    pauses: list[tuple[float, float | None]] = field(factory=list)
    notices: list[TimedWords] = field(factory=list)
    merged: MissionMerged | None = None
    ending: str = ""
    people: tuple[str, ...] = ()
    last: float = 0.0

    def take(self, time: float, event: Event) -> None:
        """Takes in what happened at that time (seconds since the epoch); events come in order."""
        if isinstance(event, WpEvent):
            self.work_packages.setdefault(event.wp_id, WpStory(event.wp_id, "planned")).take(time, event)
        if (handle := _HANDLERS.get(type(event))) is not None:
            handle(self, time, event)
        elif not isinstance(event, WpEvent):
            self.notices.append(TimedWords(time, event.line))
        if self.paused_since is not None:
            self._hold(time)
        self.last = max(self.last, time)

    # Questions that a display asks.

    @property
    def start(self) -> Start | None:
        """The newest start."""
        return self.starts[-1] if self.starts else None

    @property
    def is_over(self) -> bool:
        """Its end was told, whatever that was."""
        return self.start is not None and self.start.ended is not None

    @property
    def paused_since(self) -> float | None:
        """Since when a person has it paused; None when it is not."""
        return self.pauses[-1][0] if self.pauses and self.pauses[-1][1] is None else None

    @property
    def at_work(self) -> list[WpStory]:
        """Those that have a place: an agent, a check, or a call at the host is at them."""
        phases = (Phase.SETUP, Phase.IMPLEMENTATION, Phase.CHECKS, Phase.REVIEW, Phase.HOST, Phase.PLACE)
        return [wp for wp in self.work_packages.values() if wp.timeline.phase in phases]

    @property
    def totals(self) -> Totals:
        """What all attempts have cost over all starts, in all, by agent, and by work package."""
        attempts = [attempt for wp in self.work_packages.values() for attempt in wp.attempts]
        agents = sorted({attempt.agent for attempt in attempts})
        by_agent = {agent: total_of(each for each in attempts if each.agent == agent) for agent in agents}
        by_wp = {wp_id: wp.total for wp_id, wp in self.work_packages.items() if wp.attempts}
        return Totals(total_of(attempts), by_agent, by_wp)

    def seconds(self, now: float) -> float:
        """How long the run has lasted, without the time between its starts."""
        return sum((now if each.ended is None else each.ended) - each.started for each in self.starts)

    def resting(self, now: float) -> list[AgentRest]:
        """The agents that rest now, who is back first at the beginning."""
        return sorted(
            (rest for rest in self.parked.values() if rest.until > now), key=lambda rest: rest.until
        )

    def waits_for(self, wp_id: str) -> tuple[str, ...]:
        """The dependencies of a work package that are not accepted."""
        found = self.work_packages
        return tuple(
            dep for dep in found[wp_id].dependencies if dep not in found or not found[dep].is_accepted
        )

    # What each event means for the run.

    def _started(self, time: float, event: RunStarted) -> None:
        self._close(self.last, "killed")
        self.run_id, self.mission, self.actor = event.run_id, event.mission, event.actor
        self.slots, self.wanted = event.max_concurrent_wps, event.wanted
        self.max_cost_usd, self.max_runtime_seconds = event.max_cost_usd, event.max_runtime_seconds
        self.out, self.ending, self.people = {}, "", ()
        self.starts.append(Start(time, event.resumed))
        known = self.work_packages
        self.work_packages = {
            wp_id: known.get(wp_id, WpStory(wp_id, lane)) for wp_id, lane in event.lanes.items()
        }
        for wp_id, wp in self.work_packages.items():
            wp.dependencies = tuple(event.dependencies.get(wp_id, wp.dependencies))
            wp.lane = event.lanes[wp_id]
        for wp_id, wp in self.work_packages.items():
            wp.begin(time, event.lanes[wp_id], self.waits_for(wp_id))

    def _ended(self, time: float, event: RunEnded) -> None:
        self._close(time, event.status)
        if (start := self.start) is not None:
            start.exit_code, start.summary = event.exit_code, event.summary

    def _close(self, time: float, status: str) -> None:
        self._go_on(time)
        if (start := self.start) is not None and start.ended is None:
            start.ended, start.status = time, status
            for wp in self.work_packages.values():
                wp.end(time)

    def _paused(self, time: float, _: RunPaused) -> None:
        self.pauses.append((time, None))

    def _unpaused(self, time: float, _: RunUnpaused) -> None:
        self._go_on(time)

    def _hold(self, time: float) -> None:
        for wp in self.work_packages.values():
            if wp.timeline.phase is Phase.SLOT:
                wp.timeline.enter(Span(Phase.HELD, time))

    def _go_on(self, time: float) -> None:
        """The pause is over; what had a place and was done with its calls was held as well."""
        if (since := self.paused_since) is None:
            return
        self.pauses[-1] = (since, time)
        for wp_id, wp in self.work_packages.items():
            if wp.timeline.phase is Phase.HELD:
                wp.wait(time, self.waits_for(wp_id))
            elif wp.timeline.phase is Phase.HOST:
                wp.timeline.was(Phase.HELD, since, time)

    def _lane_changed(self, time: float, event: LaneChanged) -> None:
        """What depends on it may start now, or no longer; and nobody knows what is waited for now."""
        self.people = ()
        for wp_id, wp in self.work_packages.items():
            if event.wp_id in (wp_id, *wp.dependencies) and wp.timeline.phase in (
                Phase.DEPENDENCIES,
                Phase.SLOT,
            ):
                wp.wait(time, self.waits_for(wp_id))

    def _attempt_ended(self, _: float, event: AttemptEnded) -> None:
        if event.outcome == "succeeded":
            self.parked.pop(event.agent, None)

    def _agent_parked(self, time: float, event: AgentParked) -> None:
        rest = AgentRest(event.agent, time, time + event.seconds, event.kind, event.reason)
        self.parked[event.agent] = rest
        self.rests.append(rest)

    def _agent_dropped(self, _: float, event: AgentDropped) -> None:
        self.out[event.agent] = event.reason
        self.parked.pop(event.agent, None)

    def _ending(self, time: float, event: EndOrdered | BudgetUsedUp) -> None:
        self._go_on(time)  # to its end: what is told to stop does not stay paused
        self.notices.append(TimedWords(time, event.line))
        self.ending = "budget used up" if isinstance(event, BudgetUsedUp) else "ending"

    def _waits_for_people(self, time: float, event: WaitingForPeople) -> None:
        self.people = event.left
        self.notices.append(TimedWords(time, event.line))

    def _merged(self, _: float, event: MissionMerged) -> None:
        self.merged = event


_HANDLERS: Mapping[type[Event], Callable[[Story, float, Any], None]] = {
    AgentDropped: Story._agent_dropped,
    AgentParked: Story._agent_parked,
    AttemptEnded: Story._attempt_ended,
    BudgetUsedUp: Story._ending,
    EndOrdered: Story._ending,
    LaneChanged: Story._lane_changed,
    MissionMerged: Story._merged,
    RunEnded: Story._ended,
    RunPaused: Story._paused,
    RunUnpaused: Story._unpaused,
    RunStarted: Story._started,
    WaitingForPeople: Story._waits_for_people,
}
