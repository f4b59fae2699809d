"""Whether a version is newer or older than another one, as far as their numbers tell."""

from __future__ import annotations

import enum
import re

_NUMBERS = re.compile(r"\d+(?:\.\d+)*")


class Age(str, enum.Enum):
    """How a version compares with the one that was measured; the value is the word for people."""

    OLDER = "older"
    NEWER = "newer"


def age_of(version: str | None, verified: str) -> Age | None:
    """None when they are the same, but for what follows the numbers, or when nobody can say.

    `2026.1.2-beta` is compared by 2026, 1 and 2; one that is longer is newer than what it begins with.
    """
    ours, theirs = _numbers(version or ""), _numbers(verified)
    if not ours or not theirs or ours == theirs:
        return None
    return Age.OLDER if ours < theirs else Age.NEWER


def _numbers(version: str) -> tuple[int, ...]:
    found = _NUMBERS.search(version)
    return tuple(map(int, found.group().split("."))) if found else ()
