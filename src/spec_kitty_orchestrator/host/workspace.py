"""Checks that a workspace is the worktree that the host made, before an agent is let loose in it.

The host takes a plain folder at the worktree's path for the worktree (3.2.7); an agent would then commit
into the primary checkout. Reading two small files tells; no git command is needed.
"""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from ..errors import WorkspaceError
from .contract.payloads import ResolveWorkspace, StartImplementation

# In a worktree's own git folder: who writes these decides which repository and config git takes there.
_POINTERS = ("commondir", "gitdir", "config.worktree")

_GIT_FILE_PREFIX = "gitdir:"
_HEAD_PREFIX = "ref: refs/heads/"


@frozen
class Workspace:
    """Where one work package is worked on, as the host said it and as it was found.

    Attributes:
        path: the worktree, absolute.
        git_dir: its own git folder, `<repository>/.git/worktrees/<name>`.
        common_git_dir: the repository's git folder.
        branch: the branch checked out there, without `refs/heads/`.
        base: the ref that the branch started from.
        prompt_file: the work package's prompt file, as the host returned it.
    """

    path: Path
    git_dir: Path
    common_git_dir: Path
    branch: str
    base: str
    prompt_file: Path

    @property
    def planning_dir(self) -> Path:
        """The mission's folder: the prompt file lies in its `tasks/`."""
        return self.prompt_file.parent.parent

    @property
    def written_outside(self) -> tuple[Path, ...]:
        """The folders that a commit in it, and `mark-status` (3.2.7), write to outside of it.

        Not the repository's whole git folder: hooks and config would let an agent out of a sandbox, and
        all of `refs` would let it move the branches of others. A folder may be missing, if nothing will
        be written there.
        """
        git = self.common_git_dir
        refs, logs = (_folder_of(top, self.branch) for top in (git / "refs/heads", git / "logs/refs/heads"))
        return (git / "objects", refs, logs, git / "spec-kitty-locks", self.git_dir, self.planning_dir)

    @property
    def kept_from_writing(self) -> tuple[Path, ...]:
        """Files in those folders that nobody has to write. Without the missing ones.

        A sandbox would have to put a missing one there before it can protect it.
        """
        return tuple(path for name in _POINTERS if (path := self.git_dir / name).exists())


def _folder_of(top: Path, branch: str) -> Path:
    """Where the ref of a branch is written below `top`, or the nearest folder above it that is there.

    When git packs its refs it removes the folder, and a commit makes it again.
    """
    folder = (top / branch).parent
    while folder != top and not folder.is_dir():
        folder = folder.parent
    return folder


WorkspaceReply = StartImplementation | ResolveWorkspace
"""What the host says about a workspace."""


def check_workspace(said: WorkspaceReply, repo_root: Path) -> Workspace:
    """The workspace that the host named, if it is safe to work in.

    Raises:
        WorkspaceError: it is missing, lies outside the repository, is not one of the repository's
            worktrees, or another branch is checked out in it.
    """
    root, path = repo_root.resolve(), Path(said.workspace_path).resolve()
    if not path.is_dir():
        raise _wrong(said, path, "does not exist")
    if root == path or root not in path.parents:
        raise _wrong(said, path, f"is not inside the repository {root}")
    common = root / ".git"
    git_dir = _git_dir(said, path)
    if git_dir.parent != (common / "worktrees").resolve():
        raise _wrong(said, path, f"belongs to {git_dir}, not to {common}")
    branch = _head(said, path, git_dir)
    if said.lane_branch is not None and branch != said.lane_branch:
        raise _wrong(said, path, f"has {branch} checked out, not {said.lane_branch}")
    return Workspace(path, git_dir, common, branch, said.lane_base_ref or "HEAD", _prompt_file(said, root))


def _git_dir(said: WorkspaceReply, path: Path) -> Path:
    git_file = path / ".git"
    if not git_file.is_file():
        raise _wrong(said, path, "is a plain folder, not a worktree (it has no .git file)")
    text = _read(said, git_file)
    if not text.startswith(_GIT_FILE_PREFIX):
        raise _wrong(said, path, "has a .git file that names no git folder")
    return (path / text[len(_GIT_FILE_PREFIX) :].strip()).resolve()


def _head(said: WorkspaceReply, path: Path, git_dir: Path) -> str:
    text = _read(said, git_dir / "HEAD")
    if not text.startswith(_HEAD_PREFIX):
        raise _wrong(said, path, "has no branch checked out (detached HEAD)")
    return text[len(_HEAD_PREFIX) :].strip()


def _prompt_file(said: WorkspaceReply, root: Path) -> Path:
    prompt = Path(said.prompt_path).resolve()
    if root not in prompt.parents:
        raise WorkspaceError(f"{said.wp_id}: the prompt file {prompt} is not inside {root}")
    return prompt


def read_prompt(workspace: Workspace) -> str:
    """The work package's text, whole.

    Raises:
        WorkspaceError: the prompt file is missing or cannot be read.
    """
    try:
        return workspace.prompt_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise WorkspaceError(
            f"cannot read the prompt file {workspace.prompt_file}: {problem}",
            remedy="finalize the mission's tasks again with the host, then go on",
        ) from problem


def _read(said: WorkspaceReply, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise _wrong(said, Path(said.workspace_path), f"is broken: {problem}") from problem


def _wrong(said: WorkspaceReply, path: Path, what: str) -> WorkspaceError:
    return WorkspaceError(
        f"{said.wp_id}: the workspace {path} {what}",
        remedy=f"save what is worth keeping, then: rm -rf '{path}'; git worktree remove -f -f '{path}'; "
        "git worktree prune; and run again",
    )
