"""What happened in a run, as typed values, and the stream that carries them to a file and a display."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
from attrs import frozen

from .times import utc_now


@frozen
class Event:
    """Anything that happened; its `line` is what a person reads, its fields what `events.jsonl` holds."""

    @property
    def line(self) -> str:
        """One line for a person."""
        raise NotImplementedError


@frozen
class RunStarted(Event):
    """`lanes` says where each work package was found."""

    run_id: str
    mission: str
    actor: str
    lanes: Mapping[str, str]
    resumed: bool

    @property
    def line(self) -> str:
        verb = "goes on with" if self.resumed else "takes"
        return f"run {self.run_id} {verb} mission {self.mission}: {len(self.lanes)} work packages"


@frozen
class WpEvent(Event):
    """Something that happened to one work package."""

    wp_id: str


@frozen
class LaneChanged(WpEvent):
    """The host moved a work package on our behalf (`by_us`), or was found to have moved it."""

    lane: str
    by_us: bool = True
    detail: str = ""

    @property
    def line(self) -> str:
        who = "" if self.by_us else " (by someone else)"
        return f"{self.wp_id} → {self.lane}{who}{f': {self.detail}' if self.detail else ''}"


@frozen
class AttemptStarted(WpEvent):
    role: str
    agent: str
    number: int
    log: str

    @property
    def line(self) -> str:
        return f"{self.wp_id} {self.role} {self.number}: {self.agent} starts, log {self.log}"


@frozen
class AttemptEnded(WpEvent):
    """`outcome` is `succeeded`, `interrupted` or a failure kind."""

    role: str
    agent: str
    number: int
    outcome: str
    message: str
    seconds: float
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None

    @property
    def line(self) -> str:
        said = f": {self.message}" if self.message else ""
        what = f"{self.wp_id} {self.role} {self.number}: {self.agent}"
        return f"{what} {self.outcome} after {self.seconds:.1f} s{said}"


@frozen
class ProcessesSwept(WpEvent):
    """An attempt left processes behind; they were ended."""

    agent: str
    swept: tuple[str, ...]

    @property
    def line(self) -> str:
        left = f"{self.agent} left {len(self.swept)} processes"
        return f"{self.wp_id} warning: {left}, ended: {', '.join(self.swept)}"


@frozen
class ProcessesLeft(WpEvent):
    """An attempt left processes behind that could not be ended: another user's, or stuck in the kernel."""

    agent: str
    left: tuple[str, ...]

    @property
    def line(self) -> str:
        return f"{self.wp_id} WARNING: {self.agent} left what could NOT be ended: {', '.join(self.left)}"


@frozen
class HandoverRefused(WpEvent):
    reason: str

    @property
    def line(self) -> str:
        return f"{self.wp_id} not ready for review: {self.reason}"


@frozen
class VerdictGiven(WpEvent):
    reviewer: str
    review_ref: str
    verdict: str
    feedback: str

    @property
    def line(self) -> str:
        said = f": {self.feedback}" if self.feedback else ""
        return f"{self.wp_id} {self.verdict} by {self.reviewer}{said}"


@frozen
class RetryPlanned(WpEvent):
    role: str
    agent: str
    delay: float
    reason: str

    @property
    def line(self) -> str:
        return f"{self.wp_id} {self.role}: {self.agent} tries again in {self.delay:.0f} s ({self.reason})"


@frozen
class WaitingForAgents(WpEvent):
    agents: tuple[str, ...]
    seconds: float

    @property
    def line(self) -> str:
        return f"{self.wp_id} waits {self.seconds:.0f} s for {', '.join(self.agents)} (at their limits)"


@frozen
class WpLeft(WpEvent):
    """A work package is left where it is; the run goes on with the others."""

    reason: str

    @property
    def line(self) -> str:
        return f"{self.wp_id} left as it is: {self.reason}"


@frozen
class AgentDropped(Event):
    agent: str
    reason: str

    @property
    def line(self) -> str:
        return f"{self.agent} is out for this run: {self.reason}"


@frozen
class AgentParked(Event):
    agent: str
    seconds: float

    @property
    def line(self) -> str:
        return f"{self.agent} is at its limit, rests for {self.seconds:.0f} s"


@frozen
class Notice(Event):
    """Something that a person should know and that changes nothing."""

    text: str

    @property
    def line(self) -> str:
        return self.text


@frozen
class RunEnded(Event):
    """`status` is a RunStatus, `exit_code` the program's."""

    status: str
    exit_code: int
    summary: str

    @property
    def line(self) -> str:
        return self.summary


Listener = Callable[[Event], None]


class EventStream:
    """Hands each event to all listeners, in order, at once."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = list(listeners)

    def add(self, listener: Listener) -> None:
        """One more listener, for what happens from now on."""
        self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        """Tells all listeners."""
        for listener in self._listeners:
            listener(event)


class JsonLines:
    """A listener that appends each event to `events.jsonl` as `{"time": ..., "event": ..., ...}`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def __call__(self, event: Event) -> None:
        fields = attrs.asdict(event)
        self._file.write(json.dumps({"time": utc_now(), "event": type(event).__name__, **fields}) + "\n")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
