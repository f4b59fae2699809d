"""Brings together what judging a worktree's files takes: index, commit, config and rules."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

from dulwich.config import Config, ConfigFile, StackedConfig

from .content import Content, read_regular
from .history import History, open_history
from .index import Entry, Index, read_index, row_of_absent
from .rules import Attributes, IgnoreRules
from .status import Worktree, find_git_dir

_ON = (b"true", b"yes", b"on", b"1", b"input")


class Files:
    """A worktree's files, with the config that judging them takes."""

    def __init__(self, history: History, path: bytes, git_dir: Path) -> None:
        self._history = history
        self._path = path
        self._git_dir = git_dir
        self._common = Path(history.repo.commondir())
        own = history.repo.get_config()
        files = [own, *StackedConfig.default_backends()]
        if own.get_boolean(b"extensions", b"worktreeConfig", False) and (
            text := read_regular(os.fsencode(git_dir / "config.worktree"))
        ):
            files.insert(0, ConfigFile.from_file(BytesIO(text)))
        self._config = StackedConfig(files)

    def compared_with(self, head: str) -> Worktree:
        """All that comparing with a commit takes (none yet: empty)."""
        history, fold_case = self._history, self._is_on(b"core", b"ignoreCase")
        index = self._index()
        committed = history.files(history.tree_of(head)) if head else ()
        return Worktree(
            path=self._path,
            index=index,
            committed={name: (mode, oid) for name, mode, oid in committed},
            content=Content(
                algorithm=history.repo.object_format.name,
                attributes=self._attributes(index, fold_case),
                filters=self._filters(),
                guess_text=self._is_on(b"core", b"autocrlf"),
                read_blob=history.blob,
            ),
            ignoring=[
                IgnoreRules(self._user_file(b"excludesFile", "ignore"), fold_case=fold_case),
                IgnoreRules(_text(self._common / "info" / "exclude"), fold_case=fold_case),
            ],
            has_modes=self._is_on(b"core", b"fileMode", default=True),
            is_sparse=self._is_on(b"core", b"sparseCheckout"),
            fold_case=fold_case,
            is_submodule_as_noted=self._is_submodule_as_noted,
            read_blob=history.blob,
        )

    def _index(self) -> Index:
        index = read_index(self._git_dir, self._history.oid_bytes)
        for folder, tree in index.sparse_folders.items():
            for name, mode, oid in self._history.files(tree, folder + b"/"):
                index.rows[name] = row_of_absent(mode, oid)
        return index

    def _attributes(self, index: Index, fold_case: bool) -> Attributes:
        def of_folder(folder: bytes) -> bytes:
            name = os.path.join(folder, b".gitattributes")
            text = read_regular(self._path + b"/" + name)
            entry = index.get(name)
            return self._history.blob(entry.oid) if text is None and entry else text or b""

        outer = (
            _text(Path("/etc/gitattributes")),
            self._user_file(b"attributesFile", "attributes"),
            _text(self._common / "info" / "attributes"),
        )
        return Attributes(outer, of_folder, fold_case=fold_case)

    def _user_file(self, key: bytes, usual: str) -> bytes:
        named = _value_in(self._config, (b"core",), key)
        if named is not None:
            return _text(Path(os.fsdecode(named)).expanduser())
        config_home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
        return _text(Path(config_home, "git", usual).expanduser())

    def _filters(self) -> frozenset[bytes]:
        sections = {section for backend in self._config.backends for section in backend.sections()}
        return frozenset(
            section[1]
            for section in sections
            if len(section) == 2 and section[0].lower() == b"filter"
            if _value_in(self._config, section, b"clean") or _value_in(self._config, section, b"process")
        )

    def _is_submodule_as_noted(self, name: bytes, entry: Entry) -> bool:
        path = self._path + b"/" + name
        overlooked = self._overlooked(name)
        git_dir = find_git_dir(path + b"/")
        if git_dir is None or overlooked == b"all":
            return True  # not checked out
        with open_history(git_dir) as inner:
            _, head = inner.head()
            if head and head != entry.oid:
                return False
            if overlooked == b"dirty":
                return True
            changed, untracked = Files(inner, path, Path(os.fsdecode(git_dir))).compared_with(head).status()
            return not changed and (overlooked == b"untracked" or not untracked)

    def _overlooked(self, path: bytes) -> bytes:
        """Which differences of a submodule the project or the user wants overlooked."""
        said = ConfigFile.from_file(BytesIO(read_regular(self._path + b"/.gitmodules") or b""))
        for section in said.sections():
            if _value_in(said, section, b"path") == path:
                own = _value_in(self._config, section, b"ignore") or _value_in(said, section, b"ignore")
                if own is not None:
                    return own
        return _value_in(self._config, (b"diff",), b"ignoreSubmodules") or b""

    def _is_on(self, section: bytes, key: bytes, *, default: bool = False) -> bool:
        value = _value_in(self._config, (section,), key)
        return default if value is None else value.lower() in _ON


def _value_in(config: Config, section: tuple[bytes, ...], key: bytes) -> bytes | None:
    try:
        return config.get(section, key)
    except KeyError:
        return None


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
