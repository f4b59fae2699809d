"""How the life of a work package begins: from whatever lane it is found in, to its workspace."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from ..agents.spec import Role
from ..host.contract.lanes import Lane
from ..host.errors import LaneAllocationFailed
from ..host.workspace import Workspace, check_workspace
from ..report.wp_events import WaitingForLane
from .context import RunContext
from .next_agent import AgentPicker
from .outcome import Ended, Outcome, Through
from .records import WpRecord
from .standing import Standing
from .workbench import Workbench


@frozen
class Entrance:
    """The way of one work package into its workspace.

    Attributes:
        asks_for_lane: whether its lane is not known, and may be that of one that has begun: ask first.
    """

    run: RunContext
    wp_id: str
    standing: Standing
    picker: AgentPicker
    asks_for_lane: Callable[[], bool]

    @property
    def record(self) -> WpRecord:
        """What is remembered of the work package."""
        return self.run.record(self.wp_id)

    async def enter(self) -> Workbench:
        """Its workspace, which nobody else of this run is in until its turn is given back.

        Raises:
            Through: somebody else has it, the host refused, or another of its lane goes first.
            WorkspaceError: the workspace is not what the host made.
            NobodyCanWork: there is no agent to claim it for.
        """
        workspace = await self._find_or_claim()
        # Until it has landed, a claim of another one may merge into this workspace.
        first = await self.run.claims.first_in_lane(self.wp_id, workspace.branch)
        self._take_turn(workspace.branch, first)
        bench = Workbench(self.run, self.wp_id, workspace)
        if self.record.claiming:
            await self._begin(bench)
        return bench

    async def _find_or_claim(self) -> Workspace:
        lane = self.standing.lane
        if lane is Lane.IN_REVIEW and not self.record.holds_review:
            raise Through(Outcome(Ended.TAKEN, lane, "somebody else reviews it"))
        held = lane is Lane.IN_PROGRESS and self.record.holds_claim
        if lane in (Lane.FOR_REVIEW, Lane.IN_REVIEW) or (
            held and self.record.goes_on_unblocked and not self.record.claiming
        ):
            return await self._find()
        begun = held and not self.record.claiming
        try:
            return await self._claim()
        except Through as end:
            # Unfinished work keeps everybody out of a lane, before the host looks at who asks (3.2.7). It is
            # that of another one if this one has not begun.
            if begun and isinstance(end.__cause__, LaneAllocationFailed):
                return await self._find()
            raise

    async def _find(self) -> Workspace:
        said = await self.run.host.resolve_workspace(self.wp_id)
        self._take_turn(said.lane_branch)
        return check_workspace(said, self.run.repo_root)

    async def _claim(self) -> Workspace:
        """Claims it, also when it is recorded as held: a person may have claimed it since."""
        agent = self.record.finished_by
        if agent is None or agent not in self.run.agents.known:
            agent = await self.picker.next_agent(Role.IMPLEMENTATION)
        policy = self.run.policy(agent, Role.IMPLEMENTATION)
        if self.asks_for_lane():
            await self._ask_for_lane()
        if self.record.branch is not None:
            return check_workspace(await self.standing.claim(policy), self.run.repo_root)
        try:
            with self.run.claims.into_unknown_lane(self.wp_id):
                reply = await self.standing.claim(policy)
        except Through as end:
            # Another claim may have landed in the same lane at that moment; then that one goes first.
            if isinstance(end.__cause__, LaneAllocationFailed):
                await self.run.claims.have_landed(self.wp_id)
                await self._ask_for_lane()
            raise
        return check_workspace(reply, self.run.repo_root)

    async def _ask_for_lane(self) -> None:
        self._take_turn((await self.run.host.resolve_workspace(self.wp_id)).lane_branch)

    def _take_turn(self, branch: str | None, first: str | None = None) -> None:
        """Notes which lane it lies in; somebody else who has it, or is to have it `first`, goes first."""
        if branch is None:
            return
        self.record.branch = branch
        self.run.turns.take(branch, first or self.wp_id)
        if (holder := self.run.turns.holder(branch)) != self.wp_id:
            reason = f"waits for {holder}, at work in {branch}"
            self.run.events.emit(WaitingForLane(self.wp_id, reason))
            raise Through(Outcome(Ended.WAITS, self.standing.lane, reason))

    async def _begin(self, bench: Workbench) -> None:
        """Notes where the work begins, now that nobody else is at work in the lane."""
        if self.standing.lane is Lane.IN_PROGRESS:
            seen = await bench.look()
            if self.record.claimed_commit is None:
                self.record.claimed_commit = seen.commit
            else:  # taken back by a person: what was done before is still its own work
                self.record.returned_commit = seen.commit
        self.record.claiming = False
        self.run.save(self.wp_id)
