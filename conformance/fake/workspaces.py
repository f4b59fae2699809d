"""Where the fake host's branches and folders are: on paper in a test, in git for the program."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from .rules import TARGET_BRANCH, NoWorkspace


class Workspaces(Protocol):
    """What the machine needs to know of branches and folders, by a work package's lane."""

    root: Path

    def branch_is_checked_out(self, branch: str) -> bool: ...
    def create(self, path: Path, branch: str, base: str, merged: Sequence[str]) -> None: ...
    def bring_in(self, path: Path, merged: Sequence[str]) -> None: ...
    def is_there(self, path: Path) -> bool: ...
    def is_dirty(self, path: Path) -> bool: ...
    def has_commit(self, path: Path, branch: str, base: str) -> bool: ...
    def has_branch(self, branch: str) -> bool: ...
    def merge(self, target: str, lanes: Sequence[tuple[Path, str]]) -> None: ...


class PaperWorkspaces:
    """Worktrees that are only their own `.git` files: no git, for tests in one process.

    Attributes:
        commits: branch → its commits, the oldest first.
        changed, untracked: workspace → paths that differ from its branch's last commit, or are new.
        checked_out: the branch of the primary checkout.
        switched: workspace → the branch that is checked out there instead of its own.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commits: dict[str, list[str]] = {TARGET_BRANCH: [f"{0:040x}"]}
        self.changed: dict[Path, set[str]] = {}
        self.untracked: dict[Path, set[str]] = {}
        self.checked_out = TARGET_BRANCH
        self.switched: dict[Path, str] = {}
        self._made = itertools.count(1)

    def commit(self, branch: str) -> str:
        """One more commit on a branch; its id."""
        self.commits[branch].append(f"{next(self._made):040x}")
        return self.commits[branch][-1]

    def branch_is_checked_out(self, branch: str) -> bool:
        return branch == self.checked_out

    def create(self, path: Path, branch: str, base: str, merged: Sequence[str]) -> None:
        """Writes what marks a linked worktree: its `.git` file, and HEAD in the folder that it names."""
        if missing := {base, *merged} - {*self.commits}:
            raise NoWorkspace(f"no such branch: {', '.join(sorted(missing))}")
        git_dir = self.root / ".git" / "worktrees" / path.name
        for folder in (git_dir, path):
            folder.mkdir(parents=True, exist_ok=True)
        (git_dir / "HEAD").write_text(f"ref: refs/heads/{branch}\n")
        (git_dir / "commondir").write_text("../..\n")
        (git_dir / "gitdir").write_text(f"{path / '.git'}\n")
        (path / ".git").write_text(f"gitdir: {git_dir}\n")
        if branch not in self.commits:
            self.commits[branch] = list(self.commits[base])
        self._merge(branch, merged)

    def bring_in(self, path: Path, merged: Sequence[str]) -> None:
        head = self.root / ".git" / "worktrees" / path.name / "HEAD"
        branch = head.read_text().strip().removeprefix("ref: refs/heads/") if head.exists() else TARGET_BRANCH
        self._merge(branch, merged)

    def _merge(self, branch: str, merged: Sequence[str]) -> None:
        if missing := {*merged} - {*self.commits}:
            raise NoWorkspace(f"no such branch: {', '.join(sorted(missing))}")
        mine = self.commits[branch]
        for other in merged:
            mine += [commit for commit in self.commits[other] if commit not in mine]

    def is_there(self, path: Path) -> bool:
        return path.exists()  # a plain folder counts, as it does for the real host

    def is_dirty(self, path: Path) -> bool:
        return bool(self.changed.get(path) or self.untracked.get(path))

    def has_commit(self, path: Path, branch: str, base: str) -> bool:
        return bool({*self.commits[branch]} - {*self.commits[base]})

    def has_branch(self, branch: str) -> bool:
        return branch in self.commits

    def merge(self, target: str, lanes: Sequence[tuple[Path, str]]) -> None:
        for _, branch in lanes:
            self._merge(target, [branch])
            del self.commits[branch]


class GitWorkspaces:
    """Real worktrees and branches."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def branch_is_checked_out(self, branch: str) -> bool:
        return (self.root / ".git" / "HEAD").read_text().strip() == f"ref: refs/heads/{branch}"

    def create(self, path: Path, branch: str, base: str, merged: Sequence[str]) -> None:
        known = self.has_branch(branch)
        new = (str(path), branch) if known else ("-b", branch, str(path), base)
        self._git("worktree", "add", "-q", *new)
        try:
            self.bring_in(path, merged)
        except NoWorkspace:
            self._git("worktree", "remove", "--force", str(path))
            self._git("branch", "-q", "-D", branch)
            raise

    def bring_in(self, path: Path, merged: Sequence[str]) -> None:
        if not _is_linked(path):
            return
        for other in merged:
            try:
                self._git("merge", "-q", "--no-edit", other, cwd=path)
            except NoWorkspace:
                self._git("reset", "-q", "--merge", cwd=path)
                raise

    def is_there(self, path: Path) -> bool:
        return path.exists()

    def is_dirty(self, path: Path) -> bool:
        return _is_linked(path) and bool(self._git("status", "--porcelain", cwd=path))

    def has_commit(self, path: Path, branch: str, base: str) -> bool:
        return self._git("rev-list", "--count", f"{base}..{branch}") != "0"

    def has_branch(self, branch: str) -> bool:
        with contextlib.suppress(NoWorkspace):
            return bool(self._git("rev-parse", "-q", "--verify", f"refs/heads/{branch}"))
        return False

    def merge(self, target: str, lanes: Sequence[tuple[Path, str]]) -> None:
        for path, branch in lanes:
            self._git("merge", "-q", "--no-edit", branch)
            self._git("worktree", "remove", "--force", str(path))
            self._git("branch", "-q", "-D", branch)

    def _git(self, *args: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            ("git", *args), cwd=cwd or self.root, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise NoWorkspace((done.stderr or done.stdout).strip() or f"git {args[0]} failed")
        return done.stdout.strip()


def _is_linked(path: Path) -> bool:
    """In a plain folder, which the host takes for a worktree, git would speak of the primary checkout."""
    return (path / ".git").is_file()
