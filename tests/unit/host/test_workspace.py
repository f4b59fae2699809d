"""An agent is only let loose in the worktree that the host made for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from spec_kitty_orchestrator.errors import WorkspaceError
from spec_kitty_orchestrator.host.contract.payloads import ResolveWorkspace
from spec_kitty_orchestrator.host.workspace import Workspace, check_workspace, read_prompt

BRANCH = "kitty/mission-m-lane-a"


@pytest.fixture
def said(tmp_path: Path) -> ResolveWorkspace:
    """A repository with one good worktree, as git lays it out."""
    git_dir = tmp_path / ".git" / "worktrees" / "m-lane-a"
    git_dir.mkdir(parents=True)
    (git_dir / "HEAD").write_text(f"ref: refs/heads/{BRANCH}\n")
    workspace = tmp_path / ".worktrees" / "m-lane-a"
    workspace.mkdir(parents=True)
    (workspace / ".git").write_text(f"gitdir: {git_dir}\n")
    prompt = tmp_path / "planning" / "m" / "tasks" / "WP01.md"
    prompt.parent.mkdir(parents=True)
    prompt.write_text("# WP01\n")
    return ResolveWorkspace(
        mission_slug="m",
        mission_number=None,
        mission_type="software-dev",
        wp_id="WP01",
        workspace_path=str(workspace),
        prompt_path=str(prompt),
        lane_branch=BRANCH,
        lane_base_ref="main",
    )


def test_the_hosts_worktree_is_accepted(said: ResolveWorkspace, tmp_path: Path) -> None:
    found = check_workspace(said, tmp_path)
    assert found == Workspace(
        path=tmp_path / ".worktrees" / "m-lane-a",
        git_dir=tmp_path / ".git" / "worktrees" / "m-lane-a",
        common_git_dir=tmp_path / ".git",
        branch=BRANCH,
        base="main",
        prompt_file=Path(said.prompt_path),
    )
    assert found.planning_dir == tmp_path / "planning" / "m"
    assert read_prompt(found) == "# WP01\n"


def _make_plain(workspace: Path) -> None:
    (workspace / ".git").unlink()


def _own_repository(workspace: Path) -> None:
    (workspace / ".git").unlink()
    (workspace / ".git").mkdir()


def _other_branch(workspace: Path) -> None:
    (workspace.parents[1] / ".git/worktrees/m-lane-a/HEAD").write_text("ref: refs/heads/main\n")


def _detached(workspace: Path) -> None:
    (workspace.parents[1] / ".git/worktrees/m-lane-a/HEAD").write_text("0" * 40 + "\n")


def _broken(workspace: Path) -> None:
    (workspace.parents[1] / ".git/worktrees/m-lane-a/HEAD").unlink()


def _other_repository(workspace: Path) -> None:
    other = workspace.parents[1] / "elsewhere" / ".git" / "worktrees" / "m-lane-a"
    other.mkdir(parents=True)
    (workspace / ".git").write_text(f"gitdir: {other}\n")


def _no_git_dir(workspace: Path) -> None:
    (workspace / ".git").write_text("nonsense\n")


def _binary(workspace: Path) -> None:
    (workspace / ".git").write_bytes(b"gitdir: \xff\xfe")


DAMAGE = {
    "a plain folder": (_make_plain, "is a plain folder, not a worktree"),
    "a repository of its own": (_own_repository, "is a plain folder, not a worktree"),
    "another branch": (_other_branch, f"has main checked out, not {BRANCH}"),
    "a detached HEAD": (_detached, "detached HEAD"),
    "no HEAD": (_broken, "is broken"),
    "another repository's worktree": (_other_repository, "belongs to"),
    "a .git file without a folder": (_no_git_dir, "names no git folder"),
    "a .git file that is no text": (_binary, "is broken"),
}


@pytest.mark.parametrize(("damage", "says"), DAMAGE.values(), ids=DAMAGE.keys())
def test_anything_else_is_refused_with_the_repair(
    said: ResolveWorkspace, tmp_path: Path, damage: object, says: str
) -> None:
    assert callable(damage)
    damage(Path(said.workspace_path))
    with pytest.raises(WorkspaceError, match=says) as caught:
        check_workspace(said, tmp_path)
    assert "WP01" in caught.value.message
    assert "git worktree prune" in caught.value.remedy


@pytest.mark.parametrize("where", ["/", "/tmp", "..", "."])
def test_a_workspace_outside_of_the_repository_is_refused(
    said: ResolveWorkspace, tmp_path: Path, where: str
) -> None:
    outside = evolve(said, workspace_path=str(tmp_path / where))
    with pytest.raises(WorkspaceError, match="is not inside the repository"):
        check_workspace(outside, tmp_path)


def test_a_symlink_that_leads_out_of_the_repository_is_refused(
    said: ResolveWorkspace, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    link = tmp_path / ".worktrees" / "link"
    link.symlink_to(tmp_path_factory.mktemp("outside"))
    with pytest.raises(WorkspaceError, match="is not inside the repository"):
        check_workspace(evolve(said, workspace_path=str(link)), tmp_path)


def test_a_missing_workspace_is_refused(said: ResolveWorkspace, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="does not exist"):
        check_workspace(evolve(said, workspace_path=str(tmp_path / "gone")), tmp_path)


def test_a_missing_prompt_file_is_refused(said: ResolveWorkspace, tmp_path: Path) -> None:
    found = check_workspace(said, tmp_path)
    found.prompt_file.unlink()
    with pytest.raises(WorkspaceError, match="cannot read the prompt file"):
        read_prompt(found)


def test_a_prompt_file_outside_of_the_repository_is_refused(said: ResolveWorkspace, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="is not inside"):
        check_workspace(evolve(said, prompt_path="/etc/passwd"), tmp_path)


def test_a_sandboxed_agent_writes_to_the_refs_of_its_own_branch_and_not_to_others(
    said: ResolveWorkspace, tmp_path: Path
) -> None:
    git = tmp_path / ".git"
    for top in ("refs/heads/kitty", "logs/refs/heads/kitty"):
        (git / top).mkdir(parents=True)
    assert check_workspace(said, tmp_path).written_outside == (
        git / "objects",
        git / "refs/heads/kitty",
        git / "logs/refs/heads/kitty",
        git / "spec-kitty-locks",
        git / "worktrees/m-lane-a",
        tmp_path / "planning/m",
    )


def test_where_git_packed_the_refs_the_folder_above_is_written_to(
    said: ResolveWorkspace, tmp_path: Path
) -> None:
    (tmp_path / ".git/refs/heads").mkdir(parents=True)
    assert tmp_path / ".git/refs/heads" in check_workspace(said, tmp_path).written_outside


def test_what_says_where_git_looks_is_kept_from_writing_as_far_as_it_is_there(
    said: ResolveWorkspace, tmp_path: Path
) -> None:
    found = check_workspace(said, tmp_path)
    assert found.kept_from_writing == ()
    for name in ("commondir", "gitdir", "config.worktree"):
        (found.git_dir / name).touch()
    assert [path.name for path in found.kept_from_writing] == ["commondir", "gitdir", "config.worktree"]
