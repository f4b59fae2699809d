"""Finds JSON in what an agent printed, in bounded time; what cannot be read is None."""

from __future__ import annotations

import json
import re
from collections import deque

# Commas and brackets, in texts too. It is read once for each attempt: 100 ms.
MAX_DOCUMENT_MARKS = 250_000
# How much may be read of what turns out to be no document, beside twice its length.
_MAX_TRIED = 2 * 1024 * 1024
# How many starts of a document are tried, from the last one back; each costs a parse.
_MAX_STARTS = 1000

_DOCUMENT_START = re.compile(r"^[ \t]*(?:Error: )?(?=[\[{])", re.MULTILINE)


def parse(text: str) -> object:
    """The value that a text stands for, or None."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def last_document(text: str) -> object:
    """The last object or array that begins on a line of its own and can be read, or None."""
    if marks(text) > MAX_DOCUMENT_MARKS:
        return None
    found: object = None
    decoder, end, tried = json.JSONDecoder(), 0, 0
    for start in deque(_DOCUMENT_START.finditer(text), maxlen=_MAX_STARTS):
        if start.end() < end:
            continue
        try:
            found, end = decoder.raw_decode(text, start.end())
        except (ValueError, RecursionError) as problem:
            tried += getattr(problem, "pos", len(text)) - start.end()
        if tried > _MAX_TRIED + 2 * len(text):
            return None
    return found


def marks(text: bytes | str) -> int:
    """A number that a JSON text has no more values than, and a little."""
    if isinstance(text, bytes):
        return sum(map(text.count, (b",", b"[", b"{")))
    return sum(map(text.count, (",", "[", "{")))
