"""How the session of an agent is continued: what its CLI needs for that, as data, and which session."""

from __future__ import annotations

from attrs import frozen

TOKENS = frozenset({"input_tokens", "output_tokens"})


@frozen
class Sessions:
    """How an agent CLI begins a session that can be continued, and how it continues one, always by its id.

    Attributes:
        begin: arguments of a first attempt, with `$session` for an id that we choose; empty where the CLI
            chooses, and tells it in its output.
        resume: arguments of a continuation, with `$session`. Both come after the user's own arguments.
        without: words of the role's own arguments that are left out in both cases.
        without_to_resume: words of those that are left out of a continuation only.
        lost: what it says when it does not know the id, or cannot read what it knows; a pattern, for its
            errors and its stderr.
        counts_whole: which figures of a Usage it tells of the whole session, not of this attempt.
    """

    resume: tuple[str, ...]
    begin: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    without_to_resume: tuple[str, ...] = ()
    lost: str = ""
    counts_whole: frozenset[str] = frozenset()


@frozen
class InSession:
    """The session that an attempt is to be in: one that is begun, or one that is gone on with.

    Attributes:
        session_id: its id; None when the agent chooses it.
        resumed: it is gone on with.
    """

    session_id: str | None
    resumed: bool = False
