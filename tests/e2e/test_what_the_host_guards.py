"""Each claim of `conformance/README.md` on what the host guards: a host that guards more turns it red."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from attrs import evolve

from spec_kitty_orchestrator.demo.project import PlannedWorkPackage, ProjectPlan
from spec_kitty_orchestrator.host.client import HostClient
from spec_kitty_orchestrator.host.contract.lanes import Lane
from spec_kitty_orchestrator.host.contract.payloads import ReviewResult, TransitionRequest
from spec_kitty_orchestrator.host.contract.policy import PolicyMetadata
from spec_kitty_orchestrator.host.errors import LaneAllocationFailed, MissionNotReady, TransitionRejected
from spec_kitty_orchestrator.host.program import HostEndpoint

pytestmark = pytest.mark.e2e

POLICY = PolicyMetadata("guards", "1", "person", "full_auto", "none", "open")


def _wp(wp_id, name, *waits):
    return PlannedWorkPackage(wp_id, f"Write {wp_id}", f"Write `{name}`.", (name,), ("Write it",), waits)


# WP01 and WP02 own the same file, and so share a lane.
PLAN = ProjectPlan(
    "guards", (_wp("WP01", "wp01.txt"), _wp("WP02", "wp01.txt", "WP01"), _wp("WP03", "wp03.txt"))
)


class Owner:
    """One person who claims, works, reviews and approves, all under one name."""

    def __init__(self, project):
        self.project = project
        endpoint = HostEndpoint(project.host, project.root, environ=project.environ)
        self.host = HostClient(endpoint, project.mission, "owner")

    async def claim(self, wp_id):
        return Path((await self.host.start_implementation(wp_id, POLICY)).workspace_path)

    def mark(self, workspace, task):
        argv = (str(self.project.host), "agent", "tasks", "mark-status", task, "--status", "done")
        argv += ("--mission", self.project.mission, "--json")
        subprocess.run(argv, cwd=workspace, env=self.project.environ, check=True, capture_output=True)

    def git(self, workspace, *args):
        return evolve(self.project, root=workspace).git(*args)

    def commit(self, workspace, name):
        (workspace / name).write_text("work\n")
        self.git(workspace, "add", name)
        self.git(workspace, "commit", "-q", "-m", f"Write {name}")

    async def hand_over(self, wp_id):
        return await self.host.transition(TransitionRequest(wp_id, Lane.FOR_REVIEW, policy=POLICY))

    async def judge(self, wp_id, to, verdict):
        review = ReviewResult("owner", verdict, f"review/{wp_id}")
        await self.host.start_review(wp_id, POLICY, review.reference)
        return await self.host.transition(TransitionRequest(wp_id, to, "judged", POLICY, review))


@pytest.fixture
def owner(enter, template):
    return Owner(enter(template(PLAN)).project)


async def test_the_first_commit_is_guarded_and_no_other(owner):
    workspace = await owner.claim("WP01")
    owner.commit(workspace, "wp01.txt")
    with pytest.raises(TransitionRejected):  # a subtask is not marked
        await owner.hand_over("WP01")
    owner.mark(workspace, "T001")
    await owner.hand_over("WP01")
    await owner.judge("WP01", Lane.IN_PROGRESS, "changes_requested")
    first = owner.git(workspace, "rev-parse", "HEAD")

    # Rework without a commit, in a dirty tree: handed over, and approved by whoever wrote it.
    (workspace / "wp01.txt").write_text("mended, and never committed\n")
    await owner.hand_over("WP01")
    await owner.judge("WP01", Lane.APPROVED, "approved")
    assert owner.git(workspace, "rev-parse", "HEAD") == first

    # The next work package of the lane is kept from a dirty tree, but not from handing over nothing.
    with pytest.raises(LaneAllocationFailed):
        await owner.claim("WP02")
    owner.git(workspace, "checkout", "wp01.txt")
    assert await owner.claim("WP02") == workspace
    owner.mark(workspace, "T002")
    await owner.hand_over("WP02")
    await owner.judge("WP02", Lane.APPROVED, "approved")
    assert owner.git(workspace, "rev-parse", "HEAD") == first


async def test_work_beside_the_lane_is_approved_and_lost_by_a_merge_that_asks_for_no_approval(owner):
    workspace = await owner.claim("WP03")
    owner.mark(workspace, "T003")
    with pytest.raises(TransitionRejected):  # nothing was ever committed
        await owner.hand_over("WP03")
    lane = owner.git(workspace, "rev-parse", "--abbrev-ref", "HEAD").strip()
    owner.commit(workspace, "begun.txt")
    owner.git(workspace, "checkout", "-q", "-b", "elsewhere")
    owner.commit(workspace, "wp03.txt")
    await owner.hand_over("WP03")
    other = HostClient(owner.host.endpoint, owner.project.mission, "somebody else")
    await owner.host.start_review("WP03", POLICY)
    assert (await other.start_review("WP03", POLICY)).no_op  # a review is nobody's own
    await owner.judge("WP03", Lane.APPROVED, "approved")
    assert "wp03.txt" not in owner.git(workspace, "ls-tree", "--name-only", lane)

    with pytest.raises(MissionNotReady):  # acceptance asks for every approval
        await owner.host.accept_mission()
    await owner.claim("WP01")  # the merge asks for every lane's branch, and for no approval
    assert (await owner.host.merge_mission()).merged
    at_the_top = owner.project.git("ls-tree", "--name-only", "HEAD").split()
    assert "begun.txt" in at_the_top
    assert "wp03.txt" not in at_the_top
