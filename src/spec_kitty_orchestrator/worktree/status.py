"""Which files of a worktree differ from what is committed, and which are new: the answer of `git status`."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Mapping, Sequence

from attrs import define, field, frozen

from .content import Content, read_regular
from .index import GITLINK, Entry, Index
from .rules import IgnoreRules, ignored

_LOW = 0xFFFFFFFF
_GIT_FILE = b"gitdir: "
_HEAD_BEGINS = (b"ref: refs/", b"ref:refs/")


@frozen
class Worktree:
    """One worktree, with all that judging its files takes.

    Attributes:
        path: its top.
        index: what is staged.
        committed: mode and object of every path that HEAD holds.
        content: how a file becomes what is stored.
        ignoring: rules from outside of the worktree, the weakest first.
        has_modes: whether the executable bit counts (`core.fileMode`).
        is_sparse: whether a sparse checkout is on.
        fold_case: whether `A` is `a` in rules.
        is_submodule_as_noted: whether the submodule at a path is at the commit of its entry, and clean.
        read_blob: a stored object's content.
    """

    path: bytes
    index: Index
    committed: Mapping[bytes, tuple[int, str]]
    content: Content
    ignoring: Sequence[IgnoreRules]
    has_modes: bool
    is_sparse: bool
    fold_case: bool
    is_submodule_as_noted: Callable[[bytes, Entry], bool]
    read_blob: Callable[[str], bytes] = field(repr=False)

    def status(self) -> tuple[list[bytes], list[bytes]]:
        """Paths that are tracked and differ, and paths that are new and not ignored.

        Raises:
            OSError: something in it cannot be read.
        """
        walk = _Walk(self)
        walk.run()
        changed = self._staged() | walk.changed
        for name in self.index.rows.keys() - walk.seen:
            entry = self.index.get(name)
            if entry and entry.is_looked_at and not entry.is_absent:
                changed.add(name)
        return sorted(changed), sorted(walk.untracked)

    def _staged(self) -> set[bytes]:
        rows, committed = self.index.rows, self.committed
        changed = set(self.index.conflicts) | (committed.keys() - rows.keys())
        for name, row in rows.items():
            if committed.get(name) != row[:2] or Entry(*row).is_promised:
                changed.add(name)
        return changed


@define
class _Walk:
    """One pass over the files."""

    tree: Worktree
    changed: set[bytes] = field(factory=set)
    untracked: list[bytes] = field(factory=list)
    seen: set[bytes] = field(factory=set)
    folders: set[bytes] = field(factory=set)  # that hold something tracked, with a slash at the end

    @property
    def names(self) -> Collection[bytes]:
        """What is tracked."""
        return self.tree.index.names

    def run(self) -> None:
        for name in self.names:
            folder = name[: name.rfind(b"/") + 1]
            while folder and folder not in self.folders:
                self.folders.add(folder)
                folder = folder[: folder.rfind(b"/", 0, -1) + 1]
        to_do: list[tuple[bytes, Sequence[IgnoreRules], bool]] = [(b"", self.tree.ignoring, False)]
        while to_do:
            to_do.extend(self._folder(*to_do.pop()))

    def _folder(
        self, folder: bytes, outer: Sequence[IgnoreRules], is_ignored: bool
    ) -> list[tuple[bytes, Sequence[IgnoreRules], bool]]:
        """Judges what lies in a folder; the folders in it that hold something tracked remain to be done."""
        rules = [*outer, *self._rules(folder)]
        deeper: list[tuple[bytes, Sequence[IgnoreRules], bool]] = []
        for item in _items(self.tree.path + b"/" + folder):
            name = folder + item.name
            is_folder = item.is_dir(follow_symlinks=False)
            if is_folder and name + b"/" in self.folders:
                deeper.append((name + b"/", rules, is_ignored or ignored(rules, name, True)))
            elif self._is_tracked(name, item, is_folder) or is_ignored:
                continue
            elif is_folder:
                # Git lists no folder under a name that is tracked: it says that the file is gone.
                if (
                    name not in self.names
                    and not ignored(rules, name, True)
                    and self._shows(name + b"/", rules)
                ):
                    self.untracked.append(name + b"/")
            elif _can_be_stored(item) and not ignored(rules, name, False):
                self.untracked.append(name)
        return deeper

    def _is_tracked(self, name: bytes, item: os.DirEntry[bytes], is_folder: bool) -> bool:
        """Whether something of this name is tracked as what it is; it is judged then."""
        entry = self.tree.index.get(name)
        if entry is None:
            return name in self.names and not is_folder
        if is_folder and entry.mode != GITLINK:
            return False  # a folder where a file was
        self.seen.add(name)
        judged = entry.is_looked_at and (self.tree.is_sparse or not entry.is_absent)
        if judged and not self._is_as_staged(name, item, entry):
            self.changed.add(name)
        return True

    def _is_as_staged(self, name: bytes, item: os.DirEntry[bytes], entry: Entry) -> bool:
        found = item.stat(follow_symlinks=False)
        if stat.S_IFMT(found.st_mode) != (stat.S_IFDIR if entry.mode == GITLINK else stat.S_IFMT(entry.mode)):
            return False
        if entry.mode == GITLINK:
            return self.tree.is_submodule_as_noted(name, entry)
        if self.tree.has_modes and stat.S_ISREG(found.st_mode) and (found.st_mode ^ entry.mode) & 0o100:
            return False
        if entry.size and entry.size != found.st_size & _LOW:
            return False
        if entry.size and entry.is_file(found) and found.st_mtime_ns < self.tree.index.written:
            return True
        path = self.tree.path + b"/" + name
        if stat.S_ISLNK(found.st_mode):
            return self.tree.content.is_stored_link(path, entry)
        return self.tree.content.is_stored(path, name, entry)

    def _shows(self, folder: bytes, outer: Sequence[IgnoreRules]) -> bool:
        """Whether a folder without anything tracked holds anything that is not ignored."""
        to_do: list[tuple[bytes, Sequence[IgnoreRules]]] = [(folder, outer)]
        while to_do:
            folder, outer = to_do.pop()
            if find_git_dir(self.tree.path + b"/" + folder):
                return True
            rules = [*outer, *self._rules(folder)]
            for item in _items(self.tree.path + b"/" + folder):
                name = folder + item.name
                is_folder = item.is_dir(follow_symlinks=False)
                if (is_folder or _can_be_stored(item)) and not ignored(rules, name, is_folder):
                    if not is_folder:
                        return True
                    to_do.append((name + b"/", rules))
        return False

    def _rules(self, folder: bytes) -> list[IgnoreRules]:
        name = folder + b".gitignore"
        text = read_regular(self.tree.path + b"/" + name)
        entry = self.tree.index.get(name)
        if text is None and entry and entry.is_absent:
            text = self.tree.read_blob(entry.oid)
        return [IgnoreRules(text, folder, fold_case=self.tree.fold_case)] if text else []


def _items(folder: bytes) -> list[os.DirEntry[bytes]]:
    with os.scandir(folder) as items:
        return [item for item in items if item.name != b".git"]


def _can_be_stored(item: os.DirEntry[bytes]) -> bool:
    return item.is_symlink() or item.is_file(follow_symlinks=False)


def find_git_dir(folder: bytes) -> bytes | None:
    """The git folder of a folder, given with a slash, that git would take for a repository of its own."""
    git = folder + b".git"
    if not os.path.isdir(git):
        text = read_regular(git) or b""
        if not text.startswith(_GIT_FILE):
            return None
        git = os.path.join(folder, text[len(_GIT_FILE) :].rstrip(b"\r\n"))
    return git if _is_git_dir(git) else None


def _is_git_dir(git: bytes) -> bool:
    shared = os.path.join(git, (read_regular(git + b"/commondir") or b".").strip())
    head = read_regular(git + b"/HEAD") or b""
    is_head = head.startswith(_HEAD_BEGINS) or re.fullmatch(rb"[0-9a-f]{40,64}\s*", head)
    return bool(is_head) and all(os.path.isdir(os.path.join(shared, part)) for part in (b"objects", b"refs"))
