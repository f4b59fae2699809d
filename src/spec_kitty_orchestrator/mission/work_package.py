"""The life of one work package: claim, implement, hand over, review, rework or approve."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field, frozen

from ..agents.failure import Failure
from ..agents.spec import FailureKind, Role
from ..errors import WorkspaceError
from ..host.contract.lanes import Lane
from ..host.contract.payloads import ReviewResult, TransitionRequest
from ..host.errors import DependenciesNotSatisfied, HostRefused, TransitionRejected, WpAlreadyClaimed
from ..host.workspace import Workspace, check_workspace, read_prompt
from ..report.events import HandoverRefused, LaneChanged, VerdictGiven
from . import prompts
from .attempt import Attempt, AttemptResult, run_attempt
from .context import RunContext
from .next_agent import AgentPicker, NobodyCanWork
from .outcome import Ended, Outcome
from .prompts import Assignment
from .records import WpRecord
from .rules import is_rework_allowed
from .slots import Slot
from .verdict import Verdict, read_verdict, review_reference

ENDED_BY_REFUSAL = {DependenciesNotSatisfied: Ended.NOT_READY, WpAlreadyClaimed: Ended.TAKEN}
NOTE_LIMIT = 2000  # characters of an agent's words that go into a note at the host


@frozen
class Reviewed:
    """A verdict, and which agent gave it."""

    agent: str
    said: Verdict


class Through(Exception):
    """Ends the life of a work package; never leaves this module."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


@define
class WorkPackage:
    """One work package in a run.

    Attributes:
        lane: the host's last word on where it stands.
        asked_for: where the host was asked last to move it; until the reply it may stand there already.
        taken_into_review: this life has taken it into review; asking another time needs no new call.
    """

    run: RunContext
    wp_id: str
    lane: Lane
    asked_for: Lane | None = None
    taken_into_review: bool = False
    record: WpRecord = field(init=False)
    slot: Slot = field(init=False)
    picker: AgentPicker = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.record = self.run.record(self.wp_id)
        self.slot = Slot(self.run.slots)
        self.picker = AgentPicker(self.run, self.wp_id, self.slot)

    async def live(self) -> Outcome:
        """Takes the work package from where it stands to where this run can do no more for it.

        It holds its slot already, and has given it back afterwards.

        Raises:
            HostError: the host broke; what was done until then is recorded.
            trio.Cancelled: the run or this work package is being stopped.
        """
        try:
            return await self._live()
        except Through as end:
            return end.outcome
        finally:
            self.slot.give_back()

    async def _live(self) -> Outcome:
        try:
            workspace = await self._enter()
            async with self._alone_in(workspace):
                return await self._work(workspace, read_prompt(workspace))
        except WorkspaceError as problem:
            return Outcome(Ended.REFUSED_FOR_NOW, self.lane, str(problem))
        except NobodyCanWork as nobody:
            if nobody.left.in_the_work:
                return await self._block(f"no agent is left: {nobody}")
            return Outcome(Ended.NO_AGENT, self.lane, str(nobody))

    @asynccontextmanager
    async def _alone_in(self, workspace: Workspace) -> AsyncIterator[None]:
        """Waits for the workspace without holding a slot: its holder may be waiting for one."""
        lock = self.run.workspace_lock(workspace.path)
        if lock.locked():
            self.slot.give_back()
        async with lock:
            if not self.slot.held:
                await self.slot.take()
            yield

    async def _work(self, workspace: Workspace, text: str) -> Outcome:
        while True:
            if self.lane is Lane.IN_PROGRESS:
                await self._implement(workspace, text)
            review = await self._review(workspace, text)
            if review.said.approved:
                await self._conclude(self.run.settings.approval_lane, review)
                return Outcome(Ended.ACCEPTED, self.lane)
            rejections = self.record.rejections + 1
            if not is_rework_allowed(rejections, self.run.settings.agents.max_retries):
                reason = f"rejected {rejections} times, most lately: {review.said.feedback}"
                return await self._block(reason, review)
            await self._conclude(Lane.IN_PROGRESS, review)
            self.record.rejections = rejections  # counted once the host has it: a killed run reviews again
            self.run.save(self.wp_id)

    # Entering, from whatever lane it is found in.

    async def _enter(self) -> Workspace:
        if self.lane is Lane.IN_REVIEW and not self.record.holds_review:
            raise Through(Outcome(Ended.TAKEN, self.lane, "somebody else reviews it"))
        in_review = self.lane in (Lane.FOR_REVIEW, Lane.IN_REVIEW)
        if in_review or (self.lane is Lane.IN_PROGRESS and self.record.holds_claim):
            return check_workspace(await self.run.host.resolve_workspace(self.wp_id), self.run.repo_root)
        return await self._claim()

    async def _claim(self) -> Workspace:
        agent = await self.picker.next_agent(Role.IMPLEMENTATION)
        policy = self.run.policy(agent, Role.IMPLEMENTATION)
        try:
            async with self.run.first_claim.alone():
                reply = await self.run.host.start_implementation(self.wp_id, policy)
        except HostRefused as refusal:
            raise self._refused(refusal) from refusal
        self.record.holds_claim = True
        self._moved(reply.to_lane, "taken up again" if reply.no_op else "")
        return check_workspace(reply, self.run.repo_root)

    # Implementing, until the host's guards let it pass into review.

    async def _implement(self, workspace: Workspace, text: str) -> None:
        role = Role.IMPLEMENTATION
        while True:
            agent = await self.picker.next_agent(role)
            to_heed = (self.record.feedback, self.record.refusal)
            prompt = prompts.work_prompt(self._assignment(workspace, text), *to_heed)
            attempt = Attempt(self.wp_id, role, self.run.agents.known[agent], workspace, prompt)
            result = await run_attempt(self.run, attempt)
            failure = result.failure or await self._hand_over(agent, result)
            if failure is None:
                return
            await self.picker.cope_with(role, agent, failure)

    async def _hand_over(self, agent: str, result: AttemptResult) -> Failure | None:
        self.run.pool.worked(agent)
        request = TransitionRequest(
            self.wp_id,
            Lane.FOR_REVIEW,
            note=_note(f"implemented by {agent}", result.transcript.final_text),
            policy=self.run.policy(agent, Role.IMPLEMENTATION),
        )
        try:
            reply = await self.run.host.transition(request)
        except TransitionRejected as refusal:
            words = refusal.host_message
            self.record.refusal = f"It could not be handed over for review. The host said: {words}"
            self.run.events.emit(HandoverRefused(self.wp_id, words))
            return Failure(FailureKind.HANDOVER_REFUSED, words)
        self.record.implementer = agent
        self.record.feedback = self.record.refusal = None
        self.record.tallies.pop(Role.IMPLEMENTATION, None)
        self._moved(reply.to_lane)
        return None

    # Reviewing, until there is an explicit verdict for the reference of one attempt.

    async def _review(self, workspace: Workspace, text: str) -> Reviewed:
        role = Role.REVIEW
        while True:
            agent = await self.picker.next_agent(role)
            ref = review_reference(self.wp_id, self.record.next_number(role), self.run.nonce())
            await self._take_into_review(agent, ref)
            prompt = prompts.review_prompt(self._assignment(workspace, text), ref)
            attempt = Attempt(self.wp_id, role, self.run.agents.known[agent], workspace, prompt)
            result = await run_attempt(self.run, attempt)
            failure = result.failure
            if failure is None:
                said = read_verdict(result.transcript.final_text, ref)
                if said is not None:
                    return self._heed(Reviewed(agent, said))
                failure = Failure(FailureKind.NO_VERDICT, f"its last message holds no verdict for {ref}")
            await self.picker.cope_with(role, agent, failure)

    async def _take_into_review(self, agent: str, ref: str) -> None:
        if self.taken_into_review:
            return
        policy = self.run.policy(agent, Role.REVIEW)
        async with self._recorded_before("holds_review"):
            reply = await self.run.host.start_review(self.wp_id, policy, ref)
        self.taken_into_review = True
        self._moved(reply.to_lane)

    def _heed(self, review: Reviewed) -> Reviewed:
        """Keeps a verdict before the host is told: its feedback must reach the implementer in any case."""
        agent, said = review.agent, review.said
        self.run.pool.worked(agent)
        self.record.tallies.pop(Role.REVIEW, None)
        if not said.approved:
            self.record.feedback = said.feedback
        self.run.save(self.wp_id)
        self.run.events.emit(VerdictGiven(self.wp_id, agent, said.review_ref, said.word, said.feedback))
        return review

    # Telling the host.

    async def _conclude(self, lane: Lane, review: Reviewed, note: str = "") -> None:
        """Moves the work package out of review, on the evidence of an explicit verdict."""
        said = review.said
        request = TransitionRequest(
            self.wp_id,
            lane,
            note=note or _note(f"{said.word} by {review.agent}", said.feedback),
            policy=self.run.policy(review.agent, Role.REVIEW),
            review=ReviewResult(review.agent, said.word, said.review_ref),
        )
        await self._move(request)

    async def _block(self, reason: str, review: Reviewed | None = None) -> Outcome:
        """Blocks the work package; what counts against it is forgotten, so that a person can unblock it.

        The host lets nothing out of review without a review result. When no reviewer gave a verdict, it is
        we who ask for changes: the result carries our own name and the note says why.
        """
        if review is not None:
            await self._conclude(Lane.BLOCKED, review, _note("blocked", reason))
        else:
            own = ReviewResult(self.run.host.actor, "changes_requested", f"review/{self.wp_id}/no-verdict")
            result = own if self.lane is Lane.IN_REVIEW else None
            note = _note("blocked", reason)
            await self._move(TransitionRequest(self.wp_id, Lane.BLOCKED, note=note, review=result))
        self.record.rejections = 0
        self.record.tallies.clear()
        self.run.save(self.wp_id)
        return Outcome(Ended.BLOCKED, self.lane, reason)

    async def _move(self, request: TransitionRequest) -> None:
        self.asked_for = request.to
        # Sent back, or blocked and unblocked, it is ours to work on; once it is accepted it is nobody's.
        async with self._recorded_before("holds_review" if request.to.is_accepted else "holds_claim"):
            reply = await self.run.host.transition(request)
        self.taken_into_review = self.record.holds_review = False
        self._moved(reply.to_lane, request.note if request.to is Lane.BLOCKED else "")

    @asynccontextmanager
    async def _recorded_before(self, hold: str) -> AsyncIterator[None]:
        """A later run takes up only what is recorded as held: that comes first. A refusal takes it back."""
        held, is_asked = getattr(self.record, hold), False
        try:
            setattr(self.record, hold, True)
            self.run.save(self.wp_id)
            await self.run.saved()
            is_asked = True
            yield
        except HostRefused as refusal:
            is_asked = False
            raise self._refused(refusal) from refusal
        finally:
            if not is_asked:  # or refused
                setattr(self.record, hold, held)
                self.run.save(self.wp_id)

    def _moved(self, lane: Lane, detail: str = "") -> None:
        self.lane = lane
        self.run.save(self.wp_id)
        self.run.events.emit(LaneChanged(self.wp_id, lane.value, by_us=True, detail=detail))

    def _refused(self, refusal: HostRefused) -> Through:
        ended = ENDED_BY_REFUSAL.get(type(refusal), Ended.REFUSED_FOR_NOW)
        return Through(Outcome(ended, self.lane, refusal.message))

    def _assignment(self, workspace: Workspace, text: str) -> Assignment:
        host = self.run.host
        return Assignment(host.mission, self.wp_id, text, workspace, host.endpoint.binary)


def _note(what: str, words: str) -> str:
    """A note for the host, with the agent's own words cut to a bearable length."""
    words = " ".join(words.split())
    return f"{what}: {words[:NOTE_LIMIT]}" if words else what
