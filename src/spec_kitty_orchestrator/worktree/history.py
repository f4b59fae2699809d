"""What is committed in a repository, and what its refs name. Read in process with dulwich; nothing is run."""

from __future__ import annotations

import heapq
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from attrs import frozen
from dulwich.graph import find_merge_base
from dulwich.object_store import DiskObjectStore
from dulwich.objects import Commit, ObjectID, Tag
from dulwich.refs import Ref, check_ref_format
from dulwich.repo import Repo

from .content import read_regular
from .index import FOLDER

BRANCHES = "refs/heads/"
_REGULAR, _EXECUTABLE = 0o100644, 0o100755
_HEX = re.compile("[0-9a-f]{4,64}")
_WHERE_REFS_LIE = (
    "{}",
    "refs/{}",
    "refs/tags/{}",
    "refs/heads/{}",
    "refs/remotes/{}",
    "refs/remotes/{}/HEAD",
)


def open_history(git_dir: str | bytes | Path, common: Path | None = None) -> History:
    """A repository, to be closed; `common` where the git folder is a worktree's own."""
    return History(Repo(controldir=git_dir, commondir=common))


class LinkedWorktree(NamedTuple):
    """A worktree beside the primary checkout."""

    path: Path
    git_dir: Path


def worktrees_of(git: Path) -> Iterator[LinkedWorktree]:
    """Those that a repository's git folder names, whether they are still there or not."""
    for git_dir in sorted((git / "worktrees").glob("*")):
        pointer = read_regular(os.fsencode(git_dir / "gitdir"))
        if pointer is not None:
            there = os.path.normpath(git_dir / os.fsdecode(pointer.strip()))  # it may be a relative path
            yield LinkedWorktree(Path(there).parent, git_dir)


@frozen
class History:
    """The commits and refs of a repository."""

    repo: Repo

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.repo.close()

    @property
    def store(self) -> DiskObjectStore:
        return self.repo.object_store

    @property
    def oid_bytes(self) -> int:
        return self.repo.object_format.oid_length

    def head(self) -> tuple[str, str]:
        """The branch that is checked out and its commit, either of them empty."""
        names, oid = self.repo.refs.follow(Ref(b"HEAD"))
        branch = os.fsdecode(names[-1])
        return branch.removeprefix(BRANCHES) if branch.startswith(BRANCHES) else "", (oid or b"").decode()

    def has_remote(self, name: str) -> bool:
        """Whether the repository's config names such a remote."""
        return (b"remote", os.fsencode(name)) in [*self.repo.get_config().sections()]

    def own_setting(self, section: str, name: str) -> str:
        """A value of the repository's own config; empty if there is none."""
        try:
            return self.repo.get_config().get((section.encode(),), name.encode()).decode(errors="replace")
        except KeyError:
            return ""

    def main_branch_of(self, remote: str) -> str:
        """The branch that a remote's HEAD was when it was last told; empty if it never was."""
        head = f"refs/remotes/{remote}/HEAD"
        names, _ = self.repo.refs.follow(Ref(os.fsencode(head)))
        last = os.fsdecode(names[-1]) if names else head
        return "" if last == head else last.removeprefix(f"refs/remotes/{remote}/")

    def named(self, ref: str) -> str:
        """The object that a ref of this full name leads to; empty if there is none."""
        name = os.fsencode(ref)
        if ref != "HEAD" and not check_ref_format(Ref(name)):
            return ""
        return (self.repo.refs.follow(Ref(name))[1] or b"").decode()

    def resolve(self, ref: str) -> str | None:
        if _HEX.fullmatch(ref) and len(ref) == self.oid_bytes * 2:
            return self.commit_of(ref)
        for where in _WHERE_REFS_LIE:
            if found := self.named(where.format(ref)):
                return self.commit_of(found)
        known = list(self.store.iter_prefix(ref.encode())) if _HEX.fullmatch(ref) else []
        return self.commit_of(known[0].decode()) if len(known) == 1 else None

    def commit_of(self, oid: str) -> str | None:
        """The commit that an id names, itself or as a tag."""
        while (key := ObjectID(oid.encode())) in self.store:
            found = self.store[key]
            if isinstance(found, Commit):
                return oid
            if not isinstance(found, Tag):
                return None
            oid = found.object[1].decode()
        return None

    def is_commit(self, oid: str) -> bool:
        return self.commit_of(oid) == oid

    def is_beyond(self, head: str, since: str) -> bool:
        """Whether `head` is not among the ancestors of `since`; a commit that is not known proves nothing."""
        if head == since or not self.is_commit(since):
            return False
        return self.reaches(head, since) or not self.reaches(since, head)

    def reaches(self, start: str, wanted: str) -> bool:
        """Whether a commit is another one or has it for an ancestor; the newest are looked at first."""
        shallow = self.repo.get_shallow()
        first, last = ObjectID(start.encode()), ObjectID(wanted.encode())
        seen, to_do = {first}, [(0, first)]
        while to_do:
            _, oid = heapq.heappop(to_do)
            if oid == last:
                return True
            if oid in shallow:
                continue
            for parent in self._commit(oid).parents:
                if parent not in seen:
                    seen.add(parent)
                    older = parent in shallow or parent == last
                    heapq.heappush(to_do, (0 if older else -self._commit(parent).commit_time, parent))
        return False

    def common_ancestor(self, one: str, other: str) -> str:
        """Where two commits parted; empty when they have nothing in common."""
        found = find_merge_base(self.repo, [ObjectID(one.encode()), ObjectID(other.encode())])
        return found[0].decode() if found else ""

    def changed_since(self, base: str, tip: str) -> dict[bytes, tuple[int, str] | None]:
        """The paths in which a commit differs from an earlier one, with what it holds there."""
        before, after = (self.content(commit) for commit in (base, tip))
        paths = before.keys() | after.keys()
        return {path: after.get(path) for path in paths if after.get(path) != before.get(path)}

    def content(self, commit: str) -> dict[bytes, tuple[int, str]]:
        """Every path of a commit with its mode and object; nothing for no commit."""
        files = self.files(self.tree_of(commit)) if commit else ()
        return {path: (mode, oid) for path, mode, oid in files}

    def _commit(self, oid: ObjectID) -> Commit:
        found = self.store[oid]
        if not isinstance(found, Commit):
            raise ValueError(f"{oid.decode()} is no commit")
        return found

    def tree_of(self, commit: str) -> str:
        return str(self._commit(ObjectID(commit.encode())).tree.decode())

    def blob(self, oid: str) -> bytes:
        return self.store.get_raw(ObjectID(oid.encode()))[1]

    def files(self, tree: str, folder: bytes = b"") -> Iterator[tuple[bytes, int, str]]:
        """Every path in a tree, with its mode and object."""
        to_do = [(folder, tree)]
        while to_do:
            folder, oid = to_do.pop()
            data, at = self.blob(oid), 0
            while at < len(data):
                space = data.index(b" ", at)
                end = data.index(b"\0", space)
                mode, name = int(data[at:space], 8), folder + data[space + 1 : end]
                at = end + 1 + self.oid_bytes
                entry = data[end + 1 : at].hex()
                if mode == FOLDER:
                    to_do.append((name + b"/", entry))
                else:
                    yield name, _as_git_keeps_it(mode), entry


def _as_git_keeps_it(mode: int) -> int:
    """Old trees hold other permissions than the two that git knows today."""
    if mode & 0o170000 != 0o100000:
        return mode
    return _EXECUTABLE if mode & 0o100 else _REGULAR
