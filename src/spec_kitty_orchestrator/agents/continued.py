"""What came of an attempt in a session: whether it was that one, and what the attempt itself cost."""

from __future__ import annotations

import re

from attrs import asdict

from ..processes.ending import EndedBy, Ending
from .sessions import InSession, Sessions
from .transcript import Transcript, Usage

NOT_BY_ITSELF = frozenset({*EndedBy} - {EndedBy.EXITED, EndedBy.COMPLETED})


def lost_session(sessions: Sessions, asked: InSession, ending: Ending, transcript: Transcript) -> str | None:
    """Why an attempt was not in the session that it was to go on with, or None.

    It knew nothing then of what was said before: whatever it did, it must be told all of it anew. An agent
    that was stopped from outside was at work; in which session, its stream has told.
    """
    if not asked.resumed or ending.ended_by in NOT_BY_ITSELF:
        return None
    told, error = transcript.session_id, transcript.error
    if not transcript.final_text or error is not None or ending.returncode:
        said = f"{error.message if error is not None else ''}\n{transcript.stderr}"
        lines = (line.strip() for line in said.splitlines())
        known = re.compile(sessions.lost or r"(?!)")
        if found := next((line for line in lines if known.search(line)), None):
            return found
    if error is not None:  # in its error an agent may name what it was asked for
        return None
    if told is None:
        # A success tells an id; what is killed before it can is a failure of another kind.
        return None if ending.returncode or ending.signal else "it did not say which session it was in"
    return None if told == asked.session_id else f"it was in another session, {told}"


def own_usage(sessions: Sessions, told: Usage, before: Usage) -> Usage:
    """What an attempt cost by itself.

    Args:
        told: what the agent said at its end.
        before: what it had said until then of the same session; nothing of one that was just begun. What an
            attempt spent that was killed before it could say so is told with the next one's, where the
            agent has counted it.
    """
    figures = asdict(told)
    for name in sessions.counts_whole:
        if figures[name] is not None:
            figures[name] = max(0, figures[name] - (getattr(before, name) or 0))
    return Usage(**figures)


def newest(told: Usage, before: Usage) -> Usage:
    """What a session has cost as far as it was ever told: `told`, and for what it leaves out `before`."""
    return Usage(
        **{name: getattr(before, name) if figure is None else figure for name, figure in asdict(told).items()}
    )
