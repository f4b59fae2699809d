"""The life of one work package: claim, implement, prove, hand over, review, rework or approve."""

from __future__ import annotations

from collections.abc import Callable

import trio
from attrs import define, field

from ..agents.failure import Failure
from ..agents.spec import FailureKind, Role
from ..errors import WorkspaceError
from ..host.contract.lanes import Lane
from ..host.contract.payloads import Proof, TransitionRequest
from ..host.errors import TransitionRejected
from ..host.workspace import read_prompt
from ..report.events import HandoverRefused, SentBack, VerdictGiven
from . import prompts
from .attempt import Attempt, AttemptResult, run_attempt
from .context import RunContext
from .entrance import Entrance
from .evidence import Evidence
from .next_agent import AgentPicker, NobodyCanWork
from .outcome import Ended, Outcome, Through
from .prompts import Assignment
from .proof import branch_objection, change_by_reviewer, moved_objection, work_objection
from .records import WpRecord
from .rules import is_rework_allowed
from .slots import Slot
from .standing import Standing, shortened
from .verdict import Reviewed, Verdict, read_verdict, review_reference
from .workbench import Workbench


@define
class WorkPackage:
    """One work package in a run.

    Attributes:
        standing: where it stands at the host.
        asks_for_lane: whether somebody at work may be in its lane, which is not known then.
    """

    run: RunContext
    wp_id: str
    standing: Standing
    asks_for_lane: Callable[[], bool] = lambda: False
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
            entrance = Entrance(self.run, self.wp_id, self.standing, self.picker, self.asks_for_lane)
            return await self._work(await entrance.enter())
        except WorkspaceError as problem:
            return Outcome(Ended.REFUSED_FOR_NOW, self.standing.lane, str(problem))
        except NobodyCanWork as nobody:
            if nobody.left.in_the_work:
                return await self._block(f"no agent is left: {nobody}")
            return Outcome(Ended.NO_AGENT, self.standing.lane, str(nobody))

    async def _work(self, bench: Workbench) -> Outcome:
        await bench.prepare()
        if self.standing.lane is not Lane.IN_PROGRESS and self.record.finished_by is not None:
            self._handed_over(self.record.finished_by)  # that the host had heard of it was not known
        while True:
            if self.standing.lane is Lane.IN_PROGRESS:
                await self._implement(bench)
            review = await self._review(bench)
            if review.said.approved:
                return await self._approve(bench, review)
            rejections = self.record.rejections + 1
            if not is_rework_allowed(rejections, self.run.settings.agents.max_retries):
                return await self._block(
                    f"sent back {rejections} times, most lately: {review.said.feedback}", review
                )
            await self.standing.conclude(Lane.IN_PROGRESS, review)
            self.record.rejections = rejections  # counted once the host has it: a killed run reviews again
            self.run.save(self.wp_id)

    # Implementing, until evidence, checks and the host's guards let it pass into review.

    async def _implement(self, bench: Workbench) -> None:
        role = Role.IMPLEMENTATION
        if (agent := self.record.finished_by) in self.run.agents.known and agent is not None:
            failure = await self._hand_over(bench, agent, "")  # what was done before a breakdown is done
            if failure is None:
                return
            await self.picker.cope_with(role, agent, failure)
        while True:
            agent = await self.picker.next_agent(role)
            seen = await bench.look()
            to_heed = (
                self.record.feedback,
                self.record.asked,
                self.record.refusal,
                branch_objection(seen, bench.workspace.branch),
            )
            prompt = prompts.work_prompt(await self._assignment(bench), *to_heed)
            result = await self._attempt(bench, role, agent, prompt)
            failure = result.failure or await self._hand_over(bench, agent, result.transcript.final_text)
            if failure is None:
                return
            await self.picker.cope_with(role, agent, failure)

    async def _attempt(self, bench: Workbench, role: Role, agent: str, prompt: str) -> AttemptResult:
        attempt = Attempt(self.wp_id, role, self.run.agents.known[agent], bench.workspace, prompt)
        return await run_attempt(self.run, attempt)

    async def _hand_over(self, bench: Workbench, agent: str, final_text: str) -> Failure | None:
        self.record.finished_by = agent
        self.run.save(self.wp_id)
        _, refused = await self._objection(bench)
        if refused is None:
            request = TransitionRequest(
                self.wp_id,
                Lane.FOR_REVIEW,
                note=shortened(f"implemented by {agent}", final_text),
                policy=self.run.policy(agent, Role.IMPLEMENTATION),
            )
            try:
                await self.standing.hand_over(request)
            except TransitionRejected as refusal:
                words = f"It could not be handed over for review. The host said: {refusal.host_message}"
                refused = Failure(FailureKind.HANDOVER_REFUSED, words)
        if refused is not None:
            self.record.refusal, self.record.finished_by = refused.message, None
            self.run.events.emit(HandoverRefused(self.wp_id, refused.message))
            return refused
        self._handed_over(agent)
        return None

    def _handed_over(self, agent: str) -> None:
        record = self.record
        record.implementer, record.finished_by = agent, None
        record.blocked = record.held_when_blocked = False
        record.feedback = record.refusal = record.asked = record.asked_agent = None
        record.tallies.pop(Role.IMPLEMENTATION, None)
        self.run.save(self.wp_id)

    async def _objection(self, bench: Workbench) -> tuple[Evidence, Failure | None]:
        """What is there, and why it cannot be judged: not committed, on another branch, red by the checks."""
        since = await bench.since(judged_anew=self.standing.lane is Lane.IN_REVIEW)
        seen = await bench.look(since)
        if words := work_objection(seen, bench.workspace.branch, since):
            return seen, Failure(FailureKind.HANDOVER_REFUSED, words)
        if words := await bench.check(seen):
            return seen, Failure(FailureKind.CHECKS_FAILED, words)
        return seen, None

    # Reviewing, until there is an explicit verdict on one commit for the reference of one attempt.

    async def _review(self, bench: Workbench) -> Reviewed:
        role = Role.REVIEW
        if (given := await self._given_verdict(bench)) is not None:
            return given
        while True:
            agent = await self.picker.next_agent(role)
            before, objection = await self._objection_to_review(bench)
            ref = review_reference(self.wp_id, self.record.next_number(role), self.run.nonce())
            self.record.judged_commit = before.commit
            await self.standing.take_into_review(self.run.policy(agent, role), ref)
            if objection is not None:
                return self._send_back(agent, before, ref, objection)
            checks = "; ".join(f"`{line}` succeeded" for line in bench.green(before.commit))
            told = (before.commit, self.record.reviews, checks)
            prompt = prompts.review_prompt(await self._assignment(bench), ref, *told)
            result = await self._attempt(bench, role, agent, prompt)
            after = await bench.look()
            if changed := change_by_reviewer(before, after):
                await self.picker.cope_with(role, agent, Failure(FailureKind.WORK_CHANGED, changed))
                return self._send_back(agent, after, ref, changed)
            await bench.clear_away(agent)
            failure = result.failure
            if failure is None:
                said = read_verdict(result.transcript.final_text, ref)
                if said is not None:
                    return self._heed(Reviewed(agent, after.commit, said))
                failure = Failure(FailureKind.NO_VERDICT, f"its last message holds no verdict for {ref}")
            await self.picker.cope_with(role, agent, failure)

    async def _given_verdict(self, bench: Workbench) -> Reviewed | None:
        """A verdict that the host has not heard of yet; an approval only while its commit is still there."""
        given, self.record.verdict = self.record.verdict, None
        if (
            given is None
            or self.standing.lane is not Lane.IN_REVIEW
            or given.agent not in self.run.agents.known
        ):
            return None
        if given.said.approved:
            seen = await bench.look()
            if (seen.commit, seen.branch, seen.is_clean) != (given.commit, bench.workspace.branch, True):
                return None
        self.record.verdict = given
        return given

    async def _objection_to_review(self, bench: Workbench) -> tuple[Evidence, str | None]:
        """What is there to judge, or why it cannot be; an interrupted review may have left its own traces."""
        if self.standing.lane is Lane.IN_REVIEW:
            await bench.clear_away("an interrupted review")
            seen = await bench.look()
            if self.record.judged_commit and self.record.judged_commit != seen.commit:
                return seen, moved_objection(self.record.judged_commit, seen.commit)
        seen, objection = await self._objection(bench)
        return seen, None if objection is None else objection.message

    def _send_back(self, agent: str, seen: Evidence, ref: str, words: str) -> Reviewed:
        """What we found ourselves goes to the implementer; the host is told that we ask for changes."""
        review = Reviewed(agent, seen.commit, Verdict(ref, approved=False, feedback=words), by_us=True)
        self.record.sent_back(seen.commit, words)
        self.record.verdict = review
        self.run.save(self.wp_id)
        self.run.events.emit(SentBack(self.wp_id, words))
        return review

    def _heed(self, review: Reviewed) -> Reviewed:
        """Keeps a verdict before the host is told: its feedback must reach the implementer in any case."""
        said, record = review.said, self.record
        record.verdict = review
        record.tallies.pop(Role.REVIEW, None)
        if said.approved:
            record.approved_commit, record.approved_by = review.commit, review.agent
        else:
            record.sent_back(review.commit, said.feedback)
        self.run.save(self.wp_id)
        own_work = review.agent == record.implementer
        verdict = (review.agent, said.review_ref, said.word, said.feedback, review.commit, own_work)
        self.run.events.emit(VerdictGiven(self.wp_id, *verdict))
        return review

    async def _approve(self, bench: Workbench, review: Reviewed) -> Outcome:
        passed = bench.green(review.commit)
        proof = Proof(self.run.repo_root.name, bench.workspace.branch, review.commit, passed)
        await self.standing.conclude(self.run.settings.approval_lane, review, proof=proof)
        return Outcome(Ended.ACCEPTED, self.standing.lane)

    async def _block(self, reason: str, review: Reviewed | None = None) -> Outcome:
        """Blocks the work package; what counts against it is forgotten, so that a person can unblock it."""
        await self.standing.block(reason, review)
        self.record.rejections = 0
        self.record.tallies.clear()
        self.run.save(self.wp_id)
        return Outcome(Ended.BLOCKED, self.standing.lane, reason)

    async def _assignment(self, bench: Workbench) -> Assignment:
        """Read anew for each attempt: people edit the prompt file while agents are at work."""
        host, workspace = self.run.host, bench.workspace
        text = await trio.to_thread.run_sync(read_prompt, workspace)
        since = self.record.claimed_commit or ""
        return Assignment(host.mission, self.wp_id, text, workspace, host.endpoint.binary, since)
