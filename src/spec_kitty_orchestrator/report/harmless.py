"""Makes other people's words fit to be shown: nothing in them acts on a terminal, a page, or a reader."""

from __future__ import annotations

_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"}
"""Control characters, as the signs that stand for them: `\\x1b` is shown as `␛`."""
_OTHERS = dict.fromkeys(
    [
        *range(0x80, 0xA0),
        0x200E,
        0x200F,
        *range(0x202A, 0x202F),  # these turn the direction of what follows
        *range(0x2066, 0x206A),
        *range(0xD800, 0xE000),  # halves of characters, which cannot be written
        0xFFFE,
        0xFFFF,
    ],
    0xFFFD,
)
_TABLE = {**_PICTURES, 0x7F: 0x2421, **_OTHERS}

MOST_SHOWN = 20_000
"""Characters of one text; the whole is in `events.jsonl`."""


def in_signs(words: str) -> str:
    """The words with signs in place of what would act."""
    return words.translate(_TABLE)


def harmless(words: str, most: int = MOST_SHOWN) -> str:
    """The same, and cut where they are too long to be read."""
    shown = in_signs(words[:most].replace("\r\n", "\n")).strip("\n")
    if len(words) <= most:
        return shown
    return f"{shown}… ({len(words) - most:,} more characters are in events.jsonl)"


def one_line(words: str, most: int = 200) -> str:
    """The same on one line."""
    line = " ".join(harmless(words, MOST_SHOWN).split())
    return line if len(line) <= most else f"{line[:most]}…"
