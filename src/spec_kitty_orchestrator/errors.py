"""The one tree of errors: each knows the exit code of the program and what its reader can do."""

from __future__ import annotations

import enum
from typing import ClassVar


class ExitCode(enum.IntEnum):
    """How the program ends; `meaning` is the line that `--help` and the README show."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> ExitCode:
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    ACCEPTED = 0, "mission accepted (or the dry run is valid)"
    ATTENTION = (
        1,
        "finished, but some work packages need attention (blocked, canceled, stalled), or processes are left",
    )
    USAGE = 2, "wrong usage or configuration"
    HOST = 3, "host missing, incompatible or broken"
    LOCKED = 4, "another run holds this repository"
    NO_AGENT = 5, "no agent can work, or a budget is spent; resumable"
    INTERNAL = 6, "internal error"
    HUNG_UP = 129, "stopped by SIGHUP; resumable"
    INTERRUPTED = 130, "stopped by Ctrl-C; resumable"
    TERMINATED = 143, "stopped by SIGTERM, abort or stop; resumable"


class OrchestratorError(Exception):
    """Something that its reader can act on: one line that says what is wrong and where, and a remedy.

    Args:
        message: what is wrong, and where.
        remedy: what to do about it, as an instruction; empty when there is nothing to add.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


class UsageError(OrchestratorError):
    """What the user asked for, or the place where it was asked, cannot be worked with."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """A setting is wrong; the message holds one line for each, `file:line:column: path: what`."""


class StateFileError(UsageError):
    """Our own run-state file is damaged, of a newer version, or cannot be written."""


class StateNotWritten(StateFileError):
    """What a run did can no longer be recorded: it has to stop, and that is nobody's wrong usage."""

    exit_code = ExitCode.ATTENTION


class WorkspaceError(UsageError):
    """A workspace that the host named is missing or is not the worktree that it should be."""


class PolicyError(UsageError):
    """Policy metadata that the host would refuse."""


class RunLocked(OrchestratorError):
    """Another run holds this repository."""

    exit_code = ExitCode.LOCKED


class NoAgentCanWork(OrchestratorError):
    """Every agent that may take the work is missing, logged out or at its limit."""

    exit_code = ExitCode.NO_AGENT


class HostError(OrchestratorError):
    """The host could not be run, or did not answer as the contract says."""

    exit_code = ExitCode.HOST


def find_known(problem: BaseException) -> OrchestratorError | None:
    """The first error of ours in an exception, or in a group of them (a nursery wraps what it lets out)."""
    if isinstance(problem, OrchestratorError):
        return problem
    inside = getattr(problem, "exceptions", ())
    return next((known for known in map(find_known, inside) if known is not None), None)
