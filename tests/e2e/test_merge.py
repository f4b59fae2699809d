"""On the real host: an accepted mission is merged when that is asked for, or all is left as it was."""

from __future__ import annotations

import subprocess
import time

import pytest

from spec_kitty_orchestrator.demo.project import PlannedWorkPackage, ProjectPlan

pytestmark = pytest.mark.e2e

AGENTS = {"implementation": ["claude-code"], "review": ["codex"]}


def _plan(name, topology="lanes"):
    def planned(wp_id):
        name = wp_id.lower()
        return PlannedWorkPackage(
            wp_id, f"Write {name}", f"Write `{name}.txt`.", (f"{name}.txt",), ("Write it",)
        )

    return ProjectPlan(name, (planned("WP01"), planned("WP02")), topology=topology)


def _enter(enter, project, **settings):
    arena = enter(project)
    arena.settings({"agents": AGENTS, "refresh_seconds": 3600, **settings})
    arena.agent("claude", {})
    arena.agent("codex", {})
    return arena


def _refs(arena):
    """What a refused merge must leave as it is."""
    refs = arena.project.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    lanes = [ref for ref in refs if not ref.startswith(f"refs/heads/kitty/mission-{arena.project.mission} ")]
    return lanes, arena.project.git("worktree", "list")


def _with(arena, **merge):
    arena.settings({"agents": AGENTS, "refresh_seconds": 3600, "merge": merge})


def test_each_refusal_is_told_and_leaves_all_as_it_was_until_it_is_merged_and_pushed(
    enter, trace, template, tmp_path
):
    arena = _enter(enter, template(_plan("merge")))
    git, mission = arena.project.git, arena.project.mission
    (arena.root / "notes.md").write_text("ours\n")
    git("add", "notes.md")
    git("commit", "-q", "-m", "Notes")
    ended = arena.orchestrate()
    assert ended.returncode == 0, ended.text
    assert f"merge it with: spec-kitty orchestrator-api merge-mission --mission {mission}" in ended.text
    before, branch = _refs(arena), git("branch", "--show-current").strip()
    calls = len(arena.host_calls())

    # What the repository tells is told before the host is asked for anything.
    (arena.root / "notes.md").write_text("changed\n")
    ended = arena.orchestrate("--merge")
    assert ended.returncode == 2, ended.text
    told = f"{branch} is checked out here with changes that nobody has committed: notes.md"
    assert told in ended.stderr
    git("checkout", "-q", "notes.md")
    for merge, told in (
        ({"target": "nope"}, "there is no branch nope here to merge into"),
        ({"push": True}, "merge.push: there is no remote `origin` to push to"),
    ):
        _with(arena, **merge)
        ended = arena.orchestrate("--merge")
        assert ended.returncode == 2, ended.text
        assert told in ended.stderr
    assert len(arena.host_calls()) == calls
    _with(arena)

    # What only shows at the end is told there; the mission stays accepted.
    lane = next((arena.root / ".worktrees").iterdir())
    (lane / "precious.txt").write_text("nobody has committed it\n")
    ended = arena.orchestrate("--merge")
    assert ended.returncode == 1, ended.text
    assert "which the host removes, holds precious.txt" in ended.text
    assert (lane / "precious.txt").exists()
    (lane / "precious.txt").unlink()
    held = arena.root / ".git" / "index.lock"
    held.touch()
    ended = arena.orchestrate("--merge")
    assert ended.returncode == 2, ended.text
    assert "there is .git/index.lock" in ended.text
    held.unlink()
    (arena.root / "wp01.txt").write_text("something else\n")
    git("add", "wp01.txt")
    git("commit", "-q", "-m", "In the way")
    ended = arena.orchestrate("--merge")
    assert ended.returncode == 1, ended.text
    assert f"mission {mission} was not merged:" in ended.text
    assert "CONFLICT (add/add): Merge conflict in wp01.txt" in ended.text
    assert f"orchestrate --mission {mission} --merge" in ended.text
    _with(arena, strategy="squash")  # which would not even ask
    ended = arena.orchestrate("--merge")
    assert ended.returncode == 1, ended.text
    assert f"a squash would undo what {branch} has changed since in wp01.txt" in ended.text
    _with(arena)
    git("reset", "-q", "--hard", "HEAD~1")
    assert _refs(arena) == before
    assert arena.lanes() == {"WP01": "done", "WP02": "done"}
    assert "finished, the mission is accepted" in arena.run("status").stdout

    origin = tmp_path / "origin.git"
    subprocess.run(["git", "init", "-q", "--bare", str(origin)], check=True)
    git("remote", "add", "origin", str(origin))
    _with(arena, when_accepted=True, push=True)
    ended = arena.orchestrate()
    assert ended.returncode == 0, ended.text
    tip = git("rev-parse", branch).strip()
    assert f"mission {mission} merged into {branch} (merge), {tip[:12]} and pushed" in ended.text
    assert git("show", f"{branch}:wp01.txt") == "WP01, attempt 1\n"
    assert (
        subprocess.run(
            ["git", "-C", str(origin), "rev-parse", branch], capture_output=True, text=True, check=True
        ).stdout.strip()
        == tip
    )
    meta = arena.project.planning_dir / "meta.json"
    assert "accept" in meta.read_text()  # which the merge had put back
    assert [event["target"] for event in arena.events() if event["event"] == "MissionMerged"] == [branch]

    merges = sum("merge-mission" in call for call in arena.host_calls())
    ended = arena.orchestrate()
    assert ended.returncode == 0, ended.text
    assert f"mission {mission} was merged into {branch} before" in ended.text
    assert sum("merge-mission" in call for call in arena.host_calls()) == merges
    assert trace.survivors() == []


def test_a_push_that_fails_is_told_and_the_merge_stands(enter, template):
    arena = _enter(enter, template(_plan("push")), merge={"push": True, "strategy": "squash"})
    arena.project.git("remote", "add", "origin", str(arena.root / "nowhere"))
    ended = arena.orchestrate("--merge")
    assert ended.returncode == 1, ended.text
    branch = arena.project.git("branch", "--show-current").strip()
    assert f"is in {branch}, " in ended.text
    assert f"whether it was pushed is not known; if not: git push origin {branch}" in ended.text
    assert (arena.root / "wp02.txt").read_text() == "WP02, attempt 1\n"

    arena.project.git("remote", "set-url", "origin", str(arena.root / ".git"))
    again = arena.orchestrate("--merge")  # its lanes are all there still
    assert again.returncode == 0, again.text
    assert f"was merged into {branch} before" in again.text
    assert sum("merge-mission" in call for call in arena.host_calls()) == 1


def test_a_run_that_is_killed_while_the_host_merges_finds_it_merged(enter, trace, template):
    arena = _enter(enter, template(_plan("killed")), merge={"strategy": "squash"})
    process = arena.start("orchestrate", "--mission", arena.project.mission, "--merge")
    tip = arena.project.git("rev-parse", "HEAD")
    while arena.project.git("rev-parse", "HEAD") == tip or not (arena.root / "wp01.txt").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.kill()
    process.communicate()
    while trace.survivors():
        time.sleep(0.1)
    again = arena.orchestrate("--merge")
    assert again.returncode == 0, again.text
    assert "was merged into" in again.text
    assert sum("merge-mission" in call for call in arena.host_calls()) == 1


def test_a_red_check_on_the_merged_tree_is_told_and_nothing_is_undone(enter, template):
    """Each lane is green by itself: only together they are not."""
    both = ["sh", "-c", "test ! -e wp01.txt || test ! -e wp02.txt || { echo never both; exit 3; }"]
    arena = _enter(enter, template(_plan("red")), checks=[both], merge={"strategy": "squash"})
    ended = arena.orchestrate("--merge")
    assert ended.returncode == 1, ended.text
    assert "failed (exit status 3); nothing was undone" in ended.text
    assert "never both" in ended.text
    assert (arena.root / "wp01.txt").exists()
    assert (arena.root / "wp02.txt").exists()
    again = arena.orchestrate("--merge")
    assert again.returncode == 0, again.text
    assert "was merged into" in again.text


def test_what_the_host_accepts_only_once_it_is_merged_is_merged_and_accepted(enter, template):
    project = template(_plan("merge-coord", topology="coord"))
    arena = _enter(enter, project)
    name = f"{project.mission}-coord"
    folder, git_dir = arena.root / ".worktrees" / name, arena.root / ".git" / "worktrees" / name
    (folder / ".git").write_text(f"gitdir: {git_dir}\n")
    (git_dir / "gitdir").write_text(f"{folder / '.git'}\n")
    ended = arena.orchestrate("--merge")
    assert ended.returncode == 0, ended.text
    assert "accepted, once it was merged: 2 work packages" in ended.text
    assert (arena.root / "wp01.txt").exists()
