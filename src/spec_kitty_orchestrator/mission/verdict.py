"""A reviewer's verdict for one review reference, or none. Silence, exit 0 and doubt are never a verdict."""

from __future__ import annotations

import json
import re
from collections import deque

from attrs import frozen

APPROVED, REJECTED = "approved", "changes_requested"
NEAR = 80  # characters on either side of a reference: the keys and braces next to it lie within them

_KEYS = {"review_ref", "verdict", "feedback"}
_CLOSING_FENCE = re.compile(r"\n[ \t]*(?:`{3,}|~{3,})\Z")
_OBJECT_START = re.compile(r"^[ \t]*(`?)(?=\{\s*\")", re.MULTILINE)
_FLAT_OBJECT = re.compile(r"\{[^{}]*\}")
_OBJECT_LIKE = re.compile(r"[{}]|review_ref|(?:verdict|feedback)[\"'\u201d\u2019]")
_ESCAPE = re.compile(r"\\+(?:u([0-9a-fA-F]{4}))?")


@frozen
class Verdict:
    """What a reviewer said, explicitly, about one attempt; feedback is never empty unless approved."""

    review_ref: str
    approved: bool
    feedback: str

    @property
    def word(self) -> str:
        """The host's word for it, as sent in a review result (contract 1.4.0)."""
        return APPROVED if self.approved else REJECTED


@frozen
class Reviewed:
    """A verdict on one commit, and who gave it: a reviewer, or we for what we found ourselves (`by_us`)."""

    agent: str
    commit: str
    said: Verdict
    by_us: bool = False


def review_reference(wp_id: str, attempt: int, nonce: str) -> str:
    """The reference of one review attempt, `review/WP01/2-9f3c1a7b`; `nonce` makes it unguessable."""
    return f"review/{wp_id}/{attempt}-{nonce}"


def read_verdict(final_text: str, review_ref: str) -> Verdict | None:
    """The verdict for `review_ref` that a reviewer's final text ends with, or None.

    It is one JSON object, the last thing there is, which begins on a line of its own. Whatever else the text
    says of this reference must not contradict it. A `changes_requested` without feedback is none: the
    implementer could do nothing with it. Only the final text may be given, never a whole transcript.
    """
    text = final_text.strip()
    text = _CLOSING_FENCE.sub("", text).rstrip()
    # A quote mark follows a brace that begins a line in two places at most: where the object begins, and
    # where its feedback ends.
    for start in deque(_OBJECT_START.finditer(text), maxlen=2):
        written = text[start.end() :]
        if start[1]:  # in backticks
            written = written.removesuffix("`")
        said = _as_verdict(written, review_ref)
        if said is not None:
            before = text[: start.start()]
            doubtful = _contradicts(before, said) or (said.approved and _contradicts(said.feedback, said))
            return None if doubtful or not (said.approved or said.feedback) else said
    return None


def _as_verdict(written: str, review_ref: str) -> Verdict | None:
    try:
        value: object = _DECODER.decode(written)
    except (ValueError, RecursionError):  # not JSON, a key twice, or nested without end
        return None
    if not isinstance(value, dict) or not value.keys() <= _KEYS or value.get("review_ref") != review_ref:
        return None
    word, feedback = value.get("verdict"), value.get("feedback") or ""
    if word not in (APPROVED, REJECTED) or not isinstance(feedback, str):
        return None
    return Verdict(review_ref, approved=word == APPROVED, feedback=feedback.strip())


def _contradicts(text: str, said: Verdict) -> bool:
    """Whether a text gives the reference another verdict, or holds it in an object that cannot be read."""
    plain = _without_escapes(text)
    if said.review_ref not in plain:
        return False
    if said.approved and REJECTED in plain:
        return True
    plain = _without_escapes(_FLAT_OBJECT.sub(lambda found: _unless_agreeing(found[0], said), text))
    return any(
        _OBJECT_LIKE.search(plain, max(0, each.start() - NEAR), each.end() + NEAR)
        for each in re.finditer(re.escape(said.review_ref), plain)
    )


def _unless_agreeing(written: str, said: Verdict) -> str:
    other = _as_verdict(written, said.review_ref)
    return "" if other is not None and other.approved == said.approved else written


def _without_escapes(text: str) -> str:
    r"""What JSON or Markdown wrote as `\/`, `\"`, `\_` or `\u002f` is found like anything else."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else "", text)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(pairs) != len(dict(pairs)):
        raise ValueError("a key stands there twice")
    return dict(pairs)


_DECODER = json.JSONDecoder(strict=False, object_pairs_hook=_once)
