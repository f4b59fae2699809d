"""What is remembered of a work package between runs: its attempts, and what they left to be heeded.

The other of the two places with mutable state (see `agent_pool.py`): the task of a work package changes that
work package's record, and nobody else does.
"""

from __future__ import annotations

from attrs import define, field

from ..agents.spec import Role
from ..agents.transcript import Usage
from ..processes.identity import ProcessIdentity
from .rules import LIES_IN_THE_AGENT, Tally

SUCCEEDED, INTERRUPTED = "succeeded", "interrupted"


@define
class AttemptRecord:
    """One attempt of one agent. `outcome` is None while it runs; paths are relative to the repository.

    `swept` is what the agent left behind and was ended, `left` what could not be; each as "pid name".
    """

    role: Role
    agent: str
    number: int
    log: str
    started_at: str
    keeper: ProcessIdentity | None = None
    outcome: str | None = None
    message: str = ""
    seconds: float | None = None
    swept: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    usage: Usage = field(factory=Usage)

    @property
    def failed(self) -> bool:
        """It ended, and what it was made for was not reached."""
        return self.outcome not in (None, SUCCEEDED, INTERRUPTED)


@define
class WpRecord:
    """What is remembered of one work package.

    Attributes:
        holds_claim: the host has given the work to us, or was asked to.
        holds_review: the host has given the review to us, or was asked to.
        implementer: the agent that handed the work over last.
        rejections: how often a reviewer asked for changes.
        feedback: what the last reviewer asked to change, until that is handed over.
        refusal: why the host would not take the work for review, until it does.
        tallies: failures by role and agent since that role was last brought to an end.
    """

    holds_claim: bool = False
    holds_review: bool = False
    implementer: str | None = None
    rejections: int = 0
    feedback: str | None = None
    refusal: str | None = None
    last_error: str | None = None
    tallies: dict[Role, dict[str, Tally]] = field(factory=dict)
    attempts: list[AttemptRecord] = field(factory=list)

    def tally(self, role: Role, agent: str) -> Tally:
        """This agent's failures in this role."""
        return self.tallies.get(role, {}).get(agent, Tally())

    def set_tally(self, role: Role, agent: str, tally: Tally) -> None:
        """Records this agent's failures in this role."""
        self.tallies.setdefault(role, {})[agent] = tally

    def forgive(self) -> None:
        """A run that goes on asks those again who were given up for reasons of their own."""
        for tallies in self.tallies.values():
            for agent in [agent for agent, tally in tallies.items() if tally.given_up in LIES_IN_THE_AGENT]:
                del tallies[agent]

    def for_a_new_run(self) -> WpRecord:
        """What a new run of the same mission keeps: whose it is and what the implementer must still heed."""
        return WpRecord(
            self.holds_claim,
            self.holds_review,
            self.implementer,
            feedback=self.feedback,
            refusal=self.refusal,
        )

    def next_number(self, role: Role) -> int:
        """The number of the next attempt in a role, from 1, never used twice."""
        return 1 + max((attempt.number for attempt in self.attempts if attempt.role is role), default=0)
