"""What a check sees, and what it finds: values."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from ...agents.agent import Agent
from ...errors import OrchestratorError
from ...settings.values import Settings


class Level(str, enum.Enum):
    """How bad it is; the value is the word for people and programs."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@frozen
class Finding:
    """One check: what was looked at, and what was found there.

    Attributes:
        remedy: what to do about it, a command where one does it; empty when all is well.
    """

    what: str
    found: str
    level: Level = Level.OK
    remedy: str = ""


@frozen
class Case:
    """Where a run would be started, as far as it can be told.

    Attributes:
        root: the project; None where there is none.
        settings: None where they cannot be read.
        agents: those that the settings name, by name.
        mission: the one that was asked about, if one was.
    """

    environ: Mapping[str, str]
    root: Path | None = None
    settings: Settings | None = None
    agents: Mapping[str, Agent] = field(factory=dict)
    mission: str | None = None


Found = Sequence[Finding]
Check = Callable[[Case], Awaitable[Found]]
"""A check finds nothing where it cannot be made: in no project, or without settings."""


def warning(what: str, found: str, remedy: str) -> Finding:
    """Something that a run could do without, or may stumble over."""
    return Finding(what, found, Level.WARNING, remedy)


def error(what: str, found: str, remedy: str) -> Finding:
    """Something that keeps a run from starting, or from its end."""
    return Finding(what, found, Level.ERROR, remedy)


def problem(what: str, found: OrchestratorError) -> Finding:
    """What keeps a run from starting, in the words that the run would say."""
    return error(what, found.message, found.remedy)
