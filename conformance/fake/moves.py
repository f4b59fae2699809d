"""The moves of a work package from lane to lane, and the guards that stand in the way."""

from __future__ import annotations

from .checks import Options, Record, about, evidence_of, policy_checked, reject, require_actor, review_of
from .host import FakeHost
from .rules import ALIASES, LANES, NEED_POLICY, NEIGHBOURS, SETTLED, UNREACHABLE, Crash, Refused

NO_EVIDENCE = "Transition to approved/done requires evidence (reviewer identity and approval reference)"


def transition(host: FakeHost, options: Options, noise: list[str]) -> Record:
    to = ALIASES.get(options["--to"], options["--to"])
    if to not in LANES and to not in UNREACHABLE:
        raise Crash(f"ValueError: Unknown lane: '{to}'")
    if to in NEED_POLICY or options.get("--policy"):
        policy_checked("transition", options, f"when transitioning to '{to}'")
    review = review_of(options)
    mission, wp = host.find_wp(options)
    require_actor(options)
    before = wp["lane"]
    if "--force" in options:
        if not options.get("--note"):
            reject("Force transitions require actor and reason")
    else:
        _check_move(before, to, options, review)
        if to == "for_review":
            _check_handover(host, mission, options["--wp"])
    wp["lane"] = to
    if to in ("claimed", "in_progress"):
        wp["holder"] = options["--actor"]
    elif to == "planned":
        wp["holder"] = None
    return {
        **about(mission),
        "wp_id": options["--wp"],
        "from_lane": before,
        "to_lane": to,
        "policy_metadata_recorded": bool(options.get("--policy")),
    }


def _check_move(before: str, to: str, options: Options, review: Record | None) -> None:
    if to not in NEIGHBOURS[before]:
        reject(f"Illegal transition: {before} -> {to}")
    if before == "in_review":
        _check_review(to, options, review)
    elif to in SETTLED and evidence_of(options) is None:
        reject(NO_EVIDENCE)
    elif before == "approved" and to == "in_progress" and not options.get("--review-ref"):
        reject("Transition requires review_ref (review feedback reference)")
    elif before == "in_progress" and to == "planned" and not options.get("--note"):
        reject("Transition in_progress -> planned requires reason")


def _check_review(to: str, options: Options, review: Record | None) -> None:
    if review is None:
        reject("Transition from in_review requires review_result (structured review outcome)")
    if options.get("--review-ref") not in (None, "", review["reference"]):
        reject("review_ref does not match the reference of the review result")
    if to in SETTLED and review["verdict"] != "approved":
        reject(NO_EVIDENCE)
    evidence = evidence_of(options)
    if evidence is not None and any(evidence[name] != review[name] for name in review):
        reject("evidence does not agree with the review result")


def _check_handover(host: FakeHost, mission: Record, wp_id: str) -> None:
    wp = mission["wps"][wp_id]
    branch, base = host.branch(mission, wp), mission["target"]
    if not host.workspaces.has_commit(host.workspace(mission, wp), branch, base):
        raise Refused(
            "TRANSITION_REJECTED",
            f"{wp_id} cannot move to for_review: no implementation commit on lane {wp['lane_id']} ({branch}) "
            f"beyond {base}. Commit the work in the lane worktree first, or pass --force if there is "
            "genuinely nothing to commit.",
            **about(mission),
            wp_id=wp_id,
            lane_id=wp["lane_id"],
        )
    if not all(wp["subtasks"].values()):
        reject("Transition in_progress -> for_review requires completed subtasks or force with reason")
