"""On the real host: what its own guards let through as done (see conformance/README.md) is not done here."""

from __future__ import annotations

import subprocess

import pytest

from spec_kitty_orchestrator.demo.project import PlannedWorkPackage, ProjectPlan

pytestmark = pytest.mark.e2e

AGENTS = {"implementation": ["claude-code"], "review": ["codex", "opencode"], "max_retries": 1}
AFTER = {"WP01": (), "WP02": ("WP01",), "WP03": (), "WP04": (), "WP05": (), "WP06": ()}


def _plan():
    def planned(wp_id, waits):
        name = wp_id.lower()
        return PlannedWorkPackage(
            wp_id, f"Write {name}", f"Write `{name}.txt`.", (f"{name}.txt",), ("Write it",), waits
        )

    return ProjectPlan("honest", tuple(planned(wp_id, waits) for wp_id, waits in AFTER.items()))


def test_done_means_that_this_commit_was_judged_on_its_branch_by_somebody_who_changed_nothing(
    enter, trace, template
):
    arena = enter(template(_plan()))
    check = ["sh", "-c", "! grep -q broken *.txt || { echo it says broken; exit 1; }"]
    arena.settings({"agents": AGENTS, "refresh_seconds": 3600, "checks": [check]})
    arena.agent(
        "claude",
        {
            # A rework that is not committed.
            "WP01": {"implementation": [{}, {"commit": False}, {}]},
            # A dependent that commits nothing, whose lane holds another's commits.
            "WP02": {"implementation": [{"files": {}, "commit": False}]},
            # Work on another branch of the worktree.
            "WP03": {
                "implementation": [
                    {"run": ["git", "switch", "-q", "-c", "mine"]},
                    {"run": ["git", "switch", "-q", "-"]},
                ]
            },
            "WP06": {"implementation": [{"files": {"wp06.txt": "broken\n"}}, {}]},
        },
    )
    arena.agent(
        "codex",
        {
            "WP01": {"review": [{"verdict": "changes_requested", "feedback": "mend wp01.txt:1"}, {}]},
            "WP04": {"review": [{"run": ["git", "commit", "-q", "--allow-empty", "-m", "Mine"]}]},
            "WP05": {"review": [{"run": ["sh", "-c", "echo mine >> wp05.txt"]}]},
            "WP06": {"review": [{"run": ["sh", "-c", "echo mine > scratch.txt"]}]},
        },
    )
    arena.agent("opencode", {})

    ended = arena.orchestrate()

    assert ended.returncode == 1, ended.text
    assert arena.lanes() == {**dict.fromkeys(AFTER, "done"), "WP02": "blocked"}, ended.text
    assert trace.survivors() == []
    branches = {wp_id: _branch_of(arena, wp_id) for wp_id in AFTER}
    judged = {event["wp_id"]: event for event in arena.events() if event["event"] == "VerdictGiven"}
    heads = {wp_id: arena.project.git("rev-parse", branch).strip() for wp_id, branch in branches.items()}
    assert {wp_id: each["commit"] for wp_id, each in judged.items()} == {
        wp_id: head for wp_id, head in heads.items() if wp_id != "WP02"
    }

    # The rework that was not committed went back, and what was reviewed is what is in the branch.
    assert arena.project.git("show", f"{branches['WP01']}:wp01.txt") == "WP01, attempt 3\n"
    third = arena.prompts("claude", "WP01", "implementation")[2]
    assert "- wp01.txt" in third
    assert "mend wp01.txt:1" in third
    # The dependent is named with its commit, which is its dependency's.
    assert "WP02" in ended.text
    assert f"it stands at {heads['WP01']}" in arena.prompts("claude", "WP02", "implementation")[1]
    assert arena.prompts("codex", "WP02", "review") == []
    # The branch that the agent made is not the one that counts.
    assert f"the branch mine is checked out, not {branches['WP03']}" in ended.text
    assert arena.project.git("show", f"{branches['WP03']}:wp03.txt") == "WP03, attempt 2\n"
    # A reviewer that changes what it judges is void, told to the implementer, and asked last.
    for wp_id, words in (("WP04", "HEAD was"), ("WP05", "- wp05.txt")):
        assert words in arena.prompts("claude", wp_id, "implementation")[1]
        assert judged[wp_id]["reviewer"] == "opencode"
        assert len(arena.prompts("codex", wp_id, "review")) == 1
    # The project's own check was red once, and the reviewer's scratch file is kept, elsewhere.
    assert "it says broken" in arena.prompts("claude", "WP06", "implementation")[1]
    assert judged["WP06"]["reviewer"] == "codex"
    (kept,) = (arena.root / ".kittify" / "logs").glob("*/WP06-left/scratch.txt")
    assert kept.read_text() == "mine\n"
    # What was judged is what the host recorded.
    recorded = subprocess.run(
        ["grep", "-rhoE", r'"commit": "[0-9a-f]{40}"', str(arena.root / "kitty-specs")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert all(head in recorded for wp_id, head in heads.items() if wp_id != "WP02")


def _branch_of(arena, wp_id):
    prompt = arena.prompts("claude", wp_id, "implementation")[0]
    return prompt.partition("Your branch: ")[2].partition(",")[0]


PLANT = """
common=$(git rev-parse --git-common-dir); own=$(git rev-parse --git-dir)
cp -a "$common" "$1/evil"
git config -f "$1/evil/config" core.fsmonitor "touch $1/planted; true"
echo "$1/evil" > "$own/commondir"
"""
"""Whoever runs git in the worktree after this runs a command of the agent's."""


def test_an_agent_that_would_have_the_next_git_command_run_its_own_is_stopped_short(enter, trace, apart):
    """Told by name, and neither the host nor we run git there any more."""
    arena = enter(apart(1))
    arena.settings({"agents": {**AGENTS, "review": ["codex"]}, "refresh_seconds": 3600})
    arena.agent("claude", {})
    arena.agent("codex", {"WP01": {"review": [{"run": ["sh", "-c", PLANT, "sh", str(arena.folder)]}]}})

    ended = arena.orchestrate()

    assert ended.returncode == 1, ended.text
    assert arena.lanes() == {"WP01": "in_review"}
    assert "commondir" in ended.text
    assert "WP01" in ended.text
    assert (arena.folder / "evil").is_dir()
    assert not (arena.folder / "planted").exists()
    assert trace.survivors() == []
    # The plant works: it is what a git command there would do.
    (workspace,) = (arena.root / ".worktrees").iterdir()
    subprocess.run(["git", "status"], cwd=workspace, capture_output=True, check=False)
    assert (arena.folder / "planted").exists()
