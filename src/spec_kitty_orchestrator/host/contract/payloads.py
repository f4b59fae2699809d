"""What the data of each command and of each refusal is, one frozen class each, and what we send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from ...converter import ALWAYS_SENT
from .lanes import Lane
from .policy import PolicyMetadata


@frozen
class ContractVersion:
    """Answer of contract-version."""

    api_version: str
    min_supported_provider_version: str


@frozen
class MissionData:
    """What every answer about a mission begins with; `mission_number` is null until it has one."""

    mission_slug: str
    mission_number: int | str | None
    mission_type: str


@frozen
class LaneCounts:
    """How many work packages stand in each lane; `counts[Lane.DONE]` reads one."""

    planned: int
    claimed: int
    in_progress: int
    for_review: int
    in_review: int
    approved: int
    done: int
    blocked: int
    canceled: int

    def __getitem__(self, lane: Lane) -> int:
        count: int = getattr(self, lane.value)
        return count


@frozen
class WorkPackageState:
    """One work package in mission-state; `last_actor` is null on today's hosts."""

    wp_id: str
    lane: Lane
    dependencies: tuple[str, ...]
    last_actor: str | None = field(default=None, metadata=ALWAYS_SENT)


@frozen
class MissionState(MissionData):
    """Answer of mission-state."""

    summary: LaneCounts
    work_packages: tuple[WorkPackageState, ...]


@frozen
class ReadyWorkPackage:
    """One work package in list-ready; only older hosts recommend a base."""

    wp_id: str
    lane: Lane
    dependencies_satisfied: bool
    recommended_base: str | None = None


@frozen
class ListReady(MissionData):
    """Answer of list-ready."""

    ready_work_packages: tuple[ReadyWorkPackage, ...]


@frozen
class ResolveWorkspace(MissionData):
    """Answer of resolve-workspace: a prediction, the folder may not exist."""

    wp_id: str
    workspace_path: str
    prompt_path: str
    lane_id: str | None = None
    lane_branch: str | None = None
    lane_base_ref: str | None = None


@frozen
class StartImplementation(MissionData):
    """Answer of start-implementation; `no_op` when the actor held it already."""

    wp_id: str
    from_lane: Lane
    to_lane: Lane
    workspace_path: str
    prompt_path: str
    policy_metadata_recorded: bool
    no_op: bool
    lane_id: str | None = None
    lane_branch: str | None = None
    lane_base_ref: str | None = None


@frozen
class StartReview(MissionData):
    """Answer of start-review; `no_op` when it was in review already."""

    wp_id: str
    from_lane: Lane
    to_lane: Lane
    prompt_path: str
    policy_metadata_recorded: bool
    no_op: bool


@frozen
class TransitionResult(MissionData):
    """Answer of transition."""

    wp_id: str
    from_lane: Lane
    to_lane: Lane
    policy_metadata_recorded: bool


@frozen
class AppendHistory(MissionData):
    """Answer of append-history."""

    wp_id: str
    history_entry_id: str


@frozen
class AcceptMission(MissionData):
    """Answer of accept-mission; `accepted_at` is an ISO 8601 time."""

    accepted: bool
    mode: str
    accepted_at: str
    accepted_wps: tuple[str, ...]
    approved_wps: tuple[str, ...]
    done_wps: tuple[str, ...]
    merge_pending_wps: tuple[str, ...]


@frozen
class MergeMission(MissionData):
    """Answer of merge-mission; only older hosts list what was merged."""

    merged: bool
    target_branch: str
    strategy: str
    worktree_removed: bool
    merged_wps: tuple[str, ...] | None = None


PAYLOADS: Mapping[str, type] = {
    "contract-version": ContractVersion,
    "mission-state": MissionState,
    "list-ready": ListReady,
    "resolve-workspace": ResolveWorkspace,
    "start-implementation": StartImplementation,
    "start-review": StartReview,
    "transition": TransitionResult,
    "append-history": AppendHistory,
    "accept-mission": AcceptMission,
    "merge-mission": MergeMission,
}


@frozen(kw_only=True)
class Refusal:
    """The data of a refusal of which no more is known."""

    message: str = ""


@frozen(kw_only=True)
class VersionRefusal(Refusal):
    """CONTRACT_VERSION_MISMATCH; the host leaves out its own versions when ours cannot be read."""

    provider_version: str
    min_supported_provider_version: str | None = None
    api_version: str | None = None


@frozen(kw_only=True)
class MissionRefusal(Refusal):
    """What the refusals below begin with."""

    mission_slug: str
    mission_number: int | str | None
    mission_type: str


@frozen(kw_only=True)
class ClaimRefusal(MissionRefusal):
    """WP_ALREADY_CLAIMED: who holds the work package."""

    claimed_by: str
    requesting_actor: str


@frozen(kw_only=True)
class DependencyRefusal(MissionRefusal):
    """DEPENDENCIES_NOT_SATISFIED: the work packages that must come first."""

    wp_id: str
    unsatisfied_dependencies: tuple[str, ...]


@frozen(kw_only=True)
class AllocationRefusal(MissionRefusal):
    """LANE_ALLOCATION_FAILED: why there is no workspace."""

    wp_id: str
    reason: str


@frozen(kw_only=True)
class ReadinessRefusal(MissionRefusal):
    """MISSION_NOT_READY: the work packages that are not approved or done."""

    incomplete_wps: tuple[str, ...]


@frozen(kw_only=True)
class PreflightRefusal(MissionRefusal):
    """PREFLIGHT_FAILED: everything that stands in the way of a merge."""

    target_branch: str
    errors: tuple[str, ...]


REFUSALS: Mapping[str, type[Refusal]] = {
    "CONTRACT_VERSION_MISMATCH": VersionRefusal,
    "WP_ALREADY_CLAIMED": ClaimRefusal,
    "DEPENDENCIES_NOT_SATISFIED": DependencyRefusal,
    "LANE_ALLOCATION_FAILED": AllocationRefusal,
    "MISSION_NOT_READY": ReadinessRefusal,
    "PREFLIGHT_FAILED": PreflightRefusal,
}
"""Refusals with data of their own; every other code has `Refusal`."""


@frozen
class ReviewResult:
    """A review as the host records it; `verdict` is `approved` or `changes_requested`."""

    reviewer: str
    verdict: str
    reference: str


@frozen
class Proof:
    """What an approval rests on, in the host's words for it (3.2.7): a commit, and the checks it passed.

    Attributes:
        repo: the repository's name.
        branch: the lane's branch.
        commit: the one that was judged, whole.
        checks: the commands that succeeded on it.
    """

    repo: str
    branch: str
    commit: str
    checks: tuple[str, ...] = ()


@frozen
class TransitionRequest:
    """One move of a work package that we ask for; the note is also the reason that `force` needs."""

    wp_id: str
    to: Lane
    note: str = ""
    policy: PolicyMetadata | None = None
    review: ReviewResult | None = None
    proof: Proof | None = None
    force: bool = False


def payload_class(command: str, error_code: str | None) -> type[Any]:
    """The class of a reply's data: by its error code if it is a refusal, else by its command."""
    if error_code is not None:
        return REFUSALS.get(error_code, Refusal)
    return PAYLOADS[command]
