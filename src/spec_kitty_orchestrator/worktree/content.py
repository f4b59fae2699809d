"""What git would store for a file: line ends and Git LFS, by the attributes; no program is started.

A file that another filter of the user's prepares (its `clean` command) cannot be judged so: it counts as
changed unless it is stored as it is. Git itself asks such a filter only when the index does not know the file
by its time and size already, and neither are we asked before that; `git status` renews what the index knows.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Container, Iterator

from attrs import field, frozen

from .index import Entry
from .rules import Attributes, Value

CHUNK = 1 << 18
"""Bytes: small enough that no step holds the interpreter for long, large enough that hashing lets it go."""

_LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"
_CONTROL = bytes({*range(32), 127} - set(b"\b\t\n\f\r\033"))
_TEXT_VALUES = {True: "text", b"input": "text", b"auto": "auto", False: "binary"}


def read_regular(path: bytes) -> bytes | None:
    """A file's content; None if there is none or it is anything but a regular file (a pipe never ends)."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError:
        if os.path.islink(path):
            return None
        raise


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


@frozen
class _Counts:
    size: int
    crlf: int
    lone_cr: int
    nul: int
    control: int

    @property
    def is_binary(self) -> bool:
        """As git guesses it."""
        printable = self.size - self.control - 2 * self.crlf - self.lone_cr
        return bool(self.lone_cr or self.nul) or printable >> 7 < self.control


@frozen
class Content:
    """Compares a file with what is stored of it.

    Attributes:
        algorithm: `sha1` or `sha256`.
        filters: the names of filters that the config has a command for.
        guess_text: `core.autocrlf` is on: files whose attributes are silent may be text.
        read_blob: a stored object's content.
    """

    algorithm: str
    attributes: Attributes
    filters: Container[bytes]
    guess_text: bool
    read_blob: Callable[[str], bytes] = field(repr=False)

    def is_stored(self, path: bytes, name: bytes, entry: Entry) -> bool:
        """Whether the file at `path`, tracked as `name`, holds what the index says.

        Raises:
            OSError: it cannot be read.
        """
        attributes = self.attributes.of(name)
        text = "binary" if self._is_filtered(attributes) else self._text(attributes)
        if text != "binary" and (counts := _count(_chunks(path))).crlf:
            convert = text == "text" or not (counts.is_binary or self._holds_crlf(entry))
            if convert:
                converted = (chunk.replace(b"\r\n", b"\n") for chunk in _chunks(path))
                return self._oid(counts.size - counts.crlf, converted) == entry.oid
        if self._oid(os.stat(path).st_size, _chunks(path)) == entry.oid:
            return True
        return attributes.get(b"filter") == b"lfs" and b"lfs" in self.filters and self._is_in_lfs(path, entry)

    def is_stored_link(self, path: bytes, entry: Entry) -> bool:
        """Whether a symbolic link leads where the index says."""
        target = os.readlink(path)
        return self._oid(len(target), iter([target])) == entry.oid

    def _is_filtered(self, attributes: dict[bytes, Value]) -> bool:
        encoding, named = attributes.get(b"working-tree-encoding"), attributes.get(b"filter")
        filtered = isinstance(named, bytes) and named in self.filters
        return filtered or isinstance(encoding, bytes) or attributes.get(b"ident") is True

    def _text(self, attributes: dict[bytes, Value]) -> str:
        """`text`, `binary`, or `auto`: a guess from the content."""
        said = _TEXT_VALUES.get(attributes.get(b"text", b"")) or _TEXT_VALUES.get(
            attributes.get(b"crlf", b"")
        )
        if said is None and attributes.get(b"eol") in (b"lf", b"crlf"):
            return "text"
        return said or ("auto" if self.guess_text else "binary")

    def _holds_crlf(self, entry: Entry) -> bool:
        """What is stored with CRLF already stays so, where text is a guess."""
        counts = _count(_pieces(self.read_blob(entry.oid)))
        return counts.crlf > 0 and not counts.is_binary

    def _is_in_lfs(self, path: bytes, entry: Entry) -> bool:
        inner = hashlib.sha256()
        size = 0
        for chunk in _chunks(path):
            inner.update(chunk)
            size += len(chunk)
        pointer = _LFS.format(inner.hexdigest(), size).encode()
        return self._oid(len(pointer), iter([pointer])) == entry.oid

    def _oid(self, size: int, chunks: Iterator[bytes]) -> str:
        made = hashlib.new(self.algorithm, b"blob %d\0" % size)
        for chunk in chunks:
            made.update(chunk)
        return made.hexdigest()


def _chunks(path: bytes) -> Iterator[bytes]:
    """A file's content in pieces that never end between CR and LF."""
    with open(path, "rb", buffering=0, opener=_open_at_once) as file:
        while chunk := file.read(CHUNK):
            while chunk.endswith(b"\r") and (more := file.read(1)):
                chunk += more
            yield chunk


def _pieces(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        end = at + CHUNK + data.startswith(b"\n", at + CHUNK)
        yield data[at:end]
        at = end


def _count(chunks: Iterator[bytes]) -> _Counts:
    size = crlf = carriage_returns = nul = control = 0
    last = b""
    for chunk in chunks:
        size += len(chunk)
        crlf += chunk.count(b"\r\n")
        carriage_returns += chunk.count(b"\r")
        nul += chunk.count(b"\0")
        control += len(chunk) - len(chunk.translate(None, _CONTROL))
        last = chunk[-1:]
    return _Counts(size, crlf, carriage_returns - crlf, nul, control - (last == b"\x1a"))
