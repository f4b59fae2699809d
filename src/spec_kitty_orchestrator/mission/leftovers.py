"""Moves files that belong to nobody's commit out of a workspace: nothing is deleted."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..host.workspace import Workspace


def move_away(workspace: Workspace, paths: Iterable[str], to: Path) -> tuple[str, ...]:
    """Moves untracked files and folders, as `Evidence.untracked` names them, to a folder; blocks meanwhile.

    Each keeps its path below the folder; where that is taken, a number is added. What is gone already, or
    does not lie inside the workspace (a symbolic link on the way is not followed), stays where it is.

    Returns:
        what was moved, as it was named.

    Raises:
        OSError: something can be neither moved nor copied.
    """
    moved = []
    for name in paths:
        source = workspace.path / name
        if not _is_inside(workspace.path, source):
            continue
        target = _free(to, Path(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.rename(source, target)
        except OSError:
            if not _is_there(source):
                continue
            shutil.move(source, target)  # to another file system
        moved.append(name)
    return tuple(moved)


def _is_inside(top: Path, path: Path) -> bool:
    """Whether a path leads to something in a folder, and not to the folder or its `.git`, by no link."""
    parts = path.relative_to(top).parts if path.is_relative_to(top) else ()
    if not parts or ".." in parts or parts[0] == ".git":
        return False
    return path.parent.resolve() == path.parent and _is_there(path)


def _free(to: Path, name: Path) -> Path:
    """A path below a folder that nothing has yet; no link that was moved there is followed."""
    folder = to
    for part in name.parts[:-1]:
        folder = next(path for path in _numbered(folder / part) if _is_folder(path) or not _is_there(path))
    return next(path for path in _numbered(folder / name.name) if not _is_there(path))


def _numbered(path: Path) -> Iterator[Path]:
    yield path
    yield from (path.with_name(f"{path.name}.{number}") for number in itertools.count(2))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)
