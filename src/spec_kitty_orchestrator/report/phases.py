"""What the time of a work package goes by with: spans of phases, one after the other, without a gap."""

from __future__ import annotations

import enum

from attrs import define, evolve, field, frozen


class Phase(str, enum.Enum):
    """What a work package is in, or waits for."""

    DEPENDENCIES = "dependencies"  # waits for what it depends on
    SLOT = "slot"  # could start, and waits for a place among those at work
    LANE = "lane"  # waits for another one that is at work in its lane
    HOST = "host"  # calls at the host, and looks at what is committed
    SETUP = "setup"
    IMPLEMENTATION = "implementation"
    CHECKS = "checks"
    REVIEW = "review"
    PLACE = "place"  # an attempt waits for its place elsewhere
    AGENTS = "agents"  # waits for agents that rest
    PAUSE = "pause"  # before an agent tries again
    PUT_OFF = "put_off"  # refused by the host, or it broke down
    HELD = "held"  # the run is paused by a person
    OVER = "over"  # nothing more happens to it in this run, as things stand

    @property
    def is_work(self) -> bool:
        """An agent, or a command of the project's own, is running."""
        return self in (Phase.SETUP, Phase.IMPLEMENTATION, Phase.CHECKS, Phase.REVIEW)

    @property
    def words(self) -> str:
        """What a person reads."""
        return _WORDS[self]

    @property
    def column(self) -> str:
        """The same over a column, below a heading that says that all is time."""
        return (
            self.words.removeprefix("waiting ").removesuffix(" before a retry").removesuffix(" by the host")
        )


_WORDS = {
    Phase.DEPENDENCIES: "waiting for dependencies",
    Phase.SLOT: "waiting for a slot",
    Phase.LANE: "waiting for its lane",
    Phase.HOST: "host",
    Phase.SETUP: "setup",
    Phase.IMPLEMENTATION: "implementing",
    Phase.CHECKS: "checks",
    Phase.REVIEW: "review",
    Phase.PLACE: "waiting for a place",
    Phase.AGENTS: "waiting for agents",
    Phase.PAUSE: "pause before a retry",
    Phase.PUT_OFF: "put off by the host",
    Phase.HELD: "run paused",
    Phase.OVER: "over",
}


@frozen
class Span:
    """A stretch of time in one phase; times are seconds since the epoch.

    Attributes:
        end: None for the one that lasts.
        who: the agent at work, the agents that are waited for, or the work packages.
        until: when a wait is expected to be over.
        words: why it is waited, or what for.
    """

    phase: Phase
    start: float
    end: float | None = None
    who: tuple[str, ...] = ()
    until: float | None = None
    words: str = ""

    def seconds(self, now: float) -> float:
        """How long it lasted, or has lasted until now."""
        return max(0.0, (now if self.end is None else self.end) - self.start)


@define
class Timeline:
    """The spans of one work package in order; the last one lasts unless the run is over."""

    spans: list[Span] = field(factory=list)

    @property
    def now(self) -> Span | None:
        """The span that lasts; None while no run is at it."""
        return self.spans[-1] if self.spans and self.spans[-1].end is None else None

    @property
    def phase(self) -> Phase | None:
        """What it is in now."""
        return None if self.now is None else self.now.phase

    def enter(self, span: Span) -> None:
        """What begins now ends what was until now; a pause that is over was a wait for a place since then."""
        self.close(span.start)
        self.spans.append(span)

    def close(self, time: float) -> None:
        """Nothing lasts any more."""
        if (now := self.now) is None:
            return
        time = max(time, now.start)
        self.spans[-1] = evolve(now, end=time)
        if now.phase is Phase.PAUSE and now.until is not None and time > now.until:
            middle = max(now.start, now.until)
            self.spans[-1] = evolve(now, end=middle)
            self.spans.append(Span(Phase.SLOT, middle, time))
        elif time == now.start:
            self.spans.pop()

    def did(self, phase: Phase, seconds: float, time: float, words: str) -> None:
        """What ended at `time` took the last so many seconds of what lasts, which then goes on."""
        now = self.now
        if now is None:
            return
        start = max(now.start, time - seconds)
        self.enter(Span(phase, start, words=words))
        self.enter(evolve(now, start=time))

    def was(self, phase: Phase, since: float, time: float) -> None:
        """What lasts was something else since some moment, up to now."""
        if (now := self.now) is not None:
            self.enter(Span(phase, min(max(since, now.start), time)))
            self.enter(evolve(now, start=time))

    def seconds_by_phase(self, now: float) -> dict[Phase, float]:
        """How long it was in each, those at all."""
        found: dict[Phase, float] = {}
        for span in self.spans:
            found[span.phase] = found.get(span.phase, 0.0) + span.seconds(now)
        return {phase: found[phase] for phase in Phase if found.get(phase)}
