"""The index of a worktree: versions 2 to 4, split ones, and the entries of sparse folders.

Whatever a file system monitor or an untracked cache noted in it is passed over: we look ourselves.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from attrs import frozen

GITLINK = 0o160000
FOLDER = 0o040000

_EXTENDED, _ASSUME_UNCHANGED, _STAGE = 0x4000, 0x8000, 0x3000
_SKIP_WORKTREE, _INTENT_TO_ADD = 0x4000, 0x2000
_STAT = struct.Struct(">10I")
_WORD = 64


_LOW = 0xFFFFFFFF

Row = tuple[int, str, int, int, int, int, int]
"""An `Entry` as a plain tuple, of which the garbage collector need not look at tens of thousands."""


class Entry(NamedTuple):
    """One path that is tracked, with what tells without reading that its file is the same.

    Attributes:
        oid: the stored object, hex.
        ctime: in nanoseconds, and so is `mtime`.
        inode: the lower 32 bits.
        size: the lower 32 bits; 0 also for what must be read.
        flags: see the properties.
    """

    mode: int
    oid: str
    ctime: int
    mtime: int
    inode: int
    size: int
    flags: int

    @property
    def is_looked_at(self) -> bool:
        """False for what the user told git to take for unchanged."""
        return not self.flags & _ASSUME_UNCHANGED

    @property
    def is_absent(self) -> bool:
        """Whether it is not wanted in the worktree (sparse checkout)."""
        return bool(self.flags & _SKIP_WORKTREE << 16)

    @property
    def is_promised(self) -> bool:
        """Whether `git add --intent-to-add` noted it without its content."""
        return bool(self.flags & _INTENT_TO_ADD << 16)

    def is_file(self, found: os.stat_result) -> bool:
        """Whether a file that was found is the one remembered, by its times, place and size."""
        return (
            self.size == found.st_size & _LOW
            and self.mtime == found.st_mtime_ns
            and self.ctime == found.st_ctime_ns
            and self.inode == found.st_ino & _LOW
        )


def row_of_absent(mode: int, oid: str) -> Row:
    """What a sparse folder stands for."""
    return mode, oid, 0, 0, 0, 0, _SKIP_WORKTREE << 16


@frozen
class Index:
    """What is staged.

    Attributes:
        rows: entries by path.
        conflicts: paths that a merge left undecided.
        sparse_folders: whole folders that are not wanted in the worktree, without the slash, with their tree.
        written: when, in nanoseconds; what was changed since then may bear the same time as before.
    """

    rows: dict[bytes, Row]
    conflicts: frozenset[bytes]
    sparse_folders: dict[bytes, str]
    written: int

    @property
    def names(self) -> Collection[bytes]:
        """Every path that is tracked, decided or not."""
        return self.rows.keys() | self.conflicts if self.conflicts else self.rows.keys()

    def get(self, name: bytes) -> Entry | None:
        """What is staged under a path, if that is decided."""
        row = self.rows.get(name)
        return Entry(*row) if row else None


def read_index(git_dir: Path, oid_bytes: int) -> Index:
    """The index that lies in a git folder; an empty one if there is none.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged, or of a version that is not known.
    """
    path = git_dir / "index"
    if not path.exists():
        return Index({}, frozenset(), {}, 0)
    written, data = path.stat().st_mtime_ns, path.read_bytes()
    rows, link = _parse(data, oid_bytes)
    if link and any(link[:oid_bytes]):
        base = git_dir / f"sharedindex.{link[:oid_bytes].hex()}"
        # What a split index takes over was compared with the clock when the shared one was written.
        written = min(written, base.stat().st_mtime_ns)
        rows = list(_join(rows, _parse(base.read_bytes(), oid_bytes)[0], link[oid_bytes:]))
    decided = {name: row for name, stage, row in rows if not stage and row[0] != FOLDER}
    folders = {name.rstrip(b"/"): row[1] for name, _, row in rows if row[0] == FOLDER}
    return Index(decided, frozenset(name for name, stage, _ in rows if stage), folders, written)


_Staged = tuple[bytes, int, Row]


def _parse(data: bytes, oid_bytes: int) -> tuple[list[_Staged], bytes]:
    """Rows of path, stage and entry; and what the index says of a shared one that it builds on."""
    try:
        signature, version, count = struct.unpack_from(">4sII", data)
        if signature != b"DIRC" or version not in (2, 3, 4):
            raise ValueError("the index is damaged, or of a version that is not known")
        rows, position = _rows(data, version, count, oid_bytes)
        return rows, _shared(data, position, len(data) - oid_bytes)
    except (struct.error, IndexError) as problem:
        raise ValueError("the index is cut short") from problem


def _rows(data: bytes, version: int, count: int, oid_bytes: int) -> tuple[list[_Staged], int]:
    rows: list[_Staged] = []
    name, position = b"", 12
    for _ in range(count):
        begin = position
        words = _STAT.unpack_from(data, position)
        position += _STAT.size
        oid = data[position : position + oid_bytes].hex()
        position += oid_bytes
        flags, extended = int.from_bytes(data[position : position + 2], "big"), 0
        position += 2
        if flags & _EXTENDED:
            extended = int.from_bytes(data[position : position + 2], "big")
            position += 2
        kept = 0
        if version == 4:
            dropped, position = _offset_number(data, position)
            kept = len(name) - dropped
        end = data.index(b"\0", position)
        name = name[:kept] + data[position:end]
        position = end + 1 if version == 4 else begin + (end - begin + 8) // 8 * 8
        ctime, mtime = words[0] * 10**9 + words[1], words[2] * 10**9 + words[3]
        row = (words[6], oid, ctime, mtime, words[5], words[9], flags | extended << 16)
        rows.append((name, flags & _STAGE, row))
    return rows, position


def _offset_number(data: bytes, position: int) -> tuple[int, int]:
    """A number of seven bits a byte, each further byte counting from one on; and where it ends."""
    byte = data[position]
    value = byte & 127
    while byte & 128:
        position += 1
        byte = data[position]
        value = (value + 1 << 7) + (byte & 127)
    return value, position + 1


def _shared(data: bytes, position: int, end: int) -> bytes:
    while position + 8 <= end:
        size = int.from_bytes(data[position + 4 : position + 8], "big")
        if data[position : position + 4] == b"link":
            return data[position + 8 : position + 8 + size]
        position += 8 + size
    return b""


def _join(rows: list[_Staged], base: list[_Staged], maps: bytes) -> Iterator[_Staged]:
    """The rows of the shared index that still hold, in their newer form, and those that came since."""
    deleted, end = _bitmap(maps, 0)
    replaced, _ = _bitmap(maps, end)
    newer = iter(rows)
    for number, (name, stage, row) in enumerate(base):
        if number in replaced:
            _, stage, row = next(newer, (name, stage, row))
        if number not in deleted:
            yield name, stage, row
    yield from newer


def _bitmap(data: bytes, position: int) -> tuple[set[int], int]:
    """The bits that are set in a compressed bitmap (EWAH), and where it ends."""
    _, count = struct.unpack_from(">II", data, position)
    words = struct.unpack_from(f">{count}Q", data, position + 8)
    found: set[int] = set()
    bit, at = 0, 0
    while at < count:
        marker = words[at]
        length = (marker >> 1 & 0xFFFFFFFF) * _WORD
        if marker & 1:
            found.update(range(bit, bit + length))
        bit += length
        literal = marker >> 33
        for word in words[at + 1 : at + 1 + literal]:
            found.update(bit + place for place in range(_WORD) if word >> place & 1)
            bit += _WORD
        at += 1 + literal
    return found, position + 8 + 8 * count + 4
