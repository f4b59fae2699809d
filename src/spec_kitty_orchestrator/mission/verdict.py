"""A reviewer's verdict for one review reference, or none. Silence, and exit 0, are never a verdict."""

from __future__ import annotations

import json
import re

from attrs import frozen

SEARCHED_CHARACTERS = 256 * 1024  # of the end of a final text: far more than any review, and a bound
_OBJECT_START = re.compile(r"\{(?=\s*\")")
_DECODER = json.JSONDecoder()


@frozen
class Verdict:
    """What a reviewer said, explicitly, about one attempt; feedback is never empty unless approved."""

    review_ref: str
    approved: bool
    feedback: str

    @property
    def word(self) -> str:
        """The host's word for it, as sent in a review result (contract 1.4.0)."""
        return "approved" if self.approved else "changes_requested"


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
    """The last verdict in a reviewer's final text that carries `review_ref`, or None.

    Only the final text may be given, never a whole transcript: that one echoes the prompt.
    A `changes_requested` without feedback is none: the implementer could do nothing with it.
    """
    tail = final_text[-SEARCHED_CHARACTERS:]
    found = [
        _as_verdict(_object_at(tail, start.start()), review_ref) for start in _OBJECT_START.finditer(tail)
    ]
    spoken = [said for said in found if said is not None]
    if not spoken or (not spoken[-1].approved and not spoken[-1].feedback):
        return None
    return spoken[-1]


def _object_at(text: str, start: int) -> object:
    try:
        value: object = _DECODER.raw_decode(text, start)[0]
    except (ValueError, RecursionError):  # not JSON, or nested without end
        return None
    return value


def _as_verdict(value: object, review_ref: str) -> Verdict | None:
    if not isinstance(value, dict) or value.get("review_ref") != review_ref:
        return None
    word, feedback = value.get("verdict"), value.get("feedback", "")
    if word not in ("approved", "changes_requested") or not isinstance(feedback, str):
        return None
    return Verdict(review_ref, approved=word == "approved", feedback=feedback.strip())
