"""The story of one work package: what its events say of it. See `story.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import define, field, frozen

from .events import (
    AttemptEnded,
    AttemptStarted,
    CommandEnded,
    Escalated,
    FilesMovedAway,
    HandoverRefused,
    LaneChanged,
    ProcessesLeft,
    ProcessesSwept,
    RetryPlanned,
    SentBack,
    VerdictGiven,
    WaitingForAgents,
    WpEvent,
    WpLeft,
    WpPutOff,
)
from .phases import Phase, Span, Timeline
from .totals import Spent, Total
from .wp_events import AttemptInVain, PlaceFound, WaitingForLane, WaitingForPlace, WpNamed, WpTakenUp

ACCEPTED_LANES = frozenset({"approved", "done"})
SETTLED_LANES = ACCEPTED_LANES | {"blocked", "canceled"}
NEVER_RAN = "not_installed"
"""The outcome of an attempt whose program was not there."""


@define
class AttemptStory:
    """One attempt; `ended` and `outcome` are None while it runs. Times are seconds since the epoch."""

    role: str
    agent: str
    number: int
    log: str
    started: float
    continued: bool = False
    ended: float | None = None
    outcome: str | None = None
    message: str = ""
    spent: Spent = field(factory=Spent)

    @property
    def failed(self) -> bool:
        """It ended, and what it was made for was not reached."""
        return self.outcome not in (None, "succeeded", "interrupted")

    def seconds(self, now: float) -> float:
        """How long it lasted, or has lasted until now."""
        return (now if self.ended is None else self.ended) - self.started


@frozen
class TimedWords:
    """Something that was said about a work package."""

    time: float
    words: str


@define
class WpStory:
    """One work package in a run, as far as its events tell.

    Attributes:
        title: what it is called; empty until it was taken up.
        branch: where its work is done; empty until then.
        lane: where the host last said that it stands.
        dependencies: the ids of those that it depends on.
        verdicts: every one, with the time when it was given.
        commands: the project's own commands, with the time when each ended.
        setbacks: why work went back to its implementer without a verdict.
        left: why the run is through with it although it is not accepted; empty otherwise.
        note: the last words about it.
    """

    wp_id: str
    lane: str
    dependencies: tuple[str, ...] = ()
    title: str = ""
    branch: str = ""
    attempts: list[AttemptStory] = field(factory=list)
    verdicts: list[tuple[float, VerdictGiven]] = field(factory=list)
    commands: list[tuple[float, CommandEnded]] = field(factory=list)
    setbacks: list[TimedWords] = field(factory=list)
    left: str = ""
    note: str = ""
    timeline: Timeline = field(factory=Timeline)

    @property
    def is_accepted(self) -> bool:
        """The work counts."""
        return self.lane in ACCEPTED_LANES

    @property
    def is_settled(self) -> bool:
        """There is nothing left for a run to do."""
        return self.lane in SETTLED_LANES

    @property
    def attempt(self) -> AttemptStory | None:
        """The one that runs now."""
        return self.attempts[-1] if self.attempts and self.attempts[-1].ended is None else None

    @property
    def waits(self) -> Span | None:
        """What it waits for now: for whom, until when, why; None when it is at work, or over."""
        now = self.timeline.now
        return None if now is None or now.phase.is_work or now.phase is Phase.OVER else now

    @property
    def approved(self) -> VerdictGiven | None:
        """The verdict by which it is accepted, if it is and that was given in this run."""
        last = self.verdicts[-1][1] if self.verdicts else None
        return last if self.is_accepted and last is not None and last.verdict == "approved" else None

    @property
    def total(self) -> Total:
        """What its attempts in this run have cost."""
        return total_of(self.attempts)

    def take(self, time: float, event: WpEvent) -> None:
        """Takes in what happened to it at that time; what it does not know changes nothing."""
        if (handle := _HANDLERS.get(type(event))) is not None:
            handle(self, time, event)
        if event.line:
            self.note = " ".join(event.line.removeprefix(f"{self.wp_id} ").split())

    def begin(self, time: float, lane: str, waits_for: Iterable[str]) -> None:
        """A run has begun, or goes on, and found it there."""
        self.lane, self.left = lane, ""
        self.wait(time, waits_for)

    def wait(self, time: float, waits_for: Iterable[str]) -> None:
        """Nobody is at it: it waits for others, or for its place, or for nothing any more."""
        missing = tuple(waits_for)
        if self.is_settled or self.left:
            phase = Phase.OVER
        else:
            phase = Phase.DEPENDENCIES if missing and self.lane == "planned" else Phase.SLOT
        if (phase, missing) != (
            self.timeline.phase,
            () if self.timeline.now is None else self.timeline.now.who,
        ):
            self.timeline.enter(Span(phase, time, who=missing if phase is Phase.DEPENDENCIES else ()))

    def end(self, time: float) -> None:
        """The run is over, or was killed: nothing goes on."""
        self.timeline.close(time)
        if (attempt := self.attempt) is not None:
            attempt.ended, attempt.outcome = time, "interrupted"
            attempt.spent = Spent()

    # What each event means.

    def _taken_up(self, time: float, _: WpTakenUp) -> None:
        self.timeline.enter(Span(Phase.HOST, time))

    def _named(self, _: float, event: WpNamed) -> None:
        self.title, self.branch = event.title, event.branch

    def _waits_for_lane(self, time: float, event: WaitingForLane) -> None:
        self.timeline.enter(Span(Phase.LANE, time, words=event.reason))

    def _lane_changed(self, time: float, event: LaneChanged) -> None:
        self.lane = event.lane
        if not self.is_settled:
            self.left = ""
        if self.attempt is not None and not self.is_settled:
            return
        if self.is_settled:
            self.timeline.enter(Span(Phase.OVER, time, words=event.detail))
        elif event.by_us:
            self.timeline.enter(Span(Phase.HOST, time))
        else:
            self.timeline.enter(Span(Phase.SLOT, time))

    def _attempt_started(self, time: float, event: AttemptStarted) -> None:
        what = (event.role, event.agent, event.number, event.log)
        self.attempts.append(AttemptStory(*what, time, event.continued, spent=Spent(has_ended=False)))
        self.timeline.enter(Span(Phase(event.role), time, who=(event.agent,)))

    def _waits_for_place(self, time: float, event: WaitingForPlace) -> None:
        self.timeline.enter(Span(Phase.PLACE, time, who=(event.agent,), words=event.launcher))

    def _place_found(self, time: float, event: PlaceFound) -> None:
        if self.attempt is not None and self.timeline.phase is Phase.PLACE:
            self.timeline.enter(Span(Phase(event.role), time, who=(event.agent,)))

    def _attempt_ended(self, time: float, event: AttemptEnded) -> None:
        attempt = self._attempt_of(event.role, event.number)
        if attempt is None:  # the file begins in the middle
            return
        attempt.ended, attempt.outcome, attempt.message = time, event.outcome, event.message
        attempt.spent = Spent(event.input_tokens, event.output_tokens, event.cost_usd)
        self.timeline.enter(Span(Phase.HOST, time))

    def _attempt_in_vain(self, _: float, event: AttemptInVain) -> None:
        if (attempt := self._attempt_of(event.role, event.number)) is not None:
            attempt.outcome, attempt.message = event.outcome, event.message

    def _attempt_of(self, role: str, number: int) -> AttemptStory | None:
        """The newest of that role and number: a copy of a project may go on from an older state."""
        theirs = [each for each in self.attempts if (each.role, each.number) == (role, number)]
        return theirs[-1] if theirs else None

    def _command_ended(self, time: float, event: CommandEnded) -> None:
        self.commands.append((time, event))
        phase = Phase.SETUP if event.purpose == "setup" else Phase.CHECKS
        self.timeline.did(phase, event.seconds, time, event.command)

    def _verdict_given(self, time: float, event: VerdictGiven) -> None:
        self.verdicts.append((time, event))

    def _went_back(self, time: float, event: HandoverRefused | SentBack) -> None:
        self.setbacks.append(TimedWords(time, event.reason))

    def _retry_planned(self, time: float, event: RetryPlanned) -> None:
        until = time + event.delay
        self.timeline.enter(Span(Phase.PAUSE, time, who=(event.agent,), until=until, words=event.reason))

    def _waits_for_agents(self, time: float, event: WaitingForAgents) -> None:
        words = f"{event.instead} made it itself" if event.instead else ""
        self.timeline.enter(
            Span(Phase.AGENTS, time, who=event.agents, until=time + event.seconds, words=words)
        )

    def _put_off(self, time: float, event: WpPutOff) -> None:
        self.timeline.enter(Span(Phase.PUT_OFF, time, until=time + event.seconds, words=event.reason))

    def _is_left(self, time: float, event: WpLeft) -> None:
        self.left = event.reason
        self.timeline.enter(Span(Phase.OVER, time, words=event.reason))


_HANDLERS: Mapping[type[WpEvent], Callable[[WpStory, float, Any], None]] = {
    AttemptEnded: WpStory._attempt_ended,
    AttemptInVain: WpStory._attempt_in_vain,
    AttemptStarted: WpStory._attempt_started,
    CommandEnded: WpStory._command_ended,
    HandoverRefused: WpStory._went_back,
    PlaceFound: WpStory._place_found,
    WaitingForPlace: WpStory._waits_for_place,
    LaneChanged: WpStory._lane_changed,
    RetryPlanned: WpStory._retry_planned,
    SentBack: WpStory._went_back,
    VerdictGiven: WpStory._verdict_given,
    WaitingForAgents: WpStory._waits_for_agents,
    WaitingForLane: WpStory._waits_for_lane,
    WpLeft: WpStory._is_left,
    WpNamed: WpStory._named,
    WpPutOff: WpStory._put_off,
    WpTakenUp: WpStory._taken_up,
}
NOTED_ONLY = frozenset({Escalated, FilesMovedAway, ProcessesLeft, ProcessesSwept})
"""Events that change nothing in a story but its note; all others have a handler."""


def total_of(attempts: Iterable[AttemptStory]) -> Total:
    """What these cost. One whose program never ran is no attempt here."""
    return Total.of(attempt.spent for attempt in attempts if attempt.outcome != NEVER_RAN)
