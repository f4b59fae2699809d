"""Where one work package stands at the host: every move of it is asked for here, and what a refusal means."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext

from attrs import define

from ..agents.spec import Role
from ..errors import HostError
from ..host.contract.lanes import Lane
from ..host.contract.payloads import Proof, ReviewResult, StartImplementation, TransitionRequest
from ..host.contract.policy import PolicyMetadata
from ..host.errors import HostRefused, TransitionRejected, WpAlreadyClaimed
from ..report.events import LaneChanged
from .context import RunContext
from .outcome import Ended, Outcome, Through
from .records import WpRecord
from .verdict import Reviewed

NOTE_LIMIT = 2000  # characters of an agent's words that go into a note at the host


@define
class Standing:
    """One work package's lane, by the host's last word, and the moves that we ask for.

    Attributes:
        lane: the host's last word on where it stands.
        asked_for: where the host was asked to move it; until the reply it may stand there already.
        taken_into_review: this life has taken it into review; asking another time needs no new call.
        lost: where it may have been moved by a call whose reply was lost.
        touched: told before and after each move: what was seen of the lane meanwhile is old.
    """

    run: RunContext
    wp_id: str
    lane: Lane
    touched: Callable[[], None] = lambda: None
    asked_for: Lane | None = None
    taken_into_review: bool = False
    lost: Lane | None = None

    @property
    def record(self) -> WpRecord:
        """What is remembered of the work package."""
        return self.run.record(self.wp_id)

    def expects(self, lane: Lane) -> bool:
        """Whether it may stand there by our own doing, or our agent's.

        Agents at work move it to for_review by themselves at times, as the host's own prompts tell them to:
        that is taken up when they have ended.
        """
        expected = {self.lane, self.asked_for}
        if self.asked_for is Lane.IN_PROGRESS:
            expected.add(Lane.CLAIMED)
        if self.lane is Lane.IN_PROGRESS:
            expected.add(Lane.FOR_REVIEW)
        return lane in expected

    async def claim(self, policy: PolicyMetadata) -> StartImplementation:
        """Claims it for implementation.

        Raises:
            Through: the host refused.
            BudgetSpent, Paused: nothing may begin any more, or now.
        """
        asked_before = self.record.claiming
        has_begun = self.lane is Lane.IN_PROGRESS and self.record.holds_claim and not asked_before
        async with self._asking_for(Lane.IN_PROGRESS), self.run.claims.alone():
            self.run.check_may_begin()  # it may have waited
            async with nullcontext() if has_begun else self._recorded_before("claiming"):
                reply = await self.run.host.start_implementation(self.wp_id, policy)
        self.record.holds_claim, self.record.blocked, self.record.held_when_blocked = True, False, False
        if has_begun:  # unless a person took it back just now: then it begins anew
            self.record.claiming = reply.from_lane is not Lane.IN_PROGRESS
        elif reply.no_op and not asked_before:  # by a run of which nothing is remembered
            self.record.claiming = False
        if self.record.claiming:
            self.record.finished_by = None
        self._moved(reply.to_lane, "taken up again" if reply.no_op else "")
        return reply

    async def hand_over(self, request: TransitionRequest) -> None:
        """Moves it to for_review; an agent may have done so itself.

        Raises:
            TransitionRejected: a guard of the host does not hold; its words are for the implementer.
            Through: somebody else has moved it, or the host refused for another reason.
        """
        try:
            async with self._asking_for(Lane.FOR_REVIEW, keeps=TransitionRejected):
                await self.run.host.transition(request)
        except TransitionRejected:
            if not await self._stands_at(Lane.FOR_REVIEW):
                raise
        self._moved(Lane.FOR_REVIEW)

    async def take_into_review(self, policy: PolicyMetadata, ref: str) -> None:
        """Takes it into review, once for all reviewers that are asked.

        Raises:
            Through: the host refused, or somebody else reviews it.
            BudgetSpent, Paused: nothing may begin any more, or now.
        """
        if self.taken_into_review:
            return
        self.run.check_may_begin()
        fresh = self.lane is Lane.FOR_REVIEW
        async with self._asking_for(Lane.IN_REVIEW), self._recorded_before("holds_review"):
            reply = await self.run.host.start_review(self.wp_id, policy, ref)
        if fresh and reply.no_op:  # somebody else was faster; the host lets everybody in
            self.record.holds_review = False
            self.run.save(self.wp_id)
            raise Through(Outcome(Ended.TAKEN, Lane.IN_REVIEW, "somebody else reviews it"))
        self.taken_into_review = True
        self._moved(reply.to_lane)

    async def conclude(
        self,
        lane: Lane,
        review: Reviewed,
        note: str = "",
        proof: Proof | None = None,
        also_by: Sequence[str] = (),
    ) -> None:
        """Moves it out of review: on a reviewer's verdict, or on what we found, in our own name.

        Args:
            also_by: who has approved the same commit before; the host takes one review, the note names all.

        Raises:
            Through: see `move`.
        """
        said, who = review.said, self.run.host.actor if review.by_us else review.agent
        by = " and ".join((*also_by, who))
        request = TransitionRequest(
            self.wp_id,
            lane,
            note=note or shortened(f"{said.word} by {by}, commit {review.commit}", said.feedback),
            policy=self.run.policy(review.agent, Role.REVIEW),
            review=ReviewResult(who, said.word, said.review_ref),
            proof=proof,
        )
        await self.move(request)

    async def block(self, reason: str, review: Reviewed | None) -> None:
        """Blocks it.

        The host lets nothing out of review without a review result. When no reviewer gave a verdict, it is
        we who ask for changes: the result carries our own name and the note says why.

        Raises:
            Through: see `move`.
        """
        note = shortened("blocked", reason)
        if review is not None:
            return await self.conclude(Lane.BLOCKED, review, note)
        own = ReviewResult(self.run.host.actor, "changes_requested", f"review/{self.wp_id}/no-verdict")
        result = own if self.lane is Lane.IN_REVIEW else None
        return await self.move(TransitionRequest(self.wp_id, Lane.BLOCKED, note=note, review=result))

    async def move(self, request: TransitionRequest) -> None:
        """Moves it out of review, or to blocked.

        Raises:
            Through: the host refused, or somebody else has moved it.
        """
        to = request.to
        # Sent back, or blocked and unblocked, it is ours to work on; once it is accepted it is nobody's.
        holds = ("holds_review",) if to.is_accepted else ("holds_claim", *["blocked"] * (to is Lane.BLOCKED))
        async with (
            self._asking_for(to),
            self._recorded_before(*holds),
        ):
            try:
                await self.run.host.transition(request)
            except TransitionRejected:
                if not await self._stands_at(to):
                    raise
                if not to.is_accepted:  # not by us: that would be somebody else's claim, or block
                    raise Through(Outcome(Ended.MOVED, to)) from None
        self.taken_into_review = self.record.holds_review = False
        self.record.judged_commit = self.record.verdict = None
        self.record.blocked, self.record.held_when_blocked = to is Lane.BLOCKED, False
        self._moved(to, request.note if to is Lane.BLOCKED else "")

    async def _stands_at(self, lane: Lane) -> bool:
        """Whether it stands where we wanted it although the move was refused.

        Raises:
            Through: somebody else has moved it to a third lane.
        """
        state = await self.run.host.mission_state()
        found = next((wp.lane for wp in state.work_packages if wp.wp_id == self.wp_id), None)
        if found is None:
            raise Through(Outcome(Ended.TAKEN, self.lane, "somebody took it out of the mission"))
        if found not in (lane, self.lane):
            raise Through(Outcome(Ended.MOVED, found))
        return found is lane

    @asynccontextmanager
    async def _asking_for(self, lane: Lane, keeps: type[HostRefused] | None = None) -> AsyncIterator[None]:
        """Around a call that moves it: looks that overlap say nothing, and a refusal ends this life."""
        self.asked_for = lane
        self.touched()
        try:
            yield
        except HostRefused as refusal:
            if keeps is not None and isinstance(refusal, keeps):
                raise
            raise self._refused(refusal) from refusal
        except HostError:
            self.lost = lane
            raise
        finally:
            self.asked_for = None
            self.touched()

    @asynccontextmanager
    async def _recorded_before(self, *holds: str) -> AsyncIterator[None]:
        """A later run takes up only what is recorded as held: that comes first. A refusal takes it back."""
        held, is_asked = {hold: getattr(self.record, hold) for hold in holds}, False
        try:
            for hold in holds:
                setattr(self.record, hold, True)
            self.run.save(self.wp_id)
            await self.run.saved()
            is_asked = True
            yield
        except (HostRefused, Through):
            is_asked = False
            raise
        finally:
            if not is_asked:  # or refused
                for hold, before in held.items():
                    setattr(self.record, hold, before)
                self.run.save(self.wp_id)

    def _moved(self, lane: Lane, detail: str = "") -> None:
        self.lane = lane
        self.touched()
        self.run.save(self.wp_id)
        self.run.events.emit(LaneChanged(self.wp_id, lane.value, by_us=True, detail=detail))

    def _refused(self, refusal: HostRefused) -> Through:
        ended = Ended.TAKEN if isinstance(refusal, WpAlreadyClaimed) else Ended.REFUSED_FOR_NOW
        return Through(Outcome(ended, self.lane, refusal.message))


def shortened(what: str, words: str) -> str:
    """A note for the host, with the agent's own words cut to a bearable length."""
    words = " ".join(words.split())
    return f"{what}: {words[:NOTE_LIMIT]}" if words else what
