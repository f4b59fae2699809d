"""An agent's steps as text: a word for what each is, and its text beside it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..agents.steps import Step

WORD_WIDTH = len("came back")
INDENT = " " * (WORD_WIDTH + 2)
HEAD_LINES, TAIL_LINES = 25, 5
"""Of what a tool was given or gave back; more is left out, and that is said."""
MOST_CHARACTERS = 2000
"""Of one line of it."""

_STYLES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "said": {"fg": "green", "bold": True},
        "thought": {"fg": "magenta"},
        "ran": {"fg": "cyan", "bold": True},
        "came back": {"fg": "cyan"},
        "told": {"fg": "yellow"},
    }
)
_TOOLS = ("ran", "came back")


class StepText:
    """Makes text of steps in their order; `full` leaves nothing out of what a tool was given or gave back."""

    def __init__(self, *, colours: bool = False, full: bool = False) -> None:
        self._colours, self._full = colours, full
        self._open = ""  # the word of a step whose pieces come one by one
        self._newlines = ""  # at the end of its last piece, until more follows

    def of(self, step: Step) -> str:
        """What to print for a step; a piece may stay without its newline until `end`."""
        from ..agents.speech import Extent

        word = step.kind.value
        if step.extent is Extent.PIECE:
            return self._piece(word, step.text)
        text = step.text if self._full or word not in _TOOLS else shortened(step.text)
        return f"{self.end()}{self._head(word)}{_indented(text or '(nothing)')}\n"

    def end(self) -> str:
        """What ends a step that came in pieces."""
        ended = "\n" if self._open else ""
        self._open = self._newlines = ""
        return ended

    def _piece(self, word: str, text: str) -> str:
        begins = self._open != word
        text = text.lstrip("\n") if begins else self._newlines + text
        body = text.rstrip("\n")
        if not body:
            self._newlines = "" if begins else text
            return ""
        before = self.end() + self._head(word) if begins else ""
        self._open, self._newlines = word, text[len(body) :]
        return before + _indented(body)

    def _head(self, word: str) -> str:
        padded = f"{word:<{WORD_WIDTH}}  "
        return click.style(padded, **_STYLES[word]) if self._colours else padded


def shortened(text: str) -> str:
    """The beginning and the end of a text that is long, and how much is missing between them."""
    lines = text.split("\n")
    if len(lines) > HEAD_LINES + TAIL_LINES:
        missing = len(lines) - HEAD_LINES - TAIL_LINES
        lines = [
            *lines[:HEAD_LINES],
            f"... {missing} lines more (--full shows them)",
            *lines[-TAIL_LINES:],
        ]
    return "\n".join(map(_cut, lines))


def _cut(line: str) -> str:
    more = len(line) - MOST_CHARACTERS
    return line if more <= 0 else f"{line[:MOST_CHARACTERS]} ... {more} characters more (--full shows them)"


def _indented(text: str) -> str:
    """Every line but the first is set below the first."""
    return "\n".join(
        f"{INDENT if number and line else ''}{line}" for number, line in enumerate(text.split("\n"))
    )
