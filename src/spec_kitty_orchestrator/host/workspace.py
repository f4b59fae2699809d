"""Checks that a workspace is the worktree that the host made: before an agent is let loose in it, and after.

The host takes a plain folder at the worktree's path for the worktree (3.2.7); an agent would then commit
into the primary checkout. And an agent can write to its worktree's git folder. Reading a few small files
tells; no git command is needed, nor would one be safe.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from ..errors import WorkspaceError
from .contract.payloads import ResolveWorkspace, StartImplementation

# In a worktree's own git folder: who writes these decides which repository and config git takes there.
_POINTERS = ("commondir", "gitdir", "config.worktree")

_MODULES = "modules"  # of a worktree's git folder: submodules' own

_GIT_FILE_PREFIX = "gitdir:"
_HEAD_PREFIX = "ref: refs/heads/"
_SPARSE_CHECKOUT = re.compile(
    r"\s*|\[(core|index)\]|\s*(sparseCheckout|sparseCheckoutCone|sparse)\s*=\s*(true|false)\s*", re.IGNORECASE
)
"""A line of the config that git itself writes into a worktree with a sparse checkout."""

WORKTREES = ".worktrees"
"""The folder in which the host makes them."""

LANE_BRANCHES = "kitty/mission-"
"""How every lane's branch begins; a work package without a lane works on the target branch itself."""


@frozen
class Workspace:
    """Where one work package is worked on, as the host said it and as it was found.

    Attributes:
        path: the worktree, absolute.
        git_dir: its own git folder, `<repository>/.git/worktrees/<name>`.
        common_git_dir: the repository's git folder.
        branch: the lane's branch, without `refs/heads/`: what the host named, else what is checked out.
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
    """The workspace that the host named, if it is safe to work in; which branch is out there is not asked.

    Raises:
        WorkspaceError: it is missing, lies outside the repository, is not one of the repository's
            worktrees as git makes them, or is not for a lane's branch.
    """
    root, path = repo_root.resolve(), Path(said.workspace_path).resolve()
    if said.lane_branch is not None:
        _refuse_other_than_lane(said.wp_id, said.lane_branch)
    # A claim that is made again makes the worktree anew, branch and all; what is not claimed nobody does.
    begun = said.lane_branch if isinstance(said, ResolveWorkspace) else None
    if not path.is_dir():
        raise _wrong(f"{said.wp_id}: ", path, root, "does not exist", begun)
    if root == path or root not in path.parents:
        raise _wrong(f"{said.wp_id}: ", path, root, f"is not inside the repository {root}")
    try:
        common, git_dir = root / ".git", _git_dir(path)
        if git_dir.parent != (common / "worktrees").resolve():
            raise _Flaw(f"belongs to {git_dir}, not to {common}")
        _check_links(path, git_dir)
        branch = said.lane_branch or _checked_out(git_dir)
    except _Flaw as flaw:
        raise _wrong(f"{said.wp_id}: ", path, root, str(flaw), begun) from flaw
    _refuse_other_than_lane(said.wp_id, branch)
    return Workspace(path, git_dir, common, branch, said.lane_base_ref or "HEAD", _prompt_file(said, root))


def still_intact(workspace: Workspace) -> None:
    """Returns if a workspace is what it was when it was checked, so that git may be run there.

    An agent can write to its worktree's git folder, and `commondir` or `config.worktree` there would have the
    next git command, by whomever, read a config of the agent's making and run what that names.

    Raises:
        WorkspaceError: it is not.
    """
    root = workspace.common_git_dir.parent
    try:
        if not workspace.path.is_dir():
            raise _Flaw("does not exist any more")
        git_dir = _git_dir(workspace.path)
        if git_dir != workspace.git_dir:
            raise _Flaw(f"belongs to {git_dir} now, not to {workspace.git_dir}")
        _check_links(workspace.path, git_dir)
        _refuse_links(workspace)
    except _Flaw as flaw:
        raise _wrong("", workspace.path, root, str(flaw), workspace.branch) from flaw


class _Flaw(Exception):
    """What is wrong with a workspace, to be said after its path."""


def _git_dir(path: Path) -> Path:
    git_file = path / ".git"
    if not _is_regular(git_file):
        raise _Flaw("is a plain folder, not a worktree (it has no .git file)")
    text = _read(git_file)
    if not text.startswith(_GIT_FILE_PREFIX):
        raise _Flaw("has a .git file that names no git folder")
    return (path / text[len(_GIT_FILE_PREFIX) :].strip()).resolve()


def _check_links(path: Path, git_dir: Path) -> None:
    """That a worktree and its git folder belong together, and take config from the repository alone."""
    for name in ("HEAD", "commondir", "gitdir", "index"):
        if not _is_regular(git_dir / name) and (name != "index" or os.path.lexists(git_dir / name)):
            raise _Flaw(f"is broken: {git_dir / name} is missing or no regular file")
    if _read(git_dir / "commondir") != "../..":
        raise _Flaw(f"has been tampered with: {git_dir / 'commondir'} leads out of the repository")
    back = git_dir / _read(git_dir / "gitdir")
    if back.name != ".git" or back.parent.resolve() != path:
        raise _Flaw(f"is not the one that {git_dir / 'gitdir'} names")
    own_config = git_dir / "config.worktree"
    if os.path.lexists(own_config) and not (
        _is_regular(own_config) and all(map(_SPARSE_CHECKOUT.fullmatch, _read(own_config).splitlines()))
    ):
        raise _Flaw(f"has a config of its own, {own_config}, that sets more than a sparse checkout")


def _refuse_links(workspace: Workspace) -> None:
    """That no link has git or the host write elsewhere: both write through one.

    Of the mission's folder, which is the project's, only links that lead out of it.
    """
    _objects, *git, planning = workspace.written_outside  # objects are named and made by their content
    for link in (link for folder in git for link in _links_in(folder)):
        raise _Flaw(
            f"has been tampered with: {link} is a link to {os.readlink(link)}, which git would write to"
        )
    for link in _links_in(planning):
        if planning not in link.resolve().parents:
            raise _Flaw(
                f"has been tampered with: {link} leads out of the mission's folder, to {os.readlink(link)}"
            )


def _links_in(folder: Path) -> Iterator[Path]:
    for top, folders, files in os.walk(folder):
        if _MODULES in folders and Path(top) == folder:
            folders.remove(_MODULES)
        yield from (path for name in (*folders, *files) if (path := Path(top, name)).is_symlink())


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _checked_out(git_dir: Path) -> str:
    text = _read(git_dir / "HEAD")
    if not text.startswith(_HEAD_PREFIX):
        raise _Flaw("has no branch checked out (detached HEAD), and the host names none")
    return text[len(_HEAD_PREFIX) :].strip()


def _refuse_other_than_lane(wp_id: str, branch: str) -> None:
    if not branch.startswith(LANE_BRANCHES):
        raise WorkspaceError(
            f"{wp_id}: its branch is {branch}, not a lane's ({LANE_BRANCHES}...): an agent would commit "
            "on it directly, and nothing would be left to review and merge",
            remedy="do this work package by hand (the host plans no lane for planning artifacts) and move it "
            "with the host, then run again",
        )


def _prompt_file(said: WorkspaceReply, root: Path) -> Path:
    """The prompt file; the folder above its own is opened to whoever implements, so no link may choose it.

    An agent may write to the mission's folder, and with a link in there would open itself another one.
    """
    named = Path(said.prompt_path)
    prompt, folder = named.resolve(), named.parent.parent
    if root not in prompt.parents:
        raise WorkspaceError(f"{said.wp_id}: the prompt file {prompt} is not inside {root}")
    if prompt != folder.resolve() / named.parent.name / named.name:
        raise WorkspaceError(
            f"{said.wp_id}: the prompt file {named} is reached by a link, which leads to {prompt}",
            remedy="an agent may have made it: look at it, put the file back in its place, then run again",
        )
    if folder.resolve() == root or root / ".git" in prompt.parents:
        raise WorkspaceError(f"{said.wp_id}: the prompt file {named} lies in no mission's folder")
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


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise _Flaw(f"is broken: {problem}") from problem


def _wrong(who: str, path: Path, root: Path, what: str, branch: str | None = None) -> WorkspaceError:
    """The error, with the commands that make the worktree anew, from `branch` where that is there already."""
    if root / WORKTREES in path.parents:
        quoted = shlex.quote(str(path))
        gone = not os.path.lexists(path)
        commands = [] if gone else [f"rm -rf {quoted}", f"git worktree remove -f -f {quoted}"]
        commands += ["git worktree prune"]
        commands += [] if branch is None else [f"git worktree add {quoted} {shlex.quote(branch)}"]
        save = "" if gone else "save what is worth keeping, "
        remedy = f"{save}then: {'; '.join(commands)}; and run again"
    else:
        remedy = f"have the host name a workspace inside {root / WORKTREES}, then run again"
    return WorkspaceError(f"{who}the workspace {path} {what}", remedy=remedy)
