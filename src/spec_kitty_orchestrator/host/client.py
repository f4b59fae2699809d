"""HostClient: one async method for each contract command, with deadlines, shielding and a cap."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from typing import TypeVar

import trio
from attrs import asdict, evolve

from .. import __version__
from ..errors import HostError, UsageError
from .contract.envelope import HostGarbled
from .contract.payloads import (
    AcceptMission,
    AppendHistory,
    ContractVersion,
    ListReady,
    MergeMission,
    MissionState,
    Proof,
    ResolveWorkspace,
    ReviewResult,
    StartImplementation,
    StartReview,
    TransitionRequest,
    TransitionResult,
)
from .contract.policy import PolicyMetadata
from .errors import (
    UPGRADE,
    AcceptanceImpossible,
    Completed,
    ContractVersionMismatch,
    HostCrashed,
    HostHung,
    HostIncompatible,
    HostRefused,
    MissionEmpty,
    answer,
)
from .program import INSTALL_HOST, HostEndpoint, HostUnderKeeper, Runner

T = TypeVar("T")
Watch = Callable[[str, str | None], AbstractContextManager[object]]
"""What is entered around a call: its command, and the work package that it is about."""
OLDEST_CONTRACT = (1, 3, 0)
FIRST_UNKNOWN_CONTRACT = (2, 0, 0)

MOST_IN_FLIGHT = 4
"""A call is 2 s of CPU; more of them at once than there are cores gains nothing."""

NOTE_CHARACTERS = 16_000
"""One argument may hold 131,072 bytes; a note is for people."""

LOST = (HostCrashed, HostGarbled, HostHung)
"""After one of these nobody knows whether a mutation was done."""

_WP_ID = re.compile(r"WP\d{2,}")
_SELECTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class HostClient:
    """Asks one host about one mission, as one actor.

    A call that changes something is never cancelled halfway: it is shielded, and has a deadline. When its
    reply is lost, what it did is found out: a start is asked again (it is idempotent), a transition is
    looked up in mission-state and asked again only if it did not land. What only reads is cancelled at once.

    Attributes:
        calls: how many host processes were started.
        watch: is entered around each of them, and sees what it raises.
    """

    def __init__(
        self, endpoint: HostEndpoint, mission: str = "", actor: str = "", run: Runner | None = None
    ) -> None:
        self.endpoint = endpoint
        self.mission = mission
        self.actor = actor
        self.calls = 0
        self.watch: Watch = lambda _command, _wp_id: nullcontext()
        self._run = run or HostUnderKeeper(endpoint)
        self._slots = trio.CapacityLimiter(min(MOST_IN_FLIGHT, os.cpu_count() or 1))

    async def contract_version(self) -> ContractVersion:
        """Raises HostIncompatible unless 1.3.0 <= the host's contract < 2.0.0."""
        try:
            said = await self._read(ContractVersion, "contract-version", "--provider-version", __version__)
        except ContractVersionMismatch as exc:
            raise HostIncompatible(exc.message, remedy=exc.remedy) from exc
        check_contract(said.api_version)
        return said

    async def mission_state(self) -> MissionState:
        """Raises MissionEmpty when there are no work packages."""
        state = await self._read(MissionState, "mission-state", *self._of_mission())
        if not state.work_packages:
            raise MissionEmpty(
                f"mission {state.mission_slug} has no work packages",
                remedy="check out the branch that it was planned on, or finish planning it",
            )
        return state

    async def list_ready(self) -> ListReady:
        return await self._read(ListReady, "list-ready", *self._of_mission())

    async def resolve_workspace(self, wp_id: str) -> ResolveWorkspace:
        return await self._read(ResolveWorkspace, "resolve-workspace", *self._of_wp(wp_id))

    async def start_implementation(self, wp_id: str, policy: PolicyMetadata) -> StartImplementation:
        args = (*self._as_actor(wp_id), "--policy", policy.to_json())
        return await self._repeatable(StartImplementation, "start-implementation", *args)

    async def start_review(self, wp_id: str, policy: PolicyMetadata, review_ref: str = "") -> StartReview:
        reference = ("--review-ref", review_ref) if review_ref else ()
        args = (*self._as_actor(wp_id), "--policy", policy.to_json(), *reference)
        return await self._repeatable(StartReview, "start-review", *args)

    async def transition(self, request: TransitionRequest) -> TransitionResult:
        """When the reply was lost but the move landed, `from_lane` of the result equals `to_lane`."""
        args = (*self._as_actor(request.wp_id), *_transition_options(request))
        try:
            return await self._change(TransitionResult, "transition", *args)
        except LOST as lost:
            with _refusal_is_no_answer_to(lost):
                landed = await self._landed(request)
        if landed is not None:
            return landed
        return await self._change(TransitionResult, "transition", *args)

    async def append_history(self, wp_id: str, note: str) -> AppendHistory:
        args = (*self._as_actor(wp_id), "--note", clean_note(note))
        return await self._change(AppendHistory, "append-history", *args)

    async def accept_mission(self) -> AcceptMission:
        args = (*self._of_mission(), "--actor", self._checked_actor())
        return await self._repeatable(AcceptMission, "accept-mission", *args)

    async def merge_mission(
        self, target: str | None = None, strategy: str = "merge", push: bool = False
    ) -> MergeMission:
        options = ["--strategy", strategy, *(("--target", target) if target else ())]
        options += ["--push"] if push else []
        return await self._change(MergeMission, "merge-mission", *self._of_mission(), *options)

    async def _landed(self, request: TransitionRequest) -> TransitionResult | None:
        state = await self.mission_state()
        lane = next((wp.lane for wp in state.work_packages if wp.wp_id == request.wp_id), None)
        if lane is not request.to:
            return None
        return TransitionResult(
            mission_slug=state.mission_slug,
            mission_number=state.mission_number,
            mission_type=state.mission_type,
            wp_id=request.wp_id,
            from_lane=lane,
            to_lane=lane,
            policy_metadata_recorded=request.policy is not None,
        )

    async def _repeatable(self, cls: type[T], command: str, *args: str) -> T:
        """A change that may be asked for again when its reply was lost: doing it twice is doing it once."""
        try:
            return await self._change(cls, command, *args)
        except AcceptanceImpossible:
            raise
        except LOST as lost:
            with _refusal_is_no_answer_to(lost):
                return _first_time(await self._change(cls, command, *args))

    async def _read(self, cls: type[T], command: str, *args: str) -> T:
        return await self._ask(cls, command, args, mutating=False)

    async def _change(self, cls: type[T], command: str, *args: str) -> T:
        return await self._ask(cls, command, args, mutating=True)

    async def _ask(self, cls: type[T], command: str, args: Sequence[str], *, mutating: bool) -> T:
        wp_id = next((value for option, value in pairwise(args) if option == "--wp"), None)
        # Waiting for a slot is not shielded: what was never sent may be cancelled.
        async with self._slots:
            self.calls += 1
            with self.watch(command, wp_id):
                return answer(command, await self._complete(command, args, mutating), cls)

    async def _complete(self, command: str, args: Sequence[str], mutating: bool) -> Completed:
        with trio.move_on_after(self.endpoint.timeout, shield=mutating):
            return await self._run(("orchestrator-api", command, *args), mutating)
        raise HostHung(
            f"{command}: no answer in {self.endpoint.timeout:g} s; the host was stopped",
            remedy="another host process may hold its lock; host.timeout_seconds sets how long to wait",
        )

    def _of_mission(self) -> tuple[str, ...]:
        if not _SELECTOR.fullmatch(self.mission) or ".." in self.mission:
            raise UsageError(
                f"{self.mission!r} is not the name of a mission",
                remedy="give its slug or id: letters, digits, dots, hyphens and underscores",
            )
        return ("--mission", self.mission)

    def _of_wp(self, wp_id: str) -> tuple[str, ...]:
        if not _WP_ID.fullmatch(wp_id):  # the host would take WP0* as a file pattern
            raise UsageError(f"{wp_id!r} is not the id of a work package", remedy="ids look like WP01")
        return (*self._of_mission(), "--wp", wp_id)

    def _as_actor(self, wp_id: str) -> tuple[str, ...]:
        return (*self._of_wp(wp_id), "--actor", self._checked_actor())

    def _checked_actor(self) -> str:
        if not self.actor.strip():
            raise UsageError("the actor has no name", remedy="give one with --actor")
        return self.actor


def _first_time(reply: T) -> T:
    """What a repeat found done already was done by the call before it, whose reply was lost."""
    return evolve(reply, no_op=False) if isinstance(reply, (StartImplementation, StartReview)) else reply


@contextmanager
def _refusal_is_no_answer_to(lost: HostError) -> Iterator[None]:
    """What is refused after a reply was lost says nothing of the call before: that may have been done."""
    try:
        yield
    except HostRefused as refusal:
        raise lost from refusal


def check_contract(api_version: str) -> None:
    """Raises HostIncompatible for a contract that this program does not speak, HostGarbled for none."""
    parts = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)(?:[-+.].*)?", api_version)
    if parts is None:
        raise HostGarbled(f"contract-version: {api_version!r} is not a version")
    version = tuple(int(part) for part in parts.groups())
    if version < OLDEST_CONTRACT:
        raise HostIncompatible(f"the host's contract {api_version} is older than 1.3.0", remedy=INSTALL_HOST)
    if version >= FIRST_UNKNOWN_CONTRACT:
        raise HostIncompatible(f"the host's contract {api_version} is newer than 1.x", remedy=UPGRADE)


def clean_note(note: str) -> str:
    """A note that any command line can carry."""
    text = note.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= NOTE_CHARACTERS else text[: NOTE_CHARACTERS - 1] + "…"


def _transition_options(request: TransitionRequest) -> list[str]:
    options = ["--to", request.to.value]
    if request.note:
        options += ["--note", clean_note(request.note)]
    if request.policy is not None:
        options += ["--policy", request.policy.to_json()]
    if request.review is not None:
        options += ["--review-result-json", json.dumps(asdict(request.review))]
        if request.to.is_accepted:
            options += ["--evidence-json", json.dumps(_evidence(request.review, request.proof))]
    return [*options, "--force"] if request.force else options


def _evidence(review: ReviewResult, proof: Proof | None) -> dict[str, object]:
    """The host's DoneEvidence (3.2.7): who approved, what was approved, what it was checked with."""
    evidence: dict[str, object] = {"review": asdict(review)}
    if proof is not None:
        evidence["repos"] = [{"repo": proof.repo, "branch": proof.branch, "commit": proof.commit}]
        evidence["verification"] = [
            {"command": command, "result": "pass", "summary": "exit status 0"} for command in proof.checks
        ]
    return evidence
