"""Reads what a workspace's repository says: the commit, the branch, and whether everything is committed.

In process and reading only; nothing that an agent could have planted there (a filter, a hook, a file system
monitor) is ever run. Threads do it, one at a time: two would fight over the interpreter.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

import trio
from attrs import field, frozen

from ..errors import WorkspaceError
from ..host.workspace import LANE_BRANCHES, WORKTREES, Workspace, still_intact
from ..worktree.about import About, about
from ..worktree.content import read_regular
from ..worktree.files import Files
from ..worktree.history import BRANCHES, History, open_history, worktrees_of
from ..worktree.index import read_index
from ..worktree.inner import planted

LOOK_SECONDS = 300.0
"""For one look: the largest repositories take seconds, and a file system that hangs must not hold us."""

SWITCH_SECONDS = 0.0005
"""How long the event loop may wait for the interpreter while a look is at work; Python's own 5 ms add up."""

_T = TypeVar("_T")


@frozen
class Evidence:
    """What a workspace's repository says at one moment.

    Attributes:
        commit: HEAD, in full; empty before the first commit.
        branch: the branch checked out, without `refs/heads/`; empty when detached.
        changed: tracked paths that differ from HEAD, staged or not.
        untracked: new paths that are not ignored; a folder with nothing tracked in it stands for what it
            holds, with a slash at its end, and so does a repository of its own.
        advanced: HEAD holds a commit that the commit asked about does not hold.

    Paths are sorted. Bytes that are no UTF-8 stand in them as `os.fsdecode` puts it.
    """

    commit: str
    branch: str
    changed: tuple[str, ...]
    untracked: tuple[str, ...]
    advanced: bool

    @property
    def is_clean(self) -> bool:
        """Whether everything is committed."""
        return not self.changed and not self.untracked


class Repository(Protocol):
    """How evidence is had."""

    async def look(self, workspace: Workspace, since: str | None = None) -> Evidence:
        """What is there now; `advanced` is about the commit `since`.

        Raises:
            WorkspaceError: the workspace is no longer what the host made, or cannot be read.
        """

    async def is_in(self, repo_root: Path, ref: str, commit: str) -> bool:
        """Whether a ref, `refs/heads/...` or HEAD, holds a commit.

        Raises:
            WorkspaceError: the repository cannot be read.
        """

    async def resolve(self, repo_root: Path, ref: str) -> str | None:
        """The commit that a branch, a tag, a remote branch, HEAD or a (shortened) id names, if there is one.

        Raises:
            WorkspaceError: the repository cannot be read.
        """

    async def look_at(self, repo_root: Path) -> Evidence:
        """What is there now in the primary checkout; nothing is asked about a commit.

        Raises:
            WorkspaceError: the repository cannot be read.
        """

    async def is_locked(self, repo_root: Path) -> bool:
        """Whether the primary checkout's index is locked: another git is at work there, or was killed.

        Raises:
            WorkspaceError: the repository cannot be read.
        """

    async def both_changed(self, repo_root: Path, one: str, other: str) -> tuple[str, ...]:
        """The files that two branches have both changed since they parted, unless in the same way.

        Raises:
            WorkspaceError: the repository cannot be read.
        """

    async def holds_work(self, repo_root: Path, ref: str, commit: str, since: str) -> bool:
        """Whether a ref has each file as a commit made it since that parted from the commit `since`.

        Raises:
            WorkspaceError: the repository cannot be read.
        """

    async def uncommitted(self, repo_root: Path, branch: str) -> tuple[str, ...]:
        """What a lane's worktree holds that nobody has committed to a branch; nothing without one.

        It is the one at the lane's own place, whatever is checked out there, and any that has its branch.

        Raises:
            WorkspaceError: the repository cannot be read.
        """

    async def has_remote(self, repo_root: Path, name: str) -> bool:
        """Whether the repository's config names such a remote.

        Raises:
            WorkspaceError: the repository cannot be read.
        """


@frozen
class GitRepository:
    """Evidence from the repository itself."""

    _one_at_a_time: trio.CapacityLimiter = field(factory=lambda: trio.CapacityLimiter(1))

    async def look(self, workspace: Workspace, since: str | None = None) -> Evidence:
        return await self._in_thread(workspace.path, lambda: _look(workspace, since))

    async def about(self, repo_root: Path) -> About:
        """Facts of the primary checkout. Raises WorkspaceError when the repository cannot be read."""
        return await self._in_thread(repo_root, lambda: about(repo_root / ".git"))

    async def is_in(self, repo_root: Path, ref: str, commit: str) -> bool:
        return await self._in_thread(repo_root, lambda: _is_in(repo_root, ref, commit))

    async def resolve(self, repo_root: Path, ref: str) -> str | None:
        return await self._in_thread(repo_root, lambda: _resolve(repo_root, ref))

    async def look_at(self, repo_root: Path) -> Evidence:
        return await self._in_thread(repo_root, lambda: _look_at(repo_root))

    async def is_locked(self, repo_root: Path) -> bool:
        return await self._in_thread(repo_root, lambda: os.path.lexists(repo_root / ".git" / "index.lock"))

    async def both_changed(self, repo_root: Path, one: str, other: str) -> tuple[str, ...]:
        return await self._in_thread(repo_root, lambda: _both_changed(repo_root, one, other))

    async def holds_work(self, repo_root: Path, ref: str, commit: str, since: str) -> bool:
        return await self._in_thread(repo_root, lambda: _holds_work(repo_root, ref, commit, since))

    async def uncommitted(self, repo_root: Path, branch: str) -> tuple[str, ...]:
        return await self._in_thread(repo_root, lambda: _uncommitted(repo_root, branch))

    async def has_remote(self, repo_root: Path, name: str) -> bool:
        return await self._in_thread(repo_root, lambda: _has_remote(repo_root, name))

    async def _in_thread(self, path: Path, ask: Callable[[], _T]) -> _T:
        with trio.move_on_after(LOOK_SECONDS):
            return await trio.to_thread.run_sync(
                _told, path, ask, abandon_on_cancel=True, limiter=self._one_at_a_time
            )
        raise WorkspaceError(
            f"the repository of {path} could not be read within {LOOK_SECONDS:g} s",
            remedy="look whether `git status` there answers, then run again",
        )


def _told(path: Path, ask: Callable[[], _T]) -> _T:
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, SWITCH_SECONDS))
    try:
        return ask()
    except WorkspaceError:
        raise
    except Exception as problem:  # whatever a damaged repository makes a reader raise
        what = " ".join(str(problem).split()) or "damaged"
        raise WorkspaceError(
            f"the repository of {path} cannot be read: {type(problem).__name__}: {what}",
            remedy="look at `git status` and `git fsck` there, then run again",
        ) from problem
    finally:
        sys.setswitchinterval(before)


def _look(workspace: Workspace, since: str | None) -> Evidence:
    still_intact(workspace)
    with open_history(workspace.git_dir, workspace.common_git_dir) as history:
        _refuse_planted(history, workspace)
        return _seen(history, workspace.path, workspace.git_dir, since)


def _refuse_planted(history: History, workspace: Workspace) -> None:
    """Nobody, the host least of all, may run git over a submodule that has a say in what git runs."""
    index = read_index(workspace.git_dir, history.oid_bytes)
    for name, what in planted(os.fsencode(workspace.path), index, history.oid_bytes):
        at = workspace.path / os.fsdecode(name)
        raise WorkspaceError(
            f"the workspace {workspace.path} holds a submodule, {os.fsdecode(name)}, with {what}: git would "
            "obey that in the next `git status` there, and an agent could have written it",
            remedy=f"look at it; move {shlex.quote(str(at))} away, then run again",
        )


def _look_at(repo_root: Path) -> Evidence:
    git = repo_root / ".git"
    with open_history(git) as history:
        return _seen(history, repo_root, git, None)


def _seen(history: History, path: Path, git_dir: Path, since: str | None) -> Evidence:
    files = Files(history, os.fsencode(path), git_dir)
    branch, head = history.head()
    changed, untracked = files.compared_with(head).status()
    return Evidence(
        head,
        branch,
        tuple(map(os.fsdecode, changed)),
        tuple(map(os.fsdecode, untracked)),
        bool(head and since) and history.is_beyond(head, str(since)),
    )


def _is_in(repo_root: Path, ref: str, commit: str) -> bool:
    with open_history(repo_root / ".git") as history:
        tip = history.named(ref)
        return bool(tip) and history.is_commit(commit) and history.reaches(tip, commit)


def _resolve(repo_root: Path, ref: str) -> str | None:
    with open_history(repo_root / ".git") as history:
        return history.resolve(ref)


def _uncommitted(repo_root: Path, branch: str) -> tuple[str, ...]:
    git, found = repo_root / ".git", list[str]()
    place = repo_root / WORKTREES / branch.removeprefix(LANE_BRANCHES)
    for own in worktrees_of(git):
        if own.path.is_dir() and (own.path == place or _names(own.git_dir, branch)):
            with open_history(own.git_dir, git) as history:
                seen = _seen(history, own.path, own.git_dir, None)
                found += (*seen.changed, *seen.untracked)
                tip = history.named(BRANCHES + branch)
                if not seen.branch and not (tip and history.reaches(tip, seen.commit)):
                    found.append(f"the commit {seen.commit}, which is on no branch")
    return tuple(found)


def _names(git_dir: Path, branch: str) -> bool:
    """Whether HEAD names that branch; others' worktrees may be damaged, which is not ours to heed."""
    return (read_regular(os.fsencode(git_dir / "HEAD")) or b"").strip() == os.fsencode(
        f"ref: {BRANCHES}{branch}"
    )


def _has_remote(repo_root: Path, name: str) -> bool:
    with open_history(repo_root / ".git") as history:
        return history.has_remote(name)


def _both_changed(repo_root: Path, one: str, other: str) -> tuple[str, ...]:
    with open_history(repo_root / ".git") as history:
        tips = [history.named(f"{BRANCHES}{branch}") for branch in (one, other)]
        base = history.common_ancestor(*tips)
        here, there = (history.changed_since(base, tip) for tip in tips)
        both = (path for path in here.keys() & there.keys() if here[path] != there[path])
        return tuple(sorted(map(os.fsdecode, both)))


def _holds_work(repo_root: Path, ref: str, commit: str, since: str) -> bool:
    with open_history(repo_root / ".git") as history:
        tip = history.named(ref)
        if not tip or not history.is_commit(commit):
            return False
        made = history.changed_since(history.common_ancestor(since, commit), commit)
        there = history.content(tip)
        return all(there.get(path) == held for path, held in made.items())
