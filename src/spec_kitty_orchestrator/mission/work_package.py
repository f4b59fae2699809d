"""The life of one work package: claim, implement, prove, hand over, review, rework or approve."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from ..agents.failure import Failure
from ..agents.spec import FailureKind, Role
from ..errors import WorkspaceError
from ..host.contract.lanes import Lane
from ..host.contract.payloads import Proof, TransitionRequest
from ..host.errors import TransitionRejected
from ..report.events import Escalated, HandoverRefused
from . import prompts
from .attempt import run_attempt
from .budget import BudgetSpent
from .context import RunContext
from .entrance import Entrance
from .next_agent import AgentPicker, NobodyCanWork
from .outcome import Ended, Outcome, Through
from .pause import Paused
from .proof import branch_objection
from .records import WpRecord
from .reviewing import Reviewing
from .rules import is_rework_allowed
from .slots import Slot
from .standing import Standing, shortened
from .verdict import Reviewed
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
        except BudgetSpent as spent:
            return Outcome(Ended.BUDGET, self.standing.lane, str(spent))
        except Paused:
            return Outcome(Ended.PAUSED, self.standing.lane)
        except NobodyCanWork as nobody:
            if nobody.left.in_the_work:
                return await self._block(f"no agent is left: {nobody}")
            return Outcome(Ended.NO_AGENT, self.standing.lane, str(nobody))

    async def _work(self, bench: Workbench) -> Outcome:
        await bench.introduce()
        await bench.prepare()
        if self.standing.lane is not Lane.IN_PROGRESS and self.record.finished_by is not None:
            self._handed_over(self.record.finished_by)  # that the host had heard of it was not known
        reviewing = Reviewing(self.run, self.wp_id, self.standing, self.picker, bench)
        while True:
            if self.standing.lane is Lane.IN_PROGRESS:
                await self._implement(bench)
            review = await reviewing.review()
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
            self._tell_escalation(rejections)

    def _tell_escalation(self, rejections: int) -> None:
        escalation = self.run.settings.agents.escalate_after_rejections
        if escalation is not None and escalation.after == rejections:
            self.run.events.emit(Escalated(self.wp_id, rejections, escalation.to))

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
            assignment = await bench.assignment()
            session = bench.session(role, agent, assignment.text)
            prompt = prompts.work_prompt(assignment, *to_heed, gone_on=bench.gone_on(role, session))
            result = await run_attempt(self.run, bench.attempt(role, agent, prompt, session))
            failure = result.failure or await self._hand_over(bench, agent, result.transcript.final_text)
            if failure is None:
                return
            await self.picker.cope_with(role, agent, failure)

    async def _hand_over(self, bench: Workbench, agent: str, final_text: str) -> Failure | None:
        self.record.finished_by = agent
        self.run.save(self.wp_id)
        _, refused = await bench.objection(judged_anew=self.standing.lane is Lane.IN_REVIEW)
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

    async def _approve(self, bench: Workbench, review: Reviewed) -> Outcome:
        passed = bench.green(review.commit)
        proof = Proof(self.run.repo_root.name, bench.workspace.branch, review.commit, passed)
        others = [each.agent for each in self.record.approvals if each.agent != review.agent]
        lane = self.run.settings.approval_lane
        await self.standing.conclude(lane, review, proof=proof, also_by=others)
        return Outcome(Ended.ACCEPTED, self.standing.lane)

    async def _block(self, reason: str, review: Reviewed | None = None) -> Outcome:
        """Blocks the work package; what counts against it is forgotten, so that a person can unblock it."""
        await self.standing.block(reason, review)
        self.record.rejections = 0
        self.record.tallies.clear()
        self.run.save(self.wp_id)
        return Outcome(Ended.BLOCKED, self.standing.lane, reason)
