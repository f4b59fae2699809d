"""An agent is only let loose in the worktree that the host made for it."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import asdict, evolve

from spec_kitty_orchestrator.errors import WorkspaceError
from spec_kitty_orchestrator.host.contract.lanes import Lane
from spec_kitty_orchestrator.host.contract.payloads import ResolveWorkspace, StartImplementation
from spec_kitty_orchestrator.host.workspace import Workspace, check_workspace, read_prompt, still_intact

BRANCH = "kitty/mission-m-lane-a"


@pytest.fixture
def said(tmp_path: Path) -> ResolveWorkspace:
    """A repository with one good worktree, as git lays it out."""
    git_dir = tmp_path / ".git" / "worktrees" / "m-lane-a"
    git_dir.mkdir(parents=True)
    (git_dir / "HEAD").write_text(f"ref: refs/heads/{BRANCH}\n")
    (git_dir / "commondir").write_text("../..\n")
    (git_dir / "index").write_bytes(b"DIRC")
    workspace = tmp_path / ".worktrees" / "m-lane-a"
    workspace.mkdir(parents=True)
    (workspace / ".git").write_text(f"gitdir: {git_dir}\n")
    (git_dir / "gitdir").write_text(f"{workspace / '.git'}\n")
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


def _git_dir(workspace: Path) -> Path:
    return workspace.parents[1] / ".git" / "worktrees" / "m-lane-a"


def _make_plain(workspace: Path) -> None:
    (workspace / ".git").unlink()


def _own_repository(workspace: Path) -> None:
    (workspace / ".git").unlink()
    (workspace / ".git").mkdir()


def _git_file_is_a_link(workspace: Path) -> None:
    (workspace / ".git").rename(workspace / "elsewhere")
    (workspace / ".git").symlink_to("elsewhere")


def _broken(workspace: Path) -> None:
    (_git_dir(workspace) / "HEAD").unlink()


def _other_repository(workspace: Path) -> None:
    other = workspace.parents[1] / "elsewhere" / ".git" / "worktrees" / "m-lane-a"
    other.mkdir(parents=True)
    (workspace / ".git").write_text(f"gitdir: {other}\n")


def _other_worktree(workspace: Path) -> None:
    """Another worktree of the same repository."""
    shutil.copytree(_git_dir(workspace), _git_dir(workspace).with_name("m-lane-b"))
    (workspace / ".git").write_text(f"gitdir: {_git_dir(workspace).with_name('m-lane-b')}\n")
    (_git_dir(workspace).with_name("m-lane-b") / "gitdir").write_text("/m-lane-b/.git\n")


def _git_dir_is_a_link(workspace: Path) -> None:
    _git_dir(workspace).rename(workspace.parents[1] / "mine")
    _git_dir(workspace).symlink_to(workspace.parents[1] / "mine")


def _no_git_dir(workspace: Path) -> None:
    (workspace / ".git").write_text("nonsense\n")


def _binary(workspace: Path) -> None:
    (workspace / ".git").write_bytes(b"gitdir: \xff\xfe")


def _commondir_elsewhere(workspace: Path) -> None:
    (_git_dir(workspace) / "commondir").write_text(f"{workspace}/evil\n")


def _commondir_by_a_detour(workspace: Path) -> None:
    """The same folder today; whoever can write to the one on the way decides tomorrow."""
    (_git_dir(workspace) / "commondir").write_text("../../../.worktrees/m-lane-a/../../.git\n")


def _gitdir_of_another(workspace: Path) -> None:
    (_git_dir(workspace) / "gitdir").write_text(f"{workspace}-b/.git\n")


def _link_to(name: str) -> Callable[[Path], None]:
    def make_link(workspace: Path) -> None:
        file = _git_dir(workspace) / name
        file.rename(workspace / name)
        file.symlink_to(workspace / name)

    return make_link


def _own_config(text: str) -> Callable[[Path], None]:
    return lambda workspace: _write(_git_dir(workspace) / "config.worktree", text)


def _config_is_a_link(workspace: Path) -> None:
    (_git_dir(workspace) / "config.worktree").symlink_to("nowhere")


def _write(path: Path, text: str) -> None:
    path.write_text(text)


DAMAGE = {
    "a plain folder": (_make_plain, "is a plain folder, not a worktree"),
    "a repository of its own": (_own_repository, "is a plain folder, not a worktree"),
    "a link for a .git file": (_git_file_is_a_link, "is a plain folder, not a worktree"),
    "no HEAD": (_broken, "is broken"),
    "another repository's worktree": (_other_repository, "belongs to"),
    "another worktree": (_other_worktree, "belongs to|is not the one that"),
    "a link for a git folder": (_git_dir_is_a_link, "belongs to"),
    "a .git file without a folder": (_no_git_dir, "names no git folder"),
    "a .git file that is no text": (_binary, "is broken"),
    "commondir elsewhere": (_commondir_elsewhere, "has been tampered with: .*commondir"),
    "commondir by a detour": (_commondir_by_a_detour, "has been tampered with: .*commondir"),
    "gitdir of another": (_gitdir_of_another, "is not the one that .*gitdir names"),
    **{
        f"a link for {name}": (_link_to(name), f"is broken: .*{name} is missing or no regular file")
        for name in ("HEAD", "index", "commondir", "gitdir")
    },
    "a config with a command": (_own_config("[core]\n\tfsmonitor = evil\n"), "has a config of its own"),
    "a config that includes": (_own_config("[include]\n\tpath = evil\n"), "has a config of its own"),
    "a config with more than sparse": (
        _own_config("[core]\n\tsparseCheckout = true\n\thooksPath = evil\n"),
        "has a config of its own",
    ),
    "a config on one line": (_own_config("[core] fsmonitor = evil\n"), "has a config of its own"),
    "a link for a config": (_config_is_a_link, "has a config of its own"),
}
EACH_DAMAGE = pytest.mark.parametrize(("damage", "says"), DAMAGE.values(), ids=DAMAGE.keys())


@EACH_DAMAGE
def test_anything_else_is_refused_with_the_repair(
    said: ResolveWorkspace, tmp_path: Path, damage: Callable[[Path], None], says: str
) -> None:
    damage(Path(said.workspace_path))
    with pytest.raises(WorkspaceError, match=says) as caught:
        check_workspace(said, tmp_path)
    assert "WP01" in caught.value.message
    assert "git worktree prune" in caught.value.remedy
    assert "\n" not in str(caught.value)


@EACH_DAMAGE
def test_what_was_changed_since_is_seen(
    said: ResolveWorkspace, tmp_path: Path, damage: Callable[[Path], None], says: str
) -> None:
    found = check_workspace(said, tmp_path)
    still_intact(found)
    damage(found.path)
    with pytest.raises(WorkspaceError, match=says) as caught:
        still_intact(found)
    assert "git worktree prune" in caught.value.remedy


def test_a_worktree_that_was_removed_since_is_seen(said: ResolveWorkspace, tmp_path: Path) -> None:
    found = check_workspace(said, tmp_path)
    shutil.rmtree(found.path)
    with pytest.raises(WorkspaceError, match="does not exist any more") as caught:
        still_intact(found)
    commands = f"git worktree prune; git worktree add {found.path} {BRANCH}"
    assert caught.value.remedy == f"then: {commands}; and run again"


def _relative_links(workspace: Path) -> None:
    _write(_git_dir(workspace) / "gitdir", "../../../.worktrees/m-lane-a/.git\n")
    _write(workspace / ".git", "gitdir: ../../.git/worktrees/m-lane-a\n")


def _no_index_yet(workspace: Path) -> None:
    (_git_dir(workspace) / "index").unlink()


HARMLESS = {
    "relative links, as git 2.48 can write them": _relative_links,
    "no index yet": _no_index_yet,
    "an empty config": _own_config(""),
    "a sparse checkout": _own_config(
        "[core]\n\tsparseCheckout = true\n\tsparseCheckoutCone = true\n[index]\n\tsparse = false\n"
    ),
    "another branch": lambda workspace: _write(_git_dir(workspace) / "HEAD", "ref: refs/heads/main\n"),
    "a detached HEAD": lambda workspace: _write(_git_dir(workspace) / "HEAD", "0" * 40 + "\n"),
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_git_itself_makes_and_what_an_agent_can_mend_is_let_pass(
    said: ResolveWorkspace, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    before = check_workspace(said, tmp_path)
    change(Path(said.workspace_path))
    still_intact(before)
    assert check_workspace(said, tmp_path) == before
    assert before.branch == BRANCH


def test_a_branch_that_the_host_does_not_name_is_the_one_checked_out(
    said: ResolveWorkspace, tmp_path: Path
) -> None:
    unnamed, head = evolve(said, lane_branch=None), _git_dir(Path(said.workspace_path)) / "HEAD"
    assert check_workspace(unnamed, tmp_path).branch == BRANCH
    head.write_text("0" * 40 + "\n")
    with pytest.raises(WorkspaceError, match="has no branch checked out"):
        check_workspace(unnamed, tmp_path)
    head.write_text("ref: refs/heads/main\n")
    with pytest.raises(WorkspaceError, match="its branch is main, not a lane's"):
        check_workspace(unnamed, tmp_path)


@pytest.mark.parametrize("branch", ["main", "kitty/missions", "feature/kitty/mission-m", ""])
def test_a_work_package_on_another_branch_than_a_lanes_is_refused(
    said: ResolveWorkspace, tmp_path: Path, branch: str
) -> None:
    planning = evolve(said, lane_branch=branch, workspace_path=str(tmp_path))
    with pytest.raises(WorkspaceError, match=f"^WP01: its branch is {branch}, not a lane's") as caught:
        check_workspace(planning, tmp_path)
    assert "rm " not in caught.value.remedy
    assert "by hand" in caught.value.remedy


@pytest.mark.parametrize("where", [".", "..", "src", ".git", ".worktrees"])
def test_nothing_outside_of_the_worktrees_is_proposed_for_deletion(
    said: ResolveWorkspace, tmp_path: Path, where: str
) -> None:
    (tmp_path / "src").mkdir()
    with pytest.raises(WorkspaceError) as caught:
        check_workspace(evolve(said, workspace_path=str(tmp_path / where)), tmp_path)
    assert "rm " not in caught.value.remedy
    assert ".worktrees" in caught.value.remedy


def test_the_repair_is_quoted_for_a_shell(said: ResolveWorkspace, tmp_path: Path) -> None:
    path = tmp_path / ".worktrees" / "it's; rm -rf ~"
    path.mkdir()
    with pytest.raises(WorkspaceError) as caught:
        check_workspace(evolve(said, workspace_path=str(path)), tmp_path)
    assert f"rm -rf {shlex.quote(str(path))}; " in caught.value.remedy


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


def test_only_what_is_claimed_again_is_made_anew_by_the_host(said: ResolveWorkspace, tmp_path: Path) -> None:
    """A branch may be missing after a claim; nobody makes a worktree for what is under review."""
    (Path(said.workspace_path) / ".git").unlink()
    moved = {"from_lane": Lane.PLANNED, "to_lane": Lane.IN_PROGRESS, "no_op": False}
    claimed = StartImplementation(**asdict(said), **moved, policy_metadata_recorded=True)
    again = f"git worktree prune; git worktree add {said.workspace_path} {BRANCH}; and run again"
    for reply, end in ((said, again), (claimed, "git worktree prune; and run again")):
        with pytest.raises(WorkspaceError) as caught:
            check_workspace(reply, tmp_path)
        assert caught.value.remedy.startswith("save what is worth keeping, then: rm -rf ")
        assert caught.value.remedy.endswith(end)


def test_a_missing_prompt_file_is_refused(said: ResolveWorkspace, tmp_path: Path) -> None:
    found = check_workspace(said, tmp_path)
    found.prompt_file.unlink()
    with pytest.raises(WorkspaceError, match="cannot read the prompt file"):
        read_prompt(found)


def test_a_prompt_file_outside_of_the_repository_is_refused(said: ResolveWorkspace, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="is not inside"):
        check_workspace(evolve(said, prompt_path="/etc/passwd"), tmp_path)


@pytest.mark.parametrize(
    "at",
    [
        *(".git/worktrees/m-lane-a/COMMIT_EDITMSG", ".git/worktrees/m-lane-a/logs/HEAD"),
        *(".git/logs/refs/heads/kitty/mission-m-lane-b", ".git/refs/heads/kitty/mission-m-lane-b"),
        *(".git/spec-kitty-locks/m.lock", "planning/m/status.json", "planning/m/notes"),
    ],
)
def test_no_link_has_git_or_the_host_write_elsewhere(said: ResolveWorkspace, tmp_path: Path, at: str) -> None:
    """Git opens its logs, and the message of a commit, by whatever is there; the host its files."""
    found = check_workspace(said, tmp_path)
    for folder in ("refs", "logs/refs"):
        (tmp_path / ".git" / folder / "heads" / "kitty").mkdir(parents=True)
    (tmp_path / "planning" / "m" / "spec.md").symlink_to("tasks/WP01.md")  # stays inside
    (tmp_path / ".git" / "worktrees" / "m-lane-a" / "modules").mkdir()
    (tmp_path / ".git" / "worktrees" / "m-lane-a" / "modules" / "link").symlink_to("/")
    still_intact(found)
    link = tmp_path / at
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "home" / ".bashrc")
    with pytest.raises(WorkspaceError, match=f"tampered with: {link} .*bashrc"):
        still_intact(found)


@pytest.mark.parametrize("linked", ["tasks/WP01.md", "tasks"])
def test_no_link_chooses_what_is_opened_as_the_missions_folder(
    said: ResolveWorkspace, tmp_path: Path, linked: str
) -> None:
    """An agent may write there, and to `.git/objects`: above the latter lies everything."""
    ours, theirs = tmp_path / "planning" / "m" / linked, tmp_path / ".git" / "objects" / linked
    theirs.parent.mkdir(parents=True)
    ours.rename(theirs)
    ours.symlink_to(theirs)
    assert Path(said.prompt_path).is_file()
    with pytest.raises(WorkspaceError, match="is reached by a link"):
        check_workspace(said, tmp_path)


@pytest.mark.parametrize("at", ["tasks/WP01.md", ".git/objects/WP01.md"])
def test_neither_the_project_nor_its_git_folder_is_a_missions_folder(
    said: ResolveWorkspace, tmp_path: Path, at: str
) -> None:
    with pytest.raises(WorkspaceError, match="lies in no mission's folder"):
        check_workspace(evolve(said, prompt_path=str(tmp_path / at)), tmp_path)


def test_a_project_that_is_reached_by_a_link_is_no_matter(said: ResolveWorkspace, tmp_path: Path) -> None:
    root = tmp_path / "way"
    root.symlink_to(tmp_path)
    by_link = evolve(said, prompt_path=str(root / "planning" / "m" / "tasks" / "WP01.md"))
    assert check_workspace(by_link, tmp_path).prompt_file == Path(said.prompt_path)


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
    assert [path.name for path in found.kept_from_writing] == ["commondir", "gitdir"]
    (found.git_dir / "config.worktree").touch()
    assert [path.name for path in found.kept_from_writing] == ["commondir", "gitdir", "config.worktree"]
