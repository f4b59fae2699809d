"""The review of one work package: until there is an explicit verdict on one commit, for one reference."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from ..agents.failure import Failure
from ..agents.spec import FailureKind, Role
from ..host.contract.lanes import Lane
from ..report.events import SentBack, VerdictGiven
from . import prompts
from .attempt import Attempt, run_attempt
from .context import RunContext
from .evidence import Evidence
from .next_agent import AgentPicker
from .proof import change_by_reviewer, moved_objection
from .records import WpRecord
from .standing import Standing
from .verdict import Reviewed, Verdict, read_verdict, review_reference
from .workbench import Workbench


@frozen
class Reviewing:
    """The reviews of one work package in a run, one after the other."""

    run: RunContext
    wp_id: str
    standing: Standing
    picker: AgentPicker
    bench: Workbench

    @property
    def record(self) -> WpRecord:
        """What is remembered of the work package."""
        return self.run.record(self.wp_id)

    async def review(self) -> Reviewed:
        """A verdict on what is committed now: a reviewer's, or ours on what cannot be judged.

        It is an approval once as many reviewers as the settings ask for have approved the same commit; then
        the last one's is told to the host. One rejection is enough.

        Raises:
            Through: the host does not give it to us for review.
            NobodyCanWork: there is no reviewer, and none will come back.
            WorkspaceError: the workspace is not what the host made any more.
        """
        role = Role.REVIEW
        if (given := await self._given_verdict()) is not None:
            return given
        while True:
            await self._void_what_is_old()
            agent = await self.picker.next_agent(role)
            before, objection = await self._objection_to_review()
            ref = review_reference(self.wp_id, self.record.next_number(role), self.run.nonce())
            self.record.judged_commit = before.commit
            await self.standing.take_into_review(self.run.policy(agent, role), ref)
            if objection is not None:
                return self._send_back(agent, before, ref, objection)
            result = await run_attempt(self.run, await self._attempt(agent, ref, before.commit))
            after = await self.bench.look()
            if changed := change_by_reviewer(before, after):
                await self.picker.cope_with(role, agent, Failure(FailureKind.WORK_CHANGED, changed))
                return self._send_back(agent, after, ref, changed)
            await self.bench.clear_away(agent)
            failure = result.failure
            if failure is None:
                said = read_verdict(result.transcript.final_text, ref)
                if said is not None and self._heed(review := Reviewed(agent, after.commit, said)):
                    return review
                if said is not None:  # others must approve it, too
                    continue
                failure = Failure(FailureKind.NO_VERDICT, f"its last message holds no verdict for {ref}")
            await self.picker.cope_with(role, agent, failure)

    async def _attempt(self, agent: str, ref: str, commit: str) -> Attempt:
        """What a reviewer is asked: all of it, or to go on with what it has begun to judge."""
        role, reviews = Role.REVIEW, self.record.reviews
        read_only = self.run.policy(agent, role).sandbox_mode == "read_only"
        assignment = evolve(await self.bench.assignment(), read_only=read_only)
        session = self.bench.session(role, agent, "\n".join((assignment.text, *reviews)), commit)
        if (gone_on := self.bench.gone_on(role, session)) is not None:
            prompt = prompts.continued_review_prompt(assignment, ref, commit, gone_on)
        else:
            checks = "; ".join(f"`{line}` succeeded" for line in self.bench.green(commit))
            prompt = prompts.review_prompt(assignment, ref, commit, reviews, checks)
        return self.bench.attempt(role, agent, prompt, session)

    async def _given_verdict(self) -> Reviewed | None:
        """A verdict that the host has not heard of yet; an approval only while its commit is still there.

        Approvals that were too few may be enough by the settings of today.
        """
        record = self.record
        said = [*record.approvals, *([record.verdict] if record.verdict is not None else [])]
        record.verdict = None
        known = [each for each in said if each.agent in self.run.agents.known]
        if not known or self.standing.lane is not Lane.IN_REVIEW:
            return None
        if (given := known[-1]).said.approved:
            await self._void_what_is_old()
            if given not in record.approvals or not self._are_enough(record.approvals):
                return None
            record.approved_commit, record.approved_by = given.commit, given.agent
        record.verdict = given
        return given

    async def _void_what_is_old(self) -> None:
        """An approval counts only while its commit is what is there, and nothing else is.

        What a later review left behind when it was cut off is no reason to have it given again.
        """
        if approvals := self.record.approvals:
            await self.bench.clear_away("an interrupted review")
            seen = await self.bench.look()
            branch = self.bench.workspace.branch
            if (seen.commit, seen.branch, seen.is_clean) != (approvals[-1].commit, branch, True):
                self.record.approvals = []

    def _are_enough(self, approvals: Sequence[Reviewed]) -> bool:
        return len(approvals) >= self.run.settings.agents.reviews_required

    async def _objection_to_review(self) -> tuple[Evidence, str | None]:
        """What is there to judge, or why it cannot be; an interrupted review may have left its own traces."""
        if self.standing.lane is Lane.IN_REVIEW:
            await self.bench.clear_away("an interrupted review")
            seen = await self.bench.look()
            if self.record.judged_commit and self.record.judged_commit != seen.commit:
                return seen, moved_objection(self.record.judged_commit, seen.commit)
        seen, objection = await self.bench.objection(judged_anew=self.standing.lane is Lane.IN_REVIEW)
        return seen, None if objection is None else objection.message

    def _send_back(self, agent: str, seen: Evidence, ref: str, words: str) -> Reviewed:
        """What we found ourselves goes to the implementer; the host is told that we ask for changes."""
        review = Reviewed(agent, seen.commit, Verdict(ref, approved=False, feedback=words), by_us=True)
        self.record.sent_back(seen.commit, words)
        self.record.verdict = review
        self.run.save(self.wp_id)
        self.run.events.emit(SentBack(self.wp_id, words))
        return review

    def _heed(self, review: Reviewed) -> bool:
        """Keeps a verdict before anybody else is asked or told, so that it need not be given twice.

        Returns:
            whether it is the last one that is needed.
        """
        said, record, is_last = review.said, self.record, True
        if said.approved:
            record.approvals = [*record.approvals, review]
            is_last = self._are_enough(record.approvals)
        else:
            record.sent_back(review.commit, said.feedback)
        if is_last:
            record.verdict = review
            record.tallies.pop(Role.REVIEW, None)
        if is_last and said.approved:
            record.approved_commit, record.approved_by = review.commit, review.agent
        self.run.save(self.wp_id)
        own_work = self.run.agents.are_same(review.agent, record.implementer)
        verdict = (review.agent, said.review_ref, said.word, said.feedback, review.commit, own_work)
        self.run.events.emit(VerdictGiven(self.wp_id, *verdict))
        return is_last
