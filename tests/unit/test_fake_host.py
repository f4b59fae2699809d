"""The fake host beyond the suite's cases: what the real one was seen to do when it is misused."""

from __future__ import annotations

import ast
import graphlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.fake.command_line import respond
from conformance.fake.host import FakeHost
from conformance.fake.in_process import make_fake_project
from conformance.fake.rules import LANES, TARGET_BRANCH
from conformance.fake.workspaces import GitWorkspaces

POLICY = json.dumps(
    {
        "orchestrator_id": "o", "orchestrator_version": "1", "agent_family": "f",
        "approval_mode": "supervised",
        "sandbox_mode": "none", "network_mode": "none", "dangerous_flags": [],
    }
)  # fmt: skip
APPROVED = '{"reviewer": "r", "verdict": "approved", "reference": "x"}'
REJECTED = APPROVED.replace("approved", "changes_requested")
EVIDENCE = f'{{"review": {APPROVED}}}'


@pytest.fixture
def fake(tmp_path: Path) -> FakeHost:
    return make_fake_project(tmp_path, {"WP01": [], "WP02": ["WP01"]})


def ask(fake: FakeHost, command: str, *args: str, mission: str | None = None) -> dict[str, Any]:
    """The envelope of a reply."""
    about = ("--mission", fake.slug if mission is None else mission)
    said = respond(fake, ["orchestrator-api", command, *about, *args])
    envelope: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
    assert said.returncode == (
        0 if envelope["success"] else 2 if envelope["command"].endswith("unknown") else 1
    )
    return envelope


def move(fake: FakeHost, to: str, *args: str) -> str:
    """The error code of a move of WP01, or the lane where it is now."""
    said = ask(fake, "transition", "--wp", "WP01", "--actor", "me", "--to", to, "--policy", POLICY, *args)
    return str(said["error_code"] or fake.lane("WP01"))


NO = "TRANSITION_REJECTED"
MOVES: list[tuple[str, str, tuple[str, ...], str]] = [
    ("planned", "claimed", (), "claimed"),
    ("planned", "in_progress", (), NO),
    ("planned", "planned", (), NO),
    ("planned", "canceled", (), "canceled"),
    ("planned", "doing", (), NO),
    ("planned", "genesis", (), NO),
    ("claimed", "planned", ("--note", "x"), NO),
    ("claimed", "blocked", (), "blocked"),
    ("in_progress", "planned", (), NO),
    ("in_progress", "planned", ("--note", "x"), "planned"),
    ("in_progress", "for_review", (), NO),
    ("in_progress", "for_review", ("--force",), NO),
    ("in_progress", "for_review", ("--force", "--note", "x"), "for_review"),
    ("in_progress", "approved", ("--evidence-json", EVIDENCE), "approved"),
    ("in_progress", "approved", ("--evidence-json", '{"review": "yes"}'), NO),
    ("for_review", "in_progress", (), NO),
    ("for_review", "blocked", (), "blocked"),
    ("in_review", "approved", (), NO),
    ("in_review", "approved", ("--evidence-json", EVIDENCE), NO),
    ("in_review", "approved", ("--review-result-json", REJECTED), NO),
    ("in_review", "approved", ("--review-result-json", APPROVED), "approved"),
    ("in_review", "done", ("--review-result-json", APPROVED, "--evidence-json", EVIDENCE), "done"),
    ("in_review", "done", ("--review-result-json", APPROVED, "--review-ref", "y"), NO),
    ("in_review", "done", ("--review-result-json", '{"reviewer": "r"}'), "USAGE_ERROR"),
    ("in_review", "done", ("--review-result-json", "{"), "USAGE_ERROR"),
    ("in_review", "in_progress", ("--review-result-json", REJECTED), "in_progress"),
    ("in_review", "for_review", (), NO),
    ("in_review", "blocked", (), NO),
    ("approved", "done", (), NO),
    ("approved", "done", ("--evidence-json", EVIDENCE), "done"),
    ("approved", "in_progress", (), NO),
    ("blocked", "in_progress", (), "in_progress"),
    ("blocked", "planned", ("--note", "x"), NO),
    ("done", "in_progress", (), NO),
    ("done", "in_progress", ("--force", "--note", "reopen"), "in_progress"),
    ("canceled", "planned", ("--force", "--note", "again"), "planned"),
]


@pytest.mark.parametrize(("lane", "to", "args", "outcome"), MOVES)
def test_a_move_is_guarded_as_by_the_real_host(
    fake: FakeHost, lane: str, to: str, args: tuple[str, ...], outcome: str
) -> None:
    ask(fake, "start-implementation", "--wp", "WP01", "--actor", "me", "--policy", POLICY)
    fake.wps["WP01"]["lane"] = lane
    assert move(fake, to, *args) == outcome


@pytest.mark.parametrize("mission", ["", "a/b", "..", "a b", "de*"])
def test_an_unsafe_selector_breaks_the_host_down(fake: FakeHost, mission: str) -> None:
    said = respond(fake, ["orchestrator-api", "mission-state", "--mission", mission])
    assert (said.returncode, said.stdout) == (1, b"")
    assert said.stderr.startswith(b"Traceback")


def test_an_unknown_lane_breaks_the_host_down(fake: FakeHost) -> None:
    about = ["--mission", fake.slug, "--wp", "WP01", "--actor", "me"]
    said = respond(fake, ["orchestrator-api", "transition", *about, "--to", "nirvana"])
    assert (said.returncode, said.stdout) == (1, b"")


@pytest.mark.parametrize("selector", ["demo-01FAKE00", "demo", "01FAKE00"])
def test_a_mission_is_known_by_its_slug_its_name_and_its_id(fake: FakeHost, selector: str) -> None:
    assert ask(fake, "mission-state", mission=selector)["data"]["mission_slug"] == fake.slug


def test_several_subtasks_are_marked_at_once_and_unknown_ones_are_told(fake: FakeHost) -> None:
    mark = ["agent", "tasks", "mark-status", "T001", "T002"]
    done = ["--status", "done", "--mission", fake.slug, "--json"]
    assert respond(fake, [*mark, *done]).returncode == 0
    assert [wp["subtasks"] for wp in fake.wps.values()] == [{"T001": True}, {"T002": True}]
    said = respond(fake, [*mark, "T009", *done])
    assert (said.returncode, json.loads(said.stdout)["not_found"]) == (1, ["T009"])


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ("", "POLICY_METADATA_REQUIRED"),
        ("{", "POLICY_VALIDATION_FAILED"),
        ("{}", "POLICY_VALIDATION_FAILED"),
        (POLICY.replace('"f"', '"monkey"'), "POLICY_VALIDATION_FAILED"),
        (POLICY.replace("[]", '["--yolo"]'), "POLICY_VALIDATION_FAILED"),
        (POLICY.replace("[]", '["--allow-all"]'), None),
    ],
)
def test_a_policy_is_checked_as_by_the_real_host(fake: FakeHost, policy: str, code: str | None) -> None:
    said = ask(fake, "start-implementation", "--wp", "WP01", "--actor", "me", "--policy", policy)
    assert said["error_code"] == code


@pytest.mark.parametrize("lane", LANES)
def test_a_start_takes_up_what_is_ours_and_refuses_what_is_further(fake: FakeHost, lane: str) -> None:
    fake.wps["WP01"].update(lane=lane, holder="me")
    said = ask(fake, "start-implementation", "--wp", "WP01", "--actor", "me", "--policy", POLICY)
    startable = lane in ("planned", "claimed", "in_progress")
    assert said["error_code"] == (None if startable else "TRANSITION_REJECTED")
    assert not startable or said["data"]["no_op"] is (lane == "in_progress")


def test_sending_back_makes_the_sender_the_holder(fake: FakeHost) -> None:
    fake.wps["WP01"].update(lane="in_review", holder="implementer")
    move(fake, "in_progress", "--review-result-json", REJECTED)
    said = ask(fake, "start-implementation", "--wp", "WP01", "--actor", "implementer", "--policy", POLICY)
    assert (said["error_code"], said["data"]["claimed_by"]) == ("WP_ALREADY_CLAIMED", "me")


# Lanes that several work packages share.


@pytest.fixture
def sharing(tmp_path: Path) -> FakeHost:
    """Three independent work packages, of which the first two lie in one lane."""
    planned: dict[str, list[str]] = {"WP01": [], "WP02": [], "WP03": []}
    return make_fake_project(tmp_path, planned, lanes={"WP01": "lane-a", "WP02": "lane-a"})


def start(fake: FakeHost, wp_id: str) -> dict[str, Any]:
    return ask(fake, "start-implementation", "--wp", wp_id, "--actor", "me", "--policy", POLICY)


def place(fake: FakeHost, wp_id: str) -> tuple[str, str, str]:
    data = ask(fake, "resolve-workspace", "--wp", wp_id)["data"]
    return data["lane_id"], data["workspace_path"], data["lane_branch"]


def test_every_work_package_has_a_lane_of_its_own_unless_told_otherwise(fake: FakeHost) -> None:
    assert [place(fake, wp_id)[0] for wp_id in ("WP01", "WP02")] == ["lane-a", "lane-b"]


def test_work_packages_of_one_lane_share_folder_and_branch(sharing: FakeHost) -> None:
    first, second, third = (place(sharing, wp_id) for wp_id in ("WP01", "WP02", "WP03"))
    assert first == second
    assert not {*first} & {*third}
    paths = [start(sharing, wp_id)["data"]["workspace_path"] for wp_id in ("WP01", "WP02")]
    assert paths == [first[1]] * 2


def test_a_lane_with_half_done_work_takes_nobody_in(sharing: FakeHost) -> None:
    start(sharing, "WP01")
    sharing.change("WP01")
    refused = start(sharing, "WP02")
    assert refused["error_code"] == "LANE_ALLOCATION_FAILED"
    assert refused["data"]["reason"].startswith(f"Lane lane-a worktree at {place(sharing, 'WP02')[1]} has un")
    assert sharing.lane("WP02") == "planned"
    assert start(sharing, "WP03")["success"]
    sharing.commit("WP01")
    assert start(sharing, "WP02")["success"]


def test_a_commit_in_a_shared_lane_counts_for_all_who_lie_in_it(sharing: FakeHost) -> None:
    """The host looks for some commit beyond the base, and does not ask whose it is."""
    for wp_id in ("WP01", "WP02", "WP03"):
        start(sharing, wp_id)
        sharing.mark(wp_id)
    sharing.commit("WP01")
    codes = []
    for wp_id in ("WP01", "WP02", "WP03"):
        about = ["--wp", wp_id, "--actor", "me", "--to", "for_review", "--policy", POLICY]
        codes.append(ask(sharing, "transition", *about)["error_code"])
    assert codes == [None, None, NO]


def test_a_dependency_that_is_not_there_is_not_satisfied(fake: FakeHost) -> None:
    fake.wps["WP01"]["dependencies"] = ["WP09"]
    assert ask(fake, "list-ready")["data"]["ready_work_packages"] == []
    refused = start(fake, "WP01")
    assert refused["error_code"] == "DEPENDENCIES_NOT_SATISFIED"
    assert refused["data"]["unsatisfied_dependencies"] == ["WP09"]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A repository with one commit on the branch that missions are planned on, and git in its folders."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "test@example.invalid")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)

    def run(*args: str, folder: str | Path = tmp_path) -> str:
        return subprocess.run(["git", *args], cwd=folder, check=True, capture_output=True, text=True).stdout

    run("init", "-q", "-b", TARGET_BRANCH)
    run("commit", "-q", "--allow-empty", "-m", "begin")
    return run


def test_with_git_a_shared_lane_is_one_worktree_that_is_merged_once(
    tmp_path: Path, git: Callable[..., str]
) -> None:
    planned: list[tuple[str, list[str]]] = [
        ("WP01", []),
        ("WP02", []),
        ("WP03", ["WP01", "WP04"]),
        ("WP04", []),
    ]
    lanes = {"WP02": "lane-a", "WP03": "lane-a"}
    fake = FakeHost(planned, GitWorkspaces(tmp_path), lanes=lanes)
    where = Path(start(fake, "WP01")["data"]["workspace_path"])
    (where / "first.txt").write_text("not committed yet")
    assert start(fake, "WP02")["error_code"] == "LANE_ALLOCATION_FAILED"
    git("add", ".", folder=where)
    git("commit", "-q", "-m", "first", folder=where)
    assert start(fake, "WP02")["data"]["workspace_path"] == str(where)
    other = Path(start(fake, "WP04")["data"]["workspace_path"])
    git("commit", "-q", "--allow-empty", "-m", "other", folder=other)
    fake.wps["WP01"]["lane"] = fake.wps["WP04"]["lane"] = "done"
    assert start(fake, "WP03")["success"]
    assert "other" in git("log", "--format=%s", folder=where)
    assert ask(fake, "merge-mission")["data"]["merged"]
    assert sorted(git("log", "--format=%s", "--no-merges").split()) == ["begin", "first", "other"]


# How it is built.

SUITE = Path(__file__).parents[2] / "conformance"
MODULES = {path.relative_to(SUITE.parent).with_suffix("").parts: path for path in SUITE.rglob("*.py")}


def imported(name: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """What a module imports, wherever in it that stands: for the type checker alone counts as well."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            around = name[: -node.level] if node.level else ()
            source = (*around, *(node.module.split(".") if node.module else ()))
            yield from (source, (*source, "__init__"), *((*source, alias.name) for alias in node.names))
        elif isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)


def test_no_modules_of_the_suite_import_each_other_in_a_circle() -> None:
    arrows = {name: MODULES.keys() & set(imported(name)) - {name} for name in MODULES}
    assert ("conformance", "fake", "host") in arrows["conformance", "fake", "commands"]
    graphlib.TopologicalSorter(arrows).prepare()  # raises CycleError with the modules of a circle
