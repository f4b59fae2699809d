"""The cases that a host is put through, in their order, and the mission that they are about."""

from __future__ import annotations

from collections.abc import Mapping

from spec_kitty_orchestrator import __version__
from spec_kitty_orchestrator.demo.project import PlannedWorkPackage, ProjectPlan

from .case import ACTOR, MISSION, Case, Stage, merge, move, no_move, ready, review, start, start_review, state

PLAN = ProjectPlan(
    "conformance",
    (
        PlannedWorkPackage("WP01", "First", "Write first.txt.", ("first.txt",), ("Write it", "Read it")),
        PlannedWorkPackage("WP02", "Second", "Write second.txt.", ("second.txt",), dependencies=("WP01",)),
    ),
)
SUBTASKS: Mapping[str, tuple[str, ...]] = {"WP01": ("T001", "T002"), "WP02": ("T003",)}

APART = Stage(
    (
        Case(
            "contract_version_success",
            "contract-version",
            ("--provider-version", __version__),
            "contract_version_success",
        ),
        Case(
            "error_contract_mismatch",
            "contract-version",
            ("--provider-version", "0.0.1"),
            "error_contract_mismatch",
            "CONTRACT_VERSION_MISMATCH",
            why="an orchestrator that is too old",
        ),
        Case("error_usage", "mission-state", (), "error_usage", "USAGE_ERROR", why="a missing option"),
    )
)
"""What can be asked without a project."""

JOURNEY = (
    Stage(
        (
            Case(
                "error_mission_not_found",
                "mission-state",
                ("--mission", "999-nope"),
                "error_mission_not_found",
                "MISSION_NOT_FOUND",
                why="a mission that does not exist",
            ),
            state("mission_state_planned", planned=2),
            ready("list_ready_success", "WP01", "WP02 depends on WP01, which is planned"),
            Case(
                "resolve_workspace_success",
                "resolve-workspace",
                (*MISSION, "--wp", "WP01"),
                "resolve_workspace_success",
                expected={"wp_id": "WP01"},
            ),
            Case(
                "error_policy_required",
                "start-implementation",
                (*MISSION, "--wp", "WP01", *ACTOR),
                "error_policy_required",
                "POLICY_METADATA_REQUIRED",
                why="a start without policy metadata",
            ),
            start(
                "unknown_work_package",
                "WP99",
                shape="error_mission_not_found",
                error="WP_NOT_FOUND",
                why="a work package that does not exist",
            ),
        )
    ),
    Stage(
        (
            start(
                "error_dependencies_not_satisfied",
                "WP02",
                shape="error_dependencies_not_satisfied",
                error="DEPENDENCIES_NOT_SATISFIED",
                expected={"unsatisfied_dependencies": ["WP01"]},
                why="a start before its dependencies are approved or done",
            ),
            Case(
                "error_mission_not_ready",
                "accept-mission",
                (*MISSION, *ACTOR),
                "error_mission_not_ready",
                "MISSION_NOT_READY",
                expected={"incomplete_wps": ["WP01", "WP02"]},
                why="acceptance before all work packages are approved or done",
            ),
            merge("error_preflight_failed", "a merge before there is anything to merge"),
            no_move("error_transition_rejected", "in_progress", "a move that skips a lane"),
        )
    ),
    Stage(
        (
            start(
                "start_implementation_success",
                expected={"wp_id": "WP01", "from_lane": "planned", "to_lane": "in_progress", "no_op": False},
            ),
        )
    ),
    Stage(
        (
            start(
                "start_again", expected={"from_lane": "in_progress", "no_op": True}, why="it is ours already"
            ),
            start(
                "error_wp_already_claimed",
                actor=("--actor", "somebody-else"),
                shape="error_wp_already_claimed",
                error="WP_ALREADY_CLAIMED",
                expected={"claimed_by": "conformance", "requesting_actor": "somebody-else"},
                why="a start of what another actor holds",
            ),
            no_move("handover_without_commit", "for_review", "a hand-over without a commit"),
            Case(
                "append_history_success",
                "append-history",
                (*MISSION, "--wp", "WP01", *ACTOR, "--note", "two\nlines"),
                "append_history_success",
                expected={"wp_id": "WP01"},
            ),
        )
    ),
    Stage(
        (
            start(
                "error_lane_allocation_failed",
                shape="error_lane_allocation_failed",
                error="LANE_ALLOCATION_FAILED",
                why="a start on a workspace with uncommitted changes",
            ),
        ),
        before=(("edit", "WP01"),),
    ),
    Stage(
        (
            no_move(
                "handover_with_open_subtasks",
                "for_review",
                "a hand-over with unmarked subtasks",
                "--subtasks-complete",
            ),
        ),
        before=(("commit", "WP01"),),
    ),
    Stage((move("transition_success", "for_review", came="in_progress"),), before=(("mark", "WP01"),)),
    Stage((no_move("handover_again", "for_review", "a move that has landed already"),)),
    Stage((start_review("start_review_success"),)),
    Stage(
        (
            start_review("start_review_again", again=True),
            no_move("approval_without_evidence", "approved", "an approval without a review result"),
            no_move("done_without_evidence", "done", "a move to done without a review result"),
            no_move(
                "approval_of_a_rejection",
                "done",
                "a move to done with a review result that requests changes",
                *review("changes_requested", "review/WP01/1"),
            ),
            no_move("return_without_result", "in_progress", "a return to work without a review result"),
        )
    ),
    Stage(
        (
            move(
                "send_back",
                "in_progress",
                *review("changes_requested", "review/WP01/1"),
                *("--note", "Say it in two lines."),
                came="in_review",
            ),
        )
    ),
    Stage((move("handover_after_rework", "for_review", came="in_progress"),)),
    Stage((start_review("start_review_after_rework"),)),
    Stage((move("approve", "approved", *review("approved", "review/WP01/2"), came="in_review"),)),
    Stage(
        (
            state("mission_state_success", planned=1, approved=1),
            ready("list_ready_after_approval", "WP02", "WP01, on which it depends, is approved"),
            no_move("late_done_without_evidence", "done", "a move from approved to done without evidence"),
        )
    ),
    Stage((start("start_dependent", "WP02", expected={"wp_id": "WP02", "no_op": False}),)),
    Stage(
        (move("handover_dependent", "for_review", wp_id="WP02", came="in_progress"),),
        before=(("edit", "WP02"), ("commit", "WP02"), ("mark", "WP02")),
    ),
    Stage((start_review("start_review_dependent", "WP02"),)),
    Stage(
        (
            move(
                "finish",
                "done",
                *review("approved", "review/WP02/1", evidence=True),
                wp_id="WP02",
                came="in_review",
            ),
        )
    ),
    Stage(
        (
            Case(
                "accept_mission_success",
                "accept-mission",
                (*MISSION, *ACTOR),
                "accept_mission_success",
                expected={"accepted": True, "approved_wps": ["WP01"], "done_wps": ["WP02"]},
            ),
        )
    ),
    Stage(
        (
            Case(
                "merge_mission_success",
                "merge-mission",
                (*MISSION, "--strategy", "merge"),
                "merge_mission_success",
                expected={"merged": True},
            ),
        )
    ),
    Stage((state("mission_state_merged", done=2), merge("merge_again", "a second merge"))),
)
"""The life of a mission of two work packages, from planned to merged, and all that is refused on the way."""

STAGES = (APART, *JOURNEY)
CASES = tuple(case for stage in STAGES for case in stage.cases)
