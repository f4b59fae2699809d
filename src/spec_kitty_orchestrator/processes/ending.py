"""How a command ended: a value, for whoever asked for the command and for whoever judges its end."""

from __future__ import annotations

import enum

from attrs import frozen


class EndedBy(enum.Enum):
    """Why a command ended."""

    EXITED = "exited"
    COMPLETED = "completed"  # an agent whose transcript was complete did not exit; its success stands
    TIMEOUT = "timeout"
    IDLE = "idle"
    LOG_FULL = "log full"
    TOO_DEAR = "too dear"  # it told that it had cost more than it may
    KEEPER_LOST = "keeper lost"  # killed, or hung: how the command itself ended is not known
    NOT_LAUNCHED = "not launched"  # it was to run elsewhere, and never began there
    LOST = "lost"  # it ran elsewhere, and its end was not heard of
    ENDED_THERE = "ended there"  # it ran elsewhere, and was told to stop there, not by us

    @property
    def is_elsewhere(self) -> bool:
        """It says what became of it on the way to another place, or there; not of the command itself."""
        return self in (EndedBy.NOT_LAUNCHED, EndedBy.LOST, EndedBy.ENDED_THERE)


@frozen
class Swept:
    """What was found of something that should have been gone, each as "pid name".

    Attributes:
        ended: what is gone now.
        left: what could not be ended: another user's, or stuck in the kernel.
    """

    ended: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@frozen
class Ending:
    """How a command ended, with everything below it gone but what is `left`.

    Attributes:
        returncode: its exit status, None when a signal ended it or nobody knows.
        signal: the signal that ended it, or None.
        swept: what it left behind or had to be killed beside it, each as "pid name".
        seconds: from its start until everything was gone.
        left: what it left behind and nobody could end, each as "pid name".
        words: what is known of an end elsewhere.
        elsewhere: what is left in another place, or may be, in words; empty when nothing is.
    """

    returncode: int | None
    signal: int | None
    ended_by: EndedBy
    swept: tuple[str, ...]
    seconds: float
    left: tuple[str, ...] = ()
    words: str = ""
    elsewhere: str = ""
