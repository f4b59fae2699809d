"""What happened to a run as a whole: its agents, and what became of the mission. See `events.py`."""

from __future__ import annotations

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
