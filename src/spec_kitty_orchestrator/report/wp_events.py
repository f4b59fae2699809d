"""How a work package comes to its place, name and turn, and what an attempt was worth. See `events.py`."""

from __future__ import annotations

from attrs import frozen

from .events import WpEvent


@frozen
class WpTakenUp(WpEvent):
    """A work package has a place among those at work, or waits for another one of its lane no longer."""

    @property
    def line(self) -> str:
        return f"{self.wp_id} is taken up"


@frozen
class WpNamed(WpEvent):
    """What a work package is called, and on which branch its work is done."""

    title: str
    branch: str

    @property
    def line(self) -> str:
        return f"{self.wp_id} is called `{self.title}`, on {self.branch}"


@frozen
class WaitingForLane(WpEvent):
    """Another work package is at work in the same lane, and goes first."""

    reason: str

    @property
    def line(self) -> str:
        return f"{self.wp_id} {self.reason}"


@frozen
class WaitingForPlace(WpEvent):
    """An attempt that is to run elsewhere has not begun there; `launcher` is slurm or command."""

    role: str
    agent: str
    number: int
    launcher: str
    job: str

    @property
    def line(self) -> str:
        what = f"{self.wp_id} {self.role} {self.number}: {self.agent}"
        return f"{what} waits for a place ({self.launcher}, {self.job})"


@frozen
class PlaceFound(WpEvent):
    """An attempt has begun elsewhere; `seconds` is how long that took, and counts for no limit."""

    role: str
    agent: str
    number: int
    where: str
    seconds: float

    @property
    def line(self) -> str:
        what = f"{self.wp_id} {self.role} {self.number}: {self.agent}"
        return f"{what} runs on {self.where}, after {self.seconds:.1f} s"


@frozen
class AttemptInVain(WpEvent):
    """An attempt that ended well did not reach what it was made for; `outcome` is the failure kind."""

    role: str
    agent: str
    number: int
    outcome: str
    message: str

    @property
    def line(self) -> str:
        what = f"{self.wp_id} {self.role} {self.number}: {self.agent}"
        return f"{what} ended well, but in vain: {self.outcome}"
