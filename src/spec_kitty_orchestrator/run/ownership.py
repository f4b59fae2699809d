"""Whose our files are: what root writes in somebody's project stays that person's."""

from __future__ import annotations

import contextlib
import os
import pwd
from pathlib import Path

ROOT = 0


def owner_of(path: Path) -> str:
    """The name of the user that a file or a folder belongs to, or the number."""
    uid = path.stat().st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def keep_owner(descriptor: int, like: Path) -> None:
    """Gives a file that we have just made to whom `like` belongs, when we are root and that is not."""
    owner = _other_owner(like)
    if owner is not None:
        with contextlib.suppress(OSError):  # this file system has no owners, or a container maps none
            os.fchown(descriptor, *owner)


def give_back(folder: Path, like: Path) -> None:
    """The same for a folder and all that is in it."""
    owner = _other_owner(like)
    if owner is None:
        return
    for path in (folder, *folder.rglob("*")):
        with contextlib.suppress(OSError):  # as above, or it is gone by now
            os.chown(path, *owner, follow_symlinks=False)


def _other_owner(like: Path) -> tuple[int, int] | None:
    if os.geteuid() != ROOT:
        return None
    found = like.stat()
    return None if found.st_uid == ROOT else (found.st_uid, found.st_gid)
