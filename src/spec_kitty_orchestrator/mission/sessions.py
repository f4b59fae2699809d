"""Whether an agent goes on with its own session: pure decisions, and what is kept of it between attempts.

What it has read and thought is paid for: it need not be paid for again after a rejection or an interruption.
In doubt a new session is begun, which costs money and no truth.
"""

from __future__ import annotations

import hashlib
import re

from attrs import evolve, field, frozen

from ..agents.agent import Agent
from ..agents.failure import Failure
from ..agents.sessions import InSession
from ..agents.spec import FailureKind
from ..agents.transcript import Transcript, Usage

MAY_LIE_IN_THE_SESSION = frozenset(
    {
        FailureKind.CRASHED,
        FailureKind.TIMEOUT,
        FailureKind.STALLED,
        FailureKind.ATTEMPT_LIMIT,  # some count what the whole session has cost
        FailureKind.LOG_FULL,
    }
)
"""Kinds after which a session is gone on with once, and not again when that fails as well."""

_TOO_LONG = re.compile(
    r"\btoo long\b|\bcontext[ _](?:window|length|limit)|\bmaximum context\b", re.IGNORECASE
)


@frozen
class KeptSession:
    """The session of an agent in one role of one work package, begun or gone on with.

    Attributes:
        agent: its name in the settings; `model`: what it was asked for.
        place: the workspace's path. In another folder some would work in the old one.
        told: a digest of the texts of others that the agent was given last; empty while it is not known
            whether it got to read them.
        commit: the one that a reviewer judges; empty for an implementer.
        session_id: None until the agent has told it.
        resumed: its last attempt went on with it.
        cut_off: its last attempt did not come to its own end.
        cost: what the session has cost as far as the agent has told.
    """

    agent: str
    model: str | None
    place: str
    told: str
    commit: str = ""
    session_id: str | None = None
    resumed: bool = False
    cut_off: bool = False
    cost: Usage = field(factory=Usage)

    @property
    def in_session(self) -> InSession:
        """What the agent's command line says of it."""
        return InSession(self.session_id, self.resumed)

    def under_way(self, before: KeptSession | None) -> KeptSession:
        """What is known of it until its attempt has come to its end; `before`: until now."""
        is_new = self.resumed and before is not None and before.told != self.told
        return evolve(self, cut_off=True, told="" if is_new else self.told)

    def after(self, failure: Failure | None, transcript: Transcript) -> KeptSession | None:
        """What is left of it when an attempt has ended; None: nobody must go on with it."""
        kind = None if failure is None else failure.kind
        if kind is FailureKind.SESSION_LOST or (kind is FailureKind.NOT_LAUNCHED and not self.resumed):
            return None
        if kind in MAY_LIE_IN_THE_SESSION and (self.resumed or _was_refused(transcript)):
            return None
        return evolve(self, cut_off=kind is not None)


def begin(agent: Agent, place: str, text: str, commit: str, new_id: str) -> KeptSession | None:
    """A new session of an agent; None when it cannot be gone on with.

    Args:
        text: the work package's; for a reviewer with what earlier reviews asked for.
        commit: see `KeptSession`.
        new_id: a UUID that was never used before, for agents whose sessions we may name.
    """
    how = agent.spec.sessions
    if how is None:
        return None
    told = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    chosen = new_id if how.begin else None
    return KeptSession(agent.agent_id, agent.settings.model, place, told, commit, chosen)


def gone_on_with(before: KeptSession | None, new: KeptSession) -> KeptSession | None:
    """The session of before, if it is right for what `new` would be begun for.

    A reviewer judges what it was told of; whatever has changed in that is judged afresh.
    """
    if before is None or before.session_id is None:
        return None
    same = (before.agent, before.model, before.place, before.commit)
    if same != (new.agent, new.model, new.place, new.commit):
        return None
    if new.commit and before.told != new.told:
        return None
    return evolve(before, resumed=True, told=new.told)


def _was_refused(transcript: Transcript) -> bool:
    """The provider would not have the request itself: a session that grew too long, most of the time."""
    error = transcript.error
    if error is None:
        return False
    return (error.status is not None and 400 <= error.status < 500) or bool(_TOO_LONG.search(error.message))
