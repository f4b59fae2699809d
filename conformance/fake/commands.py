"""What each command of the fake host does to the state, and what it refuses."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import NoReturn

from .checks import Options, Record, about, has_metadata, policy_checked, reject, require_actor
from .host import FakeHost
from .moves import transition
from .rules import (
    CONTRACT_VERSION,
    LANES,
    OLDEST_PROVIDER,
    SETTLED,
    STRATEGIES,
    Crash,
    NoWorkspace,
    Refused,
)

Command = Callable[[FakeHost, Options, list[str]], Record]
"""Takes the host, the options and the lines to print before the reply; returns the reply's data."""


def contract_version(host: FakeHost, options: Options, noise: list[str]) -> Record:
    given = options.get("--provider-version")
    if given is not None:
        parts = given.split(".")
        if not all(part.isdigit() for part in parts):
            message = f"Provider version '{given}' is not a valid version string"
            raise Refused("CONTRACT_VERSION_MISMATCH", message, provider_version=given)
        if [int(part) for part in parts] < [int(part) for part in OLDEST_PROVIDER.split(".")]:
            raise Refused(
                "CONTRACT_VERSION_MISMATCH",
                f"Provider version '{given}' is below minimum '{OLDEST_PROVIDER}'",
                provider_version=given,
                min_supported_provider_version=OLDEST_PROVIDER,
                api_version=CONTRACT_VERSION,
            )
    return {"api_version": CONTRACT_VERSION, "min_supported_provider_version": OLDEST_PROVIDER}


def mission_state(host: FakeHost, options: Options, noise: list[str]) -> Record:
    mission = host.find(options["--mission"])
    # Measured: on another branch the real host succeeds, and finds no work packages.
    seen = mission["wps"] if host.workspaces.branch_is_checked_out(mission["target"]) else {}
    summary = {lane: sum(wp["lane"] == lane for wp in seen.values()) for lane in LANES}
    states = [
        {"wp_id": wp_id, "lane": wp["lane"], "dependencies": wp["dependencies"], "last_actor": None}
        for wp_id, wp in sorted(seen.items())
    ]
    return {**about(mission), "summary": summary, "work_packages": states}


def list_ready(host: FakeHost, options: Options, noise: list[str]) -> Record:
    mission = host.find(options["--mission"])
    ready = [
        {"wp_id": wp_id, "lane": "planned", "dependencies_satisfied": True}
        for wp_id, wp in sorted(mission["wps"].items())
        if wp["lane"] == "planned" and not _unsatisfied(mission, wp)
    ]
    return {**about(mission), "ready_work_packages": ready}


def resolve_workspace(host: FakeHost, options: Options, noise: list[str]) -> Record:
    mission, wp = host.find_wp(options)
    return {
        **about(mission),
        "wp_id": options["--wp"],
        "workspace_path": str(host.workspace(mission, wp)),
        "prompt_path": host.prompt(mission, options["--wp"]),
        **_lane(host, mission, wp),
    }


def start_implementation(host: FakeHost, options: Options, noise: list[str]) -> Record:
    policy_checked("start-implementation", options)
    mission, wp = host.find_wp(options)
    require_actor(options)
    before = wp["lane"]
    if before == "planned":
        _claim(host, mission, options)
    elif before in ("claimed", "in_progress"):
        _take_up(host, mission, options)
    else:
        reject(f"WP {options['--wp']} is in '{before}', cannot start implementation")
    wp["lane"] = "in_progress"
    return {
        **about(mission),
        "wp_id": options["--wp"],
        "from_lane": before,
        "to_lane": "in_progress",
        "workspace_path": str(host.workspace(mission, wp)),
        "prompt_path": host.prompt(mission, options["--wp"]),
        "policy_metadata_recorded": True,
        "no_op": before == "in_progress",
        **_lane(host, mission, wp),
    }


def _claim(host: FakeHost, mission: Record, options: Options) -> None:
    wp_id = options["--wp"]
    wp = mission["wps"][wp_id]
    missing = _unsatisfied(mission, wp)
    if missing:
        raise Refused(
            "DEPENDENCIES_NOT_SATISFIED",
            f"dependencies_not_satisfied: {wp_id} depends on {', '.join(missing)}; all dependencies must be "
            "approved or done before implementation can start",
            **about(mission),
            wp_id=wp_id,
            unsatisfied_dependencies=missing,
        )
    _allocate(host, mission, wp_id)
    wp["holder"] = options["--actor"]


def _allocate(host: FakeHost, mission: Record, wp_id: str) -> None:
    """Makes the lane's workspace, or goes into the one that another work package of the lane was given."""
    wp = mission["wps"][wp_id]
    path = host.workspace(mission, wp)
    there = [mission["wps"][name] for name in wp["dependencies"] if name in mission["wps"]]
    merged = [host.branch(mission, each) for each in there]
    try:
        if host.workspaces.is_there(path):
            _require_clean(host, mission, wp_id)
            host.workspaces.bring_in(path, merged)
        else:
            host.workspaces.create(path, host.branch(mission, wp), mission["target"], merged)
    except NoWorkspace as why:
        _no_lane(mission, wp_id, str(why))


def _require_clean(host: FakeHost, mission: Record, wp_id: str) -> None:
    wp = mission["wps"][wp_id]
    path = host.workspace(mission, wp)
    if host.workspaces.is_dirty(path):
        _no_lane(
            mission,
            wp_id,
            f"Lane {wp['lane_id']} worktree at {path} has uncommitted changes. "
            "Commit or stash before starting the next WP.",
        )


def _take_up(host: FakeHost, mission: Record, options: Options) -> None:
    wp_id, actor = options["--wp"], options["--actor"]
    wp = mission["wps"][wp_id]
    if host.workspaces.is_there(host.workspace(mission, wp)):
        _require_clean(host, mission, wp_id)
    else:
        _allocate(host, mission, wp_id)
    if wp["holder"] not in (None, actor):
        raise Refused(
            "WP_ALREADY_CLAIMED",
            f"WP {wp_id} is already claimed for implementation by '{wp['holder']}'",
            **about(mission),
            claimed_by=wp["holder"],
            requesting_actor=actor,
        )


def start_review(host: FakeHost, options: Options, noise: list[str]) -> Record:
    policy_checked("start-review", options)
    mission, wp = host.find_wp(options)
    require_actor(options)
    before = wp["lane"]
    if before not in ("for_review", "in_review"):
        reject(f"WP {options['--wp']} is in '{before}', cannot start review")
    wp["lane"] = "in_review"
    return {
        **about(mission),
        "wp_id": options["--wp"],
        "from_lane": before,
        "to_lane": "in_review",
        "prompt_path": host.prompt(mission, options["--wp"]),
        "policy_metadata_recorded": True,
        "no_op": before == "in_review",
    }


def append_history(host: FakeHost, options: Options, noise: list[str]) -> Record:
    mission, _ = host.find_wp(options)
    mission["history"] += 1
    return {**about(mission), "wp_id": options["--wp"], "history_entry_id": f"hist-{os.urandom(16).hex()}"}


def accept_mission(host: FakeHost, options: Options, noise: list[str]) -> Record:
    mission = host.find(options["--mission"])
    lanes = {wp_id: wp["lane"] for wp_id, wp in sorted(mission["wps"].items())}
    incomplete = [wp_id for wp_id, lane in lanes.items() if lane not in SETTLED]
    if incomplete:
        message = f"Mission has {len(incomplete)} incomplete WP(s)"
        raise Refused("MISSION_NOT_READY", message, **about(mission), incomplete_wps=incomplete)
    if not has_metadata(mission):
        folder = host.workspaces.root / ".worktrees" / f"{mission['slug']}-coord" / "kitty-specs"
        raise Crash(f"FileNotFoundError: No meta.json in \n{folder / mission['slug']}")
    approved = [wp_id for wp_id, lane in lanes.items() if lane == "approved"]
    return {
        **about(mission),
        "accepted": True,
        "mode": "auto",
        "accepted_at": datetime.now(timezone.utc).isoformat(),
        "accepted_wps": list(lanes),
        "approved_wps": approved,
        "done_wps": [wp_id for wp_id, lane in lanes.items() if lane == "done"],
        "merge_pending_wps": approved,
    }


def merge_mission(host: FakeHost, options: Options, noise: list[str]) -> Record:
    mission = host.find(options["--mission"])
    strategy = options.get("--strategy", "merge")
    if strategy not in STRATEGIES:
        message = f"Strategy '{strategy}' is not supported. Supported strategies: {STRATEGIES}"
        raise Refused("UNSUPPORTED_STRATEGY", message, strategy=strategy, supported=STRATEGIES)
    target = options.get("--target") or mission["target"]
    wps = mission["wps"].values()
    lanes = list(dict.fromkeys((host.workspace(mission, wp), host.branch(mission, wp)) for wp in wps))
    _preflight(host, mission, target, [branch for _, branch in lanes])
    host.workspaces.merge(target, lanes)
    noise += [f"Deleted branch {branch} (was 0000000)." for _, branch in lanes]
    for wp in wps:
        wp["lane"] = "done"
    mission["merged"] = True
    return {
        **about(mission),
        "merged": True,
        "target_branch": target,
        "strategy": strategy,
        "worktree_removed": False,
    }


def _preflight(host: FakeHost, mission: Record, target: str, branches: Sequence[str]) -> None:
    missing = [branch for branch in branches if not host.workspaces.has_branch(branch)]
    errors = [f"Lane branch {branch} does not exist" for branch in missing[:1]]
    if not host.workspaces.has_branch(target):
        errors = [f"Target branch '{target}' does not exist locally or on origin."]
    if errors:
        refused = {**about(mission), "target_branch": target, "errors": errors}
        raise Refused("PREFLIGHT_FAILED", "Merge failed", **refused)


COMMANDS: Mapping[str, Command] = {
    "contract-version": contract_version,
    "mission-state": mission_state,
    "list-ready": list_ready,
    "resolve-workspace": resolve_workspace,
    "start-implementation": start_implementation,
    "start-review": start_review,
    "transition": transition,
    "append-history": append_history,
    "accept-mission": accept_mission,
    "merge-mission": merge_mission,
}


def _lane(host: FakeHost, mission: Record, wp: Record) -> Record:
    branch = host.branch(mission, wp)
    return {"lane_id": wp["lane_id"], "lane_branch": branch, "lane_base_ref": mission["target"]}


def _unsatisfied(mission: Record, wp: Record) -> list[str]:
    settled = {wp_id for wp_id, other in mission["wps"].items() if other["lane"] in SETTLED}
    return [name for name in wp["dependencies"] if name not in settled]


def _no_lane(mission: Record, wp_id: str, reason: str) -> NoReturn:
    raise Refused("LANE_ALLOCATION_FAILED", reason, **about(mission), wp_id=wp_id, reason=reason)
