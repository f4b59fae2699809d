"""The canonical replies: the fixtures, which of their keys may be left out, and since when each is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("fixtures")
CANONICAL = (
    "contract_version_success",
    "mission_state_success",
    "list_ready_success",
    "start_implementation_success",
    "start_review_success",
    "transition_success",
    "append_history_success",
    "accept_mission_success",
    "merge_mission_success",
    "error_contract_mismatch",
    "error_mission_not_found",
    "error_policy_required",
    "error_transition_rejected",
)
EXTENDED = (
    "resolve_workspace_success",
    "error_wp_already_claimed",
    "error_dependencies_not_satisfied",
    "error_lane_allocation_failed",
    "error_mission_not_ready",
    "error_preflight_failed",
    "error_usage",
)
FIXTURES = (*CANONICAL, *EXTENDED)

ROOT = "/project"
MISSION = "conformance-01M80YR7"
"""What stands in the fixtures for the repository's root and the mission's slug."""

OPTIONAL = frozenset({"last_actor"})
"""Keys of the fixtures that no orchestrator may rely on."""

CONTEXT = frozenset({"mission_slug", "mission_number", "mission_type", "wp_id", "lane_id", "message"})
"""Keys with which any reply may say what it is about."""

SINCE: Mapping[str, str] = {
    "resolve-workspace": "1.2.0",
    "start-implementation: data.lane_id": "1.1.0",
    "start-implementation: data.lane_branch": "1.1.0",
    "start-implementation: data.lane_base_ref": "1.1.0",
    "start-implementation: data.unsatisfied_dependencies": "1.1.0",
    "start-implementation: data.reason": "1.4.0",
    "start-review: data.no_op": "1.1.0",
    "accept-mission: data.accepted_wps": "1.1.0",
    "accept-mission: data.approved_wps": "1.1.0",
    "accept-mission: data.done_wps": "1.1.0",
    "accept-mission: data.merge_pending_wps": "1.1.0",
}
"""The contract that brought a command or a key, read in the sources of its versions; the rest is of 1.0.0."""

VOLATILE = frozenset({"timestamp", "correlation_id", "history_entry_id", "accepted_at"})
"""New with every call."""

WORDS = frozenset({"message", "reason", "errors", "contract_version", "api_version"})
"""What a host may put in other words, or count on, without changing what it means."""


def fixture_path(name: str) -> Path:
    """Where a fixture lies."""
    return (FOLDER if name in CANONICAL else FOLDER / "extended") / f"{name}.json"


def load(name: str) -> dict[str, Any]:
    """A fixture: one whole envelope."""
    envelope: dict[str, Any] = json.loads(fixture_path(name).read_text(encoding="utf-8"))
    return envelope


def since(command: str, path: str) -> str:
    """The contract since which a key of a reply to this command is sent."""
    return SINCE.get(f"{command}: {path}") or SINCE.get(command) or "1.0.0"


def in_fixture_terms(value: Any, root: str, mission: str) -> Any:
    """A live reply as a fixture would have it: its root and its mission by their canonical names."""
    if isinstance(value, str):
        return value.replace(root, ROOT).replace(mission, MISSION)
    if isinstance(value, list):
        return [in_fixture_terms(item, root, mission) for item in value]
    if isinstance(value, dict):
        return {key: in_fixture_terms(item, root, mission) for key, item in value.items()}
    return value


def without(value: Any, names: frozenset[str]) -> Any:
    """The value with the type's name in place of everything under one of these keys."""
    if isinstance(value, list):
        return [without(item, names) for item in value]
    if isinstance(value, dict):
        return {
            key: type(item).__name__ if key in names else without(item, names) for key, item in value.items()
        }
    return value


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of a reply with its dotted path; of a list, what its first item has stands for all."""
    if isinstance(value, dict):
        for key, item in value.items():
            at = f"{path}.{key}" if path else key
            yield at, item
            yield from leaves(item, at)
    elif isinstance(value, list) and value:
        yield from leaves(value[0], f"{path}[0]")
