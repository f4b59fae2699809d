"""Submodules that were made in a worktree: whether git may be run over them.

`git status` in a worktree goes on into each submodule that is checked out there, with the config and the
hooks of that repository (`core.fsmonitor` names a program), which an agent can write, too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from .content import read_regular
from .index import GITLINK, Index, read_index

_NAMES_A_GIT_DIR = b"gitdir: "
_SAMPLE = b".sample"
_PLAIN = re.compile(
    rb'\s*|\s*[#;].*|\[(core|user|submodule|extensions|(remote|branch|submodule) "[^"\\]*")\]\s*'
    rb"|\s*(repositoryFormatVersion|fileMode|bare|logAllRefUpdates|ignoreCase|precomposeUnicode|symlinks|worktree"
    rb"|url|pushUrl|fetch|remote|merge|rebase|active|name|email|objectFormat|refStorage|compatObjectFormat)"
    rb"\s*=.*",
    re.IGNORECASE | re.DOTALL,
)
"""A line of the config that git writes into a repository that it makes; none of it names a program."""


def planted(path: bytes, index: Index, oid_bytes: int) -> Iterator[tuple[bytes, str]]:
    """Submodules that are checked out in a worktree and hold what git would obey, each with what that is.

    Args:
        path: the worktree's top.
        oid_bytes: length of an object's id.

    Raises:
        OSError, ValueError: one of them cannot be read.
    """
    to_do = [(path, index)]
    while to_do:
        top, inside = to_do.pop()
        for folder in (os.path.join(top, name) for name, row in inside.rows.items() if row[0] == GITLINK):
            if not os.path.lexists(folder + b"/.git"):
                continue  # not checked out
            git_dir = _git_dir(folder)
            if why := "a .git that names no git folder" if git_dir is None else _obeyed(git_dir):
                yield os.path.relpath(folder, path), why
            elif git_dir is not None:
                to_do.append((folder, read_index(Path(os.fsdecode(git_dir)), oid_bytes)))


def _git_dir(folder: bytes) -> bytes | None:
    """The git folder of what is checked out in a folder; None where it cannot be told for sure."""
    git = folder + b"/.git"
    if os.path.isdir(git):
        return git
    text = read_regular(git) or b""
    # To the letter as git reads it: a space at its end is part of the name.
    named = text[len(_NAMES_A_GIT_DIR) :].rstrip(b"\r\n")
    return os.path.join(folder, named) if named and text.startswith(_NAMES_A_GIT_DIR) else None


def _obeyed(git_dir: bytes) -> str:
    """What in a git folder has git run a program, or look elsewhere for its config; empty when nothing."""
    if os.path.lexists(git_dir + b"/commondir"):
        return "a commondir"
    config = git_dir + b"/config"
    text = read_regular(config)
    if text is None and os.path.lexists(config):
        return "a config that is no regular file"
    for line in (text or b"").split(b"\n"):
        if not _PLAIN.fullmatch(line):
            return f"a config with {os.fsdecode(line.strip())!r}"
    hooks = git_dir + b"/hooks"
    names = os.listdir(hooks) if os.path.isdir(hooks) else []
    own = sorted(os.fsdecode(name) for name in names if not name.endswith(_SAMPLE))
    return f"the hook {own[0]}" if own else ""
