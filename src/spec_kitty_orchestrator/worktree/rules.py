"""Which paths git ignores, and which attributes they have: the rules of .gitignore and .gitattributes.

Matching takes time that grows with the square of the length at worst: agents write such files, and no pattern
may hold the program up.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence

from attrs import frozen

Value = bytes | bool
"""An attribute: set to a text, set (true), or unset (false)."""

_POSIX = {
    "alnum": string.ascii_letters + string.digits,
    "alpha": string.ascii_letters,
    "blank": " \t",
    "cntrl": "".join(map(chr, range(32))) + "\x7f",
    "digit": string.digits,
    "graph": string.ascii_letters + string.digits + string.punctuation,
    "lower": string.ascii_lowercase,
    "print": string.ascii_letters + string.digits + string.punctuation + " ",
    "punct": string.punctuation,
    "space": string.whitespace,
    "upper": string.ascii_uppercase,
    "xdigit": string.hexdigits,
}
_CLASS = re.compile(rb"\[([!^]?)(\]?(?:\\.|\[:\w*:\]|[^\\\]])*)\]", re.DOTALL)
_MEMBER = re.compile(rb"\[:(\w*):\]|(\\?.)(?:-(\\?[^\]]))?", re.DOTALL)
_PIECE = re.compile(rb"\\(.)|(\*+)|(\?)|(\[)|(.)", re.DOTALL)
_MACRO = b"[attr]"
_BINARY: Mapping[bytes, Value | None] = {b"binary": True, b"diff": False, b"merge": False, b"text": False}


class MalformedPattern(ValueError):
    """A pattern that matches nothing."""


def _char_class(negated: bytes, text: bytes) -> bytes:
    members: set[int] = set()
    for posix, low, high in _MEMBER.findall(text):
        if not low:
            members.update(_POSIX.get(posix.decode(), "").encode())
        elif high:
            members.update(range(low[-1], high[-1] + 1), low[-1:])
        else:
            members.update(low[-1:])
    if negated:
        members = set(range(256)) - members
    return b"[" + b"".join(b"\\x%02x" % member for member in sorted(members - {ord("/")})) + b"]"


def _one_name(glob: bytes, flags: int) -> re.Pattern[bytes]:
    """A pattern without slashes. What stands between two stars is taken where it first fits, for good."""
    parts, at = [b""], 0
    while at < len(glob):
        piece = _PIECE.match(glob, at)
        if piece is None:
            raise MalformedPattern(glob)
        at = piece.end()
        escaped, stars, any_one, opening, plain = piece.groups()
        if stars:
            parts.append(b"")
        elif any_one:
            parts[-1] += b"."
        elif opening:
            found = _CLASS.match(glob, at - 1)
            if found is None:
                raise MalformedPattern(glob)
            parts[-1] += _char_class(*found.groups())
            at = found.end()
        elif plain == b"\\":
            raise MalformedPattern(glob)
        else:
            parts[-1] += re.escape(escaped or plain)
    text = parts[0]
    for number, part in enumerate(parts[1:-1]):
        text += b"(?=(?P<g%d>.*?%s))(?P=g%d)" % (number, part, number)
    if len(parts) > 1:
        text += b".*" + parts[-1]
    try:
        return re.compile(text + rb"\Z", flags | re.DOTALL)
    except re.error as problem:
        raise MalformedPattern(glob) from problem


class Glob:
    """One pattern: for a name anywhere if it holds no slash, else for a path from its file's folder on."""

    def __init__(self, pattern: bytes, fold_case: bool) -> None:
        flags = re.IGNORECASE if fold_case else 0
        self._anywhere = b"/" not in pattern
        parts = pattern.removeprefix(b"/").split(b"/")
        deep = not self._anywhere
        self._parts = [None if deep and part == b"**" else _one_name(part, flags) for part in parts]

    def matches(self, path: bytes) -> bool:
        """Whether a path, seen from the folder of the pattern's file, is meant."""
        if self._anywhere:
            return bool(self._parts[0] and self._parts[0].match(path[path.rfind(b"/") + 1 :]))
        names, at, part = path.split(b"/"), 0, 0
        again: tuple[int, int] | None = None
        while at < len(names):
            if part < len(self._parts) and self._parts[part] is None:
                part, again = part + 1, (part + 1, at)
            elif part < len(self._parts) and (known := self._parts[part]) and known.match(names[at]):
                part, at = part + 1, at + 1
            elif again:
                part, at = again[0], again[1] + 1
                again = (part, at)
            else:
                return False
        return part == len(self._parts)


@frozen
class _IgnoreRule:
    glob: Glob
    excludes: bool
    folders_only: bool


class IgnoreRules:
    """The rules of one file.

    Args:
        text: its content.
        base: the folder that it lies in, from the worktree's top, with a slash at the end; or empty.
        fold_case: whether `A` is `a`.
    """

    def __init__(self, text: bytes, base: bytes = b"", *, fold_case: bool = False) -> None:
        self._base = len(base)
        self._rules = [*_ignore_rules(text, fold_case)][::-1]

    def say(self, path: bytes, is_folder: bool) -> bool | None:
        """Whether a path is ignored; None if the rules are silent."""
        inner = path[self._base :]
        for rule in self._rules:
            if (is_folder or not rule.folders_only) and rule.glob.matches(inner):
                return rule.excludes
        return None


def ignored(stack: Sequence[IgnoreRules], path: bytes, is_folder: bool) -> bool:
    """What the last of several files of rules that says anything says."""
    for rules in reversed(stack):
        said = rules.say(path, is_folder)
        if said is not None:
            return said
    return False


def _without_trailing_spaces(line: bytes) -> bytes:
    kept = line.rstrip(b" ")
    escaped = (len(kept) - len(kept.rstrip(b"\\"))) % 2 == 1
    return kept + b" " if escaped and kept != line else kept


def _ignore_rules(text: bytes, fold_case: bool) -> Iterator[_IgnoreRule]:
    for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        line = _without_trailing_spaces(line.removesuffix(b"\r"))
        if not line or line.startswith(b"#"):
            continue
        excludes = not line.startswith(b"!")
        pattern = line if excludes else line[1:]
        folders_only = pattern.endswith(b"/")
        pattern = pattern.removesuffix(b"/")
        try:
            if pattern:
                yield _IgnoreRule(Glob(pattern, fold_case), excludes, folders_only)
        except MalformedPattern:
            continue  # as git does


_AttributeRule = tuple[Glob, Mapping[bytes, "Value | None"]]


class Attributes:
    """What .gitattributes say.

    Args:
        outer: the system's, the user's and the repository's own file: contents, the first being the weakest.
            The last of them outranks every .gitattributes.
        inner: reads the .gitattributes of a folder, named from the worktree's top ("" is the top).
        fold_case: whether `A` is `a`.
    """

    def __init__(
        self, outer: Sequence[bytes], inner: Callable[[bytes], bytes], *, fold_case: bool = False
    ) -> None:
        self._fold_case = fold_case
        self._macros: dict[bytes, Mapping[bytes, Value | None]] = {b"binary": _BINARY}
        self._inner = inner
        self._of_folder: dict[bytes, list[_AttributeRule]] = {}
        *weaker, strongest = [self._rules(text) for text in outer]
        self._weaker, self._strongest = weaker, strongest

    def of(self, path: bytes) -> dict[bytes, Value]:
        """The attributes of a file."""
        found: dict[bytes, Value | None] = {}
        for rules in self._weaker:
            _apply(rules, path, found)
        folder = b""
        for name in (b"", *path.split(b"/")[:-1]):
            folder = folder + b"/" + name if folder else name
            _apply(self._folder(folder), path[len(folder) + 1 if folder else 0 :], found)
        _apply(self._strongest, path, found)
        return {name: value for name, value in found.items() if value is not None}

    def _folder(self, folder: bytes) -> list[_AttributeRule]:
        if folder not in self._of_folder:
            self._of_folder[folder] = self._rules(self._inner(folder))
        return self._of_folder[folder]

    def _rules(self, text: bytes) -> list[_AttributeRule]:
        rules: list[_AttributeRule] = []
        for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
            words = re.findall(rb'"(?:\\.|[^"\\])*"|\S+', line.strip())
            if not words or words[0].startswith((b"#", b"!")):
                continue
            said = self._said(words[1:])
            if words[0].startswith(_MACRO):
                self._macros[words[0][len(_MACRO) :]] = {words[0][len(_MACRO) :]: True, **said}
                continue
            quoted = words[0].startswith(b'"') and len(words[0]) > 1
            pattern = re.sub(rb'\\(["\\])', rb"\1", words[0][1:-1]) if quoted else words[0]
            try:
                rules.append((Glob(pattern, self._fold_case), said))
            except MalformedPattern:
                continue  # as git does
        return rules

    def _said(self, words: Sequence[bytes]) -> dict[bytes, Value | None]:
        said: dict[bytes, Value | None] = {}
        for word in words:
            if word.startswith(b"-"):
                said[word[1:]] = False
            elif word.startswith(b"!"):
                said[word[1:]] = None
            elif b"=" in word:
                name, _, value = word.partition(b"=")
                said[name] = value
            else:
                said.update(self._macros.get(word, {word: True}))
        return said


def _apply(rules: Sequence[_AttributeRule], path: bytes, found: dict[bytes, Value | None]) -> None:
    for glob, said in rules:
        if glob.matches(path):
            found.update(said)
