"""What an agent CLI is, as data: one frozen record says all that the program needs to know of it."""

from __future__ import annotations

import enum
import shlex
from collections.abc import Mapping
from types import MappingProxyType

from attrs import field, frozen

from ..processes.launcher import Launcher
from .homes import Home
from .places import NOWHERE, At
from .sessions import Sessions
from .speech import EventAt

NOTHING: Mapping[str, str] = MappingProxyType({})


class Role(str, enum.Enum):
    """What an agent does for a work package; the value is the word in settings and file names."""

    IMPLEMENTATION = "implementation"
    REVIEW = "review"


class Wall(str, enum.Enum):
    """What is put around an agent; the value is the word in the settings."""

    OFF = "off"
    BWRAP = "bwrap"
    SRT = "srt"


class FailureKind(str, enum.Enum):
    """Why an attempt did not succeed; the value is the word in the run state and the event stream."""

    NOT_INSTALLED = "not_installed"
    AUTH = "auth"
    RATE_LIMIT = "rate_limit"
    NETWORK = "network"
    BAD_MODEL = "bad_model"
    BUDGET = "budget"
    ATTEMPT_LIMIT = "attempt_limit"  # of turns or cost, set for one attempt; not the account's
    TIMEOUT = "timeout"
    STALLED = "stalled"
    CRASHED = "crashed"
    LOG_FULL = "log_full"
    NO_VERDICT = "no_verdict"
    HANDOVER_REFUSED = "handover_refused"
    CHECKS_FAILED = "checks_failed"
    WORK_CHANGED = "work_changed"  # by a reviewer
    NOT_LAUNCHED = "not_launched"  # elsewhere: it never began there, and says nothing of the agent
    LOST = "lost"  # elsewhere: its end was not heard of, or it was ended there by somebody
    SESSION_LOST = "session_lost"  # which was to be gone on with; nobody's fault, and nothing was done


class OutputFormat(str, enum.Enum):
    """What an agent prints on stdout; the value is the word in `agents.custom`."""

    TEXT = "text"
    JSON = "json"  # one object, or one array of objects, on however many lines
    JSONL = "jsonl"  # one object (or an array of them) on each line


@frozen
class ErrorAt:
    """Where an error stands: its message, and what the agent gives beside it.

    `status` leads to an HTTP status, `code` to the agent's own word for the error, `retry_after` to
    seconds. A passing error is one after which the agent tries again by itself; it counts only when
    nothing came after it.
    """

    message: At
    status: str | None = None
    code: str | None = None
    retry_after: str | None = None
    passing: bool = False


@frozen
class Output:
    """How to read an agent's output. Of several final texts the last one counts.

    Attributes:
        complete: events after which the agent has nothing more to say.
        final_adds: the final text comes in pieces, one event after the other.
        usage_adds: the figures stand on each step and are summed, rather than once at the end.
        status_pattern: finds the HTTP status in an error's message, for agents that put it nowhere else.
        steps: what its events say, for people; see `steps.py`.
    """

    format: OutputFormat
    final: At = NOWHERE
    final_adds: bool = False
    session: At = NOWHERE
    input_tokens: At = NOWHERE
    output_tokens: At = NOWHERE
    cost_usd: At = NOWHERE
    usage_adds: bool = False
    errors: tuple[ErrorAt, ...] = ()
    complete: tuple[At, ...] = ()
    status_pattern: str | None = None
    steps: tuple[EventAt, ...] = ()


def _words(args: str | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(shlex.split(args)) if isinstance(args, str) else args


@frozen
class RoleCommand:
    """How an agent is called in one role.

    Attributes:
        args: after the program and before the model and the user's own, as a shell would write them.
            `$workspace` and `$attempt_dir` stand for the context's; `$json_writes` for a JSON list of
            the folders outside the workspace that a commit there and `mark-status` write to, and
            `$toml_access` for a TOML table that makes these "write", and what nobody has to write
            in them "read".
        last: what must come after everything else.
        files: name in the attempt's folder → text to write there before the start.
        widens: what in `args` widens the agent's permissions, as the policy tells it to the host.
        program: what to run in this role instead of the agent's own program.
    """

    args: tuple[str, ...] = field(converter=_words)
    last: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default=NOTHING)
    files: Mapping[str, str] = field(default=NOTHING)
    widens: tuple[str, ...] = ()
    program: str | None = None


@frozen
class AgentSpec:
    """One agent CLI.

    Attributes:
        family: who makes it; the policy's `agent_family`.
        binaries: names to look for on PATH, in this order.
        model_args: how a model is chosen, with `$model`; empty when the CLI cannot be told.
        failure_codes: the agent's own word for an error → kind.
        failure_words: whole phrases → kind, for errors that carry neither code nor HTTP status.
        exit_kinds: exit status → kind, where the CLI gives one a meaning of its own; outranks all words.
        read_only_review: a reviewer cannot change anything, by the CLI's own rules or sandbox.
        confined: role → the policy's `sandbox_mode`, where a sandbox of the system holds whatever the
            agent's tools start. A CLI's own permission rules do not count: they judge the text of a
            command, and one that they let through (`git diff` with its `--output`, its external diff, a
            configured fsmonitor) runs with all that the person may do. So all but codex are `none`, in
            both roles. Servers that a person adds to the CLI run outside its sandbox, and are theirs.
        unconfined_by: which arguments of the user's take it out of that sandbox, or may; a pattern.
        reports_cost: its output tells what an attempt has cost.
        tells_cost_midway: it does so while it is at work, so that it can be stopped in time.
        cost_limit_args: how it is told what one attempt may cost, with `$max_cost_usd`; empty when the CLI
            knows no such limit.
        litter: paths in the workspace that the CLI leaves by itself, whatever it was asked to do; folders
            end with a slash. Empty folders are none (codex leaves some): git does not see them, and a
            project may keep such a folder of its own.
        home: what it keeps outside of a workspace, and whom it talks to: what walls must leave open.
        sessions: how its own session is gone on with; None: it always begins a new one.
        verified: the version that these facts were measured on; empty when from documentation only.
        note: one line for a reader: what is special about it.
    """

    agent_id: str
    family: str
    binaries: tuple[str, ...]
    implementation: RoleCommand
    review: RoleCommand
    output: Output
    env: Mapping[str, str] = field(default=NOTHING)
    model_args: tuple[str, ...] = ("--model", "$model")
    failure_codes: Mapping[str, FailureKind] = field(factory=dict)
    failure_words: tuple[tuple[FailureKind, str], ...] = ()
    exit_kinds: Mapping[int, FailureKind] = field(factory=dict)
    read_only_review: bool = False
    reports_cost: bool = False
    tells_cost_midway: bool = False
    cost_limit_args: tuple[str, ...] = ()
    confined: Mapping[Role, str] = field(factory=dict)
    unconfined_by: str | None = None
    litter: tuple[str, ...] = ()
    home: Home = field(factory=Home)
    sessions: Sessions | None = None
    verified: str = ""
    note: str = ""

    @property
    def can_limit_cost(self) -> bool:
        """Whether one attempt can be held to a cost, by the CLI itself or by us."""
        return bool(self.cost_limit_args) or self.tells_cost_midway

    def command(self, role: Role) -> RoleCommand:
        """The call for a role."""
        return self.review if role is Role.REVIEW else self.implementation


@frozen
class AgentSettings:
    """What the user sets for one agent under `agents.settings.<id>`.

    Attributes:
        sandbox: what is put around it, and `launcher`: where it runs; None: what the settings say of all.
    """

    model: str | None = None
    extra_args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default=NOTHING, repr=False)  # may hold secrets
    timeout_seconds: float | None = None
    max_cost_usd: float | None = None
    launcher: Launcher | None = None
    sandbox: Wall | None = None
