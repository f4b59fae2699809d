"""What a case of the suite is, and a short way to write each kind of call down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from spec_kitty_orchestrator import __version__

ACTOR = ("--actor", "conformance")
POLICY = (
    "--policy",
    json.dumps(
        {
            "orchestrator_id": "spec-kitty-orchestrator",
            "orchestrator_version": __version__,
            "agent_family": "conformance",
            "approval_mode": "supervised",
            "sandbox_mode": "none",
            "network_mode": "none",
            "dangerous_flags": [],
        }
    ),
)
MISSION = ("--mission", "{mission}")


@frozen
class Case:
    """One call, and what a host that keeps the contract makes of it.

    Attributes:
        name: the name of the fixture that holds this very reply, if there is one.
        command: the contract's command.
        args: its arguments; `{mission}` stands for the mission's slug.
        shape: the fixture whose keys and types the reply has.
        error: the error code; None when the call has to succeed.
        expected: values in `data` that have to be there, by dotted path.
        why: for a refusal, what must be refused; for a value, what makes it so.
    """

    name: str
    command: str
    args: tuple[str, ...]
    shape: str
    error: str | None = None
    expected: Mapping[str, Any] = {}
    why: str = ""

    @property
    def exit_status(self) -> int:
        return {None: 0, "USAGE_ERROR": 2}.get(self.error, 1)

    @property
    def is_change(self) -> bool:
        """It changes something, or would if it were not refused: what follows stands on its outcome."""
        return self.command not in ("contract-version", "mission-state", "list-ready", "resolve-workspace")


@frozen
class Stage:
    """Cases that do not touch each other, and may run at once; and what the agent does before them."""

    cases: tuple[Case, ...]
    before: tuple[tuple[str, str], ...] = ()


def review(verdict: str, reference: str, *, evidence: bool = False) -> tuple[str, ...]:
    result = {"reviewer": "conformance-reviewer", "verdict": verdict, "reference": reference}
    sent = ("--review-result-json", json.dumps(result))
    return (*sent, "--evidence-json", json.dumps({"review": result})) if evidence else sent


def start(name: str, wp_id: str = "WP01", actor: tuple[str, ...] = ACTOR, **more: Any) -> Case:
    args = (*MISSION, "--wp", wp_id, *actor, *POLICY)
    return Case(name, "start-implementation", args, **{"shape": "start_implementation_success", **more})


def start_review(name: str, wp_id: str = "WP01", *, again: bool = False) -> Case:
    lanes = {"from_lane": "in_review" if again else "for_review", "to_lane": "in_review"}
    args = (*MISSION, "--wp", wp_id, *ACTOR, *POLICY, "--review-ref", f"review/{wp_id}/1")
    return Case(name, "start-review", args, "start_review_success", expected={**lanes, "no_op": again})


def move(name: str, to: str, *options: str, wp_id: str = "WP01", came: str = "") -> Case:
    expected = {"wp_id": wp_id, "from_lane": came, "to_lane": to, "policy_metadata_recorded": True}
    args = (*MISSION, "--wp", wp_id, *ACTOR, "--to", to, *POLICY, *options)
    return Case(name, "transition", args, "transition_success", expected=expected)


def no_move(name: str, to: str, why: str, *options: str) -> Case:
    args = (*MISSION, "--wp", "WP01", *ACTOR, "--to", to, *POLICY, *options)
    return Case(name, "transition", args, "error_transition_rejected", "TRANSITION_REJECTED", why=why)


def state(name: str, **counts: int) -> Case:
    expected = {f"summary.{lane}": count for lane, count in counts.items()}
    return Case(name, "mission-state", MISSION, "mission_state_success", expected=expected)


def ready(name: str, wp_id: str, why: str) -> Case:
    expected = {"ready_work_packages.*.wp_id": [wp_id]}
    return Case(name, "list-ready", MISSION, "list_ready_success", expected=expected, why=why)


def merge(name: str, why: str) -> Case:
    return Case(name, "merge-mission", MISSION, "error_preflight_failed", "PREFLIGHT_FAILED", why=why)
