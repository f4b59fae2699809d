"""What happened to a run as a whole: its agents, and what became of the mission. See `events.py`."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from .events import Event


@frozen
class AgentDropped(Event):
    agent: str
    reason: str

    @property
    def line(self) -> str:
        return f"{self.agent} is out for this run: {self.reason}"


@frozen
class AgentParked(Event):
    """`kind` is the failure kind; told when it is news, and when the rests grow."""

    agent: str
    seconds: float
    kind: str
    reason: str

    @property
    def line(self) -> str:
        return f"{self.agent} rests for {self.seconds:.0f} s ({self.kind}): {self.reason}"


@frozen
class MissionMerged(Event):
    """The target holds the mission now; `commit` is its tip."""

    target: str
    strategy: str
    commit: str
    pushed: bool

    @property
    def line(self) -> str:
        return f"merged into {self.target} ({self.strategy}), {self.commit[:12]}"


@frozen
class BudgetUsedUp(Event):
    """What the run may cost is spent, or its time is over; `words` has the figures."""

    words: str

    @property
    def line(self) -> str:
        return f"{self.words}: agents at work finish, nothing new begins"


@frozen
class EndOrdered(Event):
    """A person has the run end after what is at work."""

    @property
    def line(self) -> str:
        return "told to stop: agents at work finish, nothing new begins; then the run ends"


@frozen
class RunPaused(Event):
    """Nothing new begins until a person says so; `since`, ISO 8601 in UTC, may be before this start."""

    since: str

    @property
    def line(self) -> str:
        then = "go on with: spec-kitty-orchestrator unpause"
        return f"PAUSED since {self.since}: agents at work finish, nothing new begins; {then}"


@frozen
class RunUnpaused(Event):
    """The run goes on; `seconds` are those of this start."""

    seconds: float

    @property
    def line(self) -> str:
        return f"goes on, after a pause of {self.seconds:.0f} s"


@frozen
class AgentsNeedAPerson(Event):
    """All that is left to do waits for these, and they for a person; they are asked again and again."""

    agents: Mapping[str, str]

    @property
    def line(self) -> str:
        why = "; ".join(f"{agent}: {reason}" for agent, reason in self.agents.items())
        return f"waits for a person, as nobody else can work: {why}"


@frozen
class WaitingForPeople(Event):
    """Nothing is left that the run could do by itself; `left` says what would move each work package."""

    left: tuple[str, ...]

    @property
    def line(self) -> str:
        return f"waits for people to move something: {' | '.join(map(str.strip, self.left))}"
