"""How a host call can fail: one class for each error code of the contract, and for what is no answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TypeVar

from attrs import frozen

from ..errors import ExitCode, HostError
from .contract.envelope import (
    COMMAND_PREFIX,
    ContractBreach,
    Envelope,
    HostGarbled,
    read_reply,
    structure,
)
from .contract.payloads import (
    REFUSALS,
    AllocationRefusal,
    ClaimRefusal,
    DependencyRefusal,
    PreflightRefusal,
    ReadinessRefusal,
    Refusal,
)
from .coordination import can_only_crash

T = TypeVar("T")
UPGRADE = "pip install --upgrade 'spec-kitty-orchestrator>=1.0'"
"""With a version: below 1.0 the name belongs to another program."""


class HostMissing(HostError):
    """The host's program was not found, or cannot be started."""


class HostIncompatible(HostError):
    """The host speaks a contract that this program does not, or the other way round."""


class HostCrashed(HostError):
    """The host ended without a reply; a mutation may have been done or not."""


class AcceptanceImpossible(HostCrashed):
    """The host breaks down on accept-mission, and will however often it is asked; merging works."""


class HostHung(HostError):
    """The host did not answer in time and was stopped; a mutation may have been done or not."""


class MissionEmpty(HostError):
    """The mission has no work packages: not planned yet, or the wrong branch is checked out."""

    exit_code = ExitCode.USAGE


class HostRefused(HostError):
    """The host understood, and said no.

    Attributes:
        code: the contract's error code.
        host_message: the host's own words.
        data: what else the refusal holds, read by the class of its code.
        command: `start-implementation`.
    """

    advice: ClassVar[str] = ""

    def __init__(self, code: str, data: Refusal, command: str) -> None:
        super().__init__(f"{command}: {code}: {data.message or 'no reason given'}", remedy=self.advice)
        self.code = code
        self.host_message = data.message
        self.data = data
        self.command = command


class UnknownRefusal(HostRefused):
    """A refusal with a code that this version does not know."""

    advice = "look the code up in the host's documentation; a newer spec-kitty-orchestrator may know it"


class UsageRefused(HostRefused):
    """USAGE_ERROR: the host does not take the arguments that we gave."""

    advice = f"{UPGRADE} spec-kitty-cli"


class ContractVersionMismatch(HostRefused):
    """CONTRACT_VERSION_MISMATCH: this program is too old for the host."""

    advice = UPGRADE


class MissionNotFound(HostRefused):
    """MISSION_NOT_FOUND: no such mission here, or this is no git repository."""

    exit_code = ExitCode.USAGE
    advice = "check its name and that its branch is checked out; --repo-root names another repository"


class MissionAmbiguous(HostRefused):
    """MISSION_AMBIGUOUS_SELECTOR: several missions fit."""

    exit_code = ExitCode.USAGE
    advice = "give the mission's whole slug"


class WorkPackageNotFound(HostRefused):
    """WP_NOT_FOUND."""


class PolicyRequired(HostRefused):
    """POLICY_METADATA_REQUIRED."""


class PolicyRefused(HostRefused):
    """POLICY_VALIDATION_FAILED."""

    exit_code = ExitCode.USAGE
    advice = "see `policy` in .kittify/orchestrator.yaml"


class TransitionRejected(HostRefused):
    """TRANSITION_REJECTED: a guard of the host does not hold, or the lanes are not neighbours."""


class WpAlreadyClaimed(HostRefused):
    """WP_ALREADY_CLAIMED: another actor works on it."""

    data: ClaimRefusal


class DependenciesNotSatisfied(HostRefused):
    """DEPENDENCIES_NOT_SATISFIED."""

    data: DependencyRefusal


class LaneAllocationFailed(HostRefused):
    """LANE_ALLOCATION_FAILED: there is no workspace: conflict, uncommitted changes, a broken worktree."""

    data: AllocationRefusal


class MissionNotReady(HostRefused):
    """MISSION_NOT_READY: some work packages are not approved or done."""

    exit_code = ExitCode.ATTENTION
    data: ReadinessRefusal


class PreflightFailed(HostRefused):
    """PREFLIGHT_FAILED: the mission cannot be merged as things are."""

    data: PreflightRefusal


class UnsupportedStrategy(HostRefused):
    """UNSUPPORTED_STRATEGY: no such way to merge."""

    exit_code = ExitCode.USAGE


class HistoryCommitFailed(HostRefused):
    """HISTORY_COMMIT_FAILED: the note was not recorded."""


class AncestryNotEstablished(HostRefused):
    """ANCESTRY_NOT_ESTABLISHED: the lane's branch does not descend from where it should."""


class WorkflowEvidenceRequired(HostRefused):
    """WORKFLOW_EVIDENCE_REQUIRED."""


class StatusUnreadable(HostRefused):
    """STATUS_READ_PATH_NOT_FOUND: the host does not find its own record of the lanes."""


class PlacementRequired(HostRefused):
    """PLACEMENT_RESOLUTION_REQUIRED."""


class CommitRefused(HostRefused):
    """SAFE_COMMIT_*: the host could not commit its own record; the code says which rule stood in the way."""


REFUSED: Mapping[str, type[HostRefused]] = {
    "USAGE_ERROR": UsageRefused,
    "CONTRACT_VERSION_MISMATCH": ContractVersionMismatch,
    "MISSION_NOT_FOUND": MissionNotFound,
    "MISSION_AMBIGUOUS_SELECTOR": MissionAmbiguous,
    "WP_NOT_FOUND": WorkPackageNotFound,
    "POLICY_METADATA_REQUIRED": PolicyRequired,
    "POLICY_VALIDATION_FAILED": PolicyRefused,
    "TRANSITION_REJECTED": TransitionRejected,
    "WP_ALREADY_CLAIMED": WpAlreadyClaimed,
    "DEPENDENCIES_NOT_SATISFIED": DependenciesNotSatisfied,
    "LANE_ALLOCATION_FAILED": LaneAllocationFailed,
    "MISSION_NOT_READY": MissionNotReady,
    "PREFLIGHT_FAILED": PreflightFailed,
    "UNSUPPORTED_STRATEGY": UnsupportedStrategy,
    "HISTORY_COMMIT_FAILED": HistoryCommitFailed,
    "ANCESTRY_NOT_ESTABLISHED": AncestryNotEstablished,
    "WORKFLOW_EVIDENCE_REQUIRED": WorkflowEvidenceRequired,
    "STATUS_READ_PATH_NOT_FOUND": StatusUnreadable,
    "PLACEMENT_RESOLUTION_REQUIRED": PlacementRequired,
}
_COMMIT_CODES = "SAFE_COMMIT_"


@frozen
class Completed:
    """How a host process ended, and what it printed."""

    returncode: int
    stdout: bytes
    stderr: bytes


def answer(command: str, completed: Completed, cls: type[T]) -> T:
    """The data of a reply to `command`, as an instance of `cls`.

    Raises:
        HostRefused: the subclass of its error code.
        HostCrashed, HostGarbled: there is no reply, or one that cannot be trusted.
    """
    envelope = _envelope(command, completed)
    if not envelope.success:
        raise refusal(command, envelope)
    return structure(envelope.data, cls)


def refusal(command: str, envelope: Envelope) -> HostRefused:
    """The typed error of an envelope without success."""
    code = envelope.error_code or "no error code"
    data = structure(envelope.data, REFUSALS.get(code, Refusal))
    by_family = CommitRefused if code.startswith(_COMMIT_CODES) else UnknownRefusal
    return REFUSED.get(code, by_family)(code, data, command)


def _envelope(command: str, completed: Completed) -> Envelope:
    try:
        envelope = read_reply(completed.stdout).envelope
    except ContractBreach:
        raise
    except HostGarbled as exc:
        if completed.returncode != 0:
            raise _crash(command, completed) from exc
        raise HostGarbled(f"{command}: {exc.message}", remedy="run the same command by hand") from exc
    if envelope.success != (completed.returncode == 0):
        # It said one thing and did another, so nothing is known; the same as a lost reply.
        said = "success" if envelope.success else str(envelope.error_code)
        raise HostGarbled(f"{command}: the host answered {said} but ended with {_how(completed.returncode)}")
    if envelope.success and envelope.command != COMMAND_PREFIX + command:
        raise HostGarbled(f"{command}: the host answered for {envelope.command!r} instead")
    return envelope


def _crash(command: str, completed: Completed) -> HostCrashed:
    words = _last_words(completed.stderr) or "and gave no reason"
    told = f"{command}: the host broke down ({_how(completed.returncode)}): {words}"
    if can_only_crash(command, words):
        return AcceptanceImpossible(told, remedy="the mission can be merged without")
    return HostCrashed(
        told,
        remedy="check that the checkout is on the mission's branch and that no stale .git/index.lock is left",
    )


def _how(returncode: int) -> str:
    return f"exit status {returncode}" if returncode >= 0 else f"signal {-returncode}"


def _last_words(stderr: bytes) -> str:
    """The error at the end of a traceback; the host draws a box around what comes before it, and wraps."""
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    box_ends = [index for index, line in enumerate(lines) if line.startswith("╰")]
    tail = lines[box_ends[-1] + 1 :] if box_ends else lines[-1:]
    return " ".join(tail)[:500]
