"""What is remembered of a work package between runs: its attempts, and what they left to be heeded.

The other of the two places with mutable state (see `agent_pool.py`): the task of a work package changes that
work package's record, and nobody else does.
"""

from __future__ import annotations

from attrs import define, evolve, field, frozen

from ..agents.spec import Role
from ..agents.transcript import Usage
from ..host.contract.lanes import Lane
from ..processes.identity import ProcessIdentity
from ..processes.launcher import FarJob
from .rules import LIES_IN_THE_AGENT, Tally
from .sessions import KeptSession
from .verdict import Reviewed

SUCCEEDED, INTERRUPTED = "succeeded", "interrupted"
REVIEWS_KEPT = 10


@define
class AttemptRecord:
    """One attempt of one agent. `outcome` is None while it runs; paths are relative to the repository.

    `job` is what it is elsewhere, until somebody has made sure that it has ended there; `elsewhere` says what
    may be left of it, in words. `swept` is what the agent left behind and was ended, `left` what could not
    be; each as "pid name".
    `usage` is this attempt's own; `continued`: it went on with the agent's session of an earlier one.
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
    job: FarJob | None = None
    elsewhere: str = ""
    usage: Usage = field(factory=Usage)
    session_id: str | None = None
    continued: bool = False

    @property
    def failed(self) -> bool:
        """It ended, and what it was made for was not reached."""
        return self.outcome not in (None, SUCCEEDED, INTERRUPTED)


@frozen
class MergeRecord:
    """A merge of the mission: noted before the host is asked, since what it does may be known by nobody.

    Attributes:
        target: the branch; `before`: its tip until then.
        commits: those that were approved, which it holds once it `is_done`, itself or what was made of them.
    """

    target: str
    before: str
    commits: tuple[str, ...]
    is_done: bool = False


@define
class WpRecord:
    """What is remembered of one work package.

    Attributes:
        holds_claim: the host has given the work to us, or was asked to.
        holds_review: the host has given the review to us, or was asked to.
        claiming: the host was asked for a claim, and where its work begins is not noted yet.
        cut_off: the run before this one was cut off with an agent at work on it.
        blocked: it is we who blocked it; whoever unblocks it becomes its holder at the host (3.2.7), and
            wants it gone on with all the same. `held_when_blocked`: others blocked it while it was ours.
        finished_by: the agent that ended its work well, until that is handed over, refused or taken from it.
        implementer: the agent that handed the work over last.
        branch: the lane's branch; the commits below are on it.
        claimed_commit: HEAD when the work was claimed; what the work package changed begins after it.
        returned_commit: HEAD when it was last sent back; the next handover needs a commit beyond it.
        checked_commit: the last one on which all the project's own checks were green; `checked_by`: those.
        judged_commit: the one that is under review.
        verdict: what came of a review, until the host has heard of it.
        approvals: those of reviewers, all of one commit; they are void once that is not HEAD any more.
        approved_commit: the one that a reviewer approved; `approved_by`: that one.
        rejections: how often it was sent back from review.
        reviews: what earlier reviews asked for, the newest last.
        feedback: what the last reviewer asked to change, until that is handed over.
        refusal: why the work was not taken for review, until it is.
        asked: what a person asked of it when it was gone on with, until that is handed over.
        asked_agent: the agent that a person asked to implement it next, until it is handed over.
        last_reviewers: who takes the last place among the reviewers, having changed what it was to judge.
        tallies: failures by role and agent since that role was last brought to an end.
        sessions: the agents' own, by role, as far as they may be gone on with.
    """

    holds_claim: bool = False
    holds_review: bool = False
    claiming: bool = False
    cut_off: bool = False
    blocked: bool = False
    held_when_blocked: bool = False
    finished_by: str | None = None
    implementer: str | None = None
    branch: str | None = None
    claimed_commit: str | None = None
    returned_commit: str | None = None
    checked_commit: str | None = None
    checked_by: tuple[str, ...] = ()
    judged_commit: str | None = None
    verdict: Reviewed | None = None
    approvals: list[Reviewed] = field(factory=list)
    approved_commit: str | None = None
    approved_by: str | None = None
    rejections: int = 0
    reviews: list[str] = field(factory=list)
    feedback: str | None = None
    refusal: str | None = None
    asked: str | None = None
    asked_agent: str | None = None
    last_error: str | None = None
    last_reviewers: list[str] = field(factory=list)
    tallies: dict[Role, dict[str, Tally]] = field(factory=dict)
    sessions: dict[Role, KeptSession] = field(factory=dict)
    attempts: list[AttemptRecord] = field(factory=list)

    def tally(self, role: Role, agent: str) -> Tally:
        """This agent's failures in this role."""
        return self.tallies.get(role, {}).get(agent, Tally())

    def set_tally(self, role: Role, agent: str, tally: Tally) -> None:
        """Records this agent's failures in this role."""
        self.tallies.setdefault(role, {})[agent] = tally

    @property
    def attempts_made(self) -> int:
        """How many came to an end of their own."""
        return sum(each.outcome not in (None, INTERRUPTED) for each in self.attempts)

    @property
    def goes_on_unblocked(self) -> bool:
        """Unblocked by a person, it is gone on with, although the host calls them its holder then."""
        return self.blocked or self.held_when_blocked

    @property
    def was_at_work(self) -> bool:
        """Its last run was cut off with an agent at work, or before the host heard of its end."""
        if not (self.holds_claim or self.holds_review):
            return False
        if not self.attempts:
            return self.cut_off
        last = self.attempts[-1]
        ended = last.outcome or INTERRUPTED
        return ended == INTERRUPTED or (last.role, ended) == (Role.IMPLEMENTATION, SUCCEEDED)

    def found_in(self, lane: Lane) -> bool:
        """It stands there, and nobody of ours is at work on it; whether something is no longer true by that.

        What somebody has taken back is not ours, an approval that did not last is none, and what we blocked
        begins anew when it is unblocked.
        """
        before = evolve(self)
        if lane is Lane.PLANNED:
            self.holds_claim = self.blocked = self.held_when_blocked = False
            self.finished_by = None
            self.sessions = {}
        if lane is not Lane.IN_REVIEW and not lane.is_accepted:
            self.holds_review, self.verdict, self.approvals = False, None, []
        if not lane.is_accepted and self.verdict is None:
            self.approved_commit = self.approved_by = None
        if lane is Lane.BLOCKED and not self.blocked:
            self.held_when_blocked = self.holds_claim
        if lane is Lane.BLOCKED and self.blocked and (self.rejections or self.tallies):
            self.rejections, self.tallies = 0, {}
        return self != before

    def taken_over(self, lane: Lane, how: str) -> None:
        """Somebody else has moved it there: what we were about to do is no longer ours to do.

        Unless they only block it: it was ours to work on, and is so once it is unblocked.
        """
        self.held_when_blocked = self.holds_claim and lane is Lane.BLOCKED
        self.holds_claim = self.held_when_blocked
        self.holds_review = self.blocked = False
        self.finished_by = self.verdict = None
        self.approvals = []
        if lane is Lane.PLANNED:
            self.sessions = {}
        self.last_error = how

    def forgive(self) -> None:
        """A run that goes on asks those again who were given up for reasons of their own."""
        for tallies in self.tallies.values():
            for agent in [agent for agent, tally in tallies.items() if tally.given_up in LIES_IN_THE_AGENT]:
                del tallies[agent]

    def for_a_new_run(self) -> WpRecord:
        """What a new run of the same mission keeps: whose it is, its commits, what must still be heeded."""
        forgotten = evolve(self, rejections=0, last_error=None, last_reviewers=[], tallies={}, attempts=[])
        return evolve(forgotten, cut_off=self.was_at_work, asked_agent=None)

    def forget_failures(self) -> None:
        """A person wants it tried again: nothing counts against it, or against an agent's work on it."""
        self.rejections = 0
        self.tallies.clear()

    def sent_back(self, commit: str, words: str) -> None:
        """A review asks for changes to a commit."""
        self.returned_commit, self.feedback, self.approvals = commit, words, []
        self.reviews = [*self.reviews, words][-REVIEWS_KEPT:]

    def next_number(self, role: Role) -> int:
        """The number of the next attempt in a role, from 1, never used twice."""
        return 1 + max((attempt.number for attempt in self.attempts if attempt.role is role), default=0)
