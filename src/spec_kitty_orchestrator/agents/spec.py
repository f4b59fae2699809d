"""What an agent CLI is, as data: one frozen record says all that the program needs to know of it."""

from __future__ import annotations

import enum
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from string import Template
from types import MappingProxyType

from attrs import field, frozen

from .places import NOWHERE, At

NOTHING: Mapping[str, str] = MappingProxyType({})

# What a commit in a linked worktree writes to in the repository's git folder, and where the host locks when
# a subtask is marked (3.2.7). Not the whole folder: its hooks and config would let an agent out of a sandbox.
_SHARED_GIT_FOLDERS = ("objects", "refs", "logs", "spec-kitty-locks")

# Words in the arguments that a user adds which say that they widen what the agent may do.
_WIDENING = re.compile(
    r"yolo|dangerous|bypass|full-auto|full_auto|skip-(permissions|trust)|allow-all|accept-?edits"
    r"|danger-full-access|writable_roots|^--(auto|force|trust|allow(ed)?-?tools?)\b",
    re.IGNORECASE,
)


class Role(str, enum.Enum):
    """What an agent does for a work package; the value is the word in settings and file names."""

    IMPLEMENTATION = "implementation"
    REVIEW = "review"


class FailureKind(str, enum.Enum):
    """Why an attempt did not succeed; the value is the word in the run state and the event stream."""

    NOT_INSTALLED = "not_installed"
    AUTH = "auth"
    RATE_LIMIT = "rate_limit"
    NETWORK = "network"
    BAD_MODEL = "bad_model"
    BUDGET = "budget"
    TIMEOUT = "timeout"
    STALLED = "stalled"
    CRASHED = "crashed"
    NO_VERDICT = "no_verdict"
    HANDOVER_REFUSED = "handover_refused"


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


def _words(args: str | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(shlex.split(args)) if isinstance(args, str) else args


@frozen
class RoleCommand:
    """How an agent is called in one role.

    Attributes:
        args: after the program and before the model and the user's own, as a shell would write them.
            `$workspace` and `$attempt_dir` stand for the context's; `$json_writes` for a JSON list of
            the folders outside the workspace that a commit there and `mark-status` write to.
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
        exit_kinds: exit status → kind, where the CLI gives one a meaning of its own.
        read_only_review: a reviewer cannot change anything, by the CLI's own rules or sandbox.
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
    verified: str = ""
    note: str = ""

    def command(self, role: Role) -> RoleCommand:
        """The call for a role."""
        return self.review if role is Role.REVIEW else self.implementation


@frozen
class AgentSettings:
    """What the user sets for one agent under `agents.settings.<id>`."""

    model: str | None = None
    extra_args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default=NOTHING, repr=False)  # may hold secrets
    timeout_seconds: float | None = None


@frozen
class CommandContext:
    """What a command line may depend on.

    Attributes:
        binary: the agent's program.
        workspace: the folder to work in, a git worktree.
        git_dir: that worktree's own git folder, `<repository>/.git/worktrees/<name>`.
        common_git_dir: the repository's git folder.
        planning_dir: the mission's folder, where the host's `mark-status` writes.
        attempt_dir: a folder of ours for files that the agent is given (never inside the workspace).
        settings: what the user set for this agent.
    """

    binary: Path
    workspace: Path
    git_dir: Path
    common_git_dir: Path
    planning_dir: Path
    attempt_dir: Path
    settings: AgentSettings = AgentSettings()


@frozen
class CommandLine:
    """How one attempt is started: arguments, what is added to the environment, files to write before.

    `files` maps a path to the text that it must hold; all lie in the context's `attempt_dir`.
    `policy_flags` are those of the arguments that widen what the agent may do (sent with the policy).
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)  # may hold secrets
    files: Mapping[Path, str]
    policy_flags: tuple[str, ...]


def command_line(spec: AgentSpec, role: Role, context: CommandContext) -> CommandLine:
    """The command line of one attempt. The prompt is never in it: it is the agent's stdin."""
    command, settings = spec.command(role), context.settings
    values = _values(context)
    model = spec.model_args if settings.model else ()
    args = _fill((*command.args, *model), values) + settings.extra_args + _fill(command.last, values)
    env = {key: Template(text).substitute(values) for key, text in {**spec.env, **command.env}.items()}
    return CommandLine(
        argv=(command.program or str(context.binary), *args),
        env={**env, **settings.env},
        files={context.attempt_dir / name: text for name, text in command.files.items()},
        policy_flags=policy_flags(spec, role, settings.extra_args),
    )


def policy_flags(spec: AgentSpec, role: Role, extra_args: tuple[str, ...]) -> tuple[str, ...]:
    """What widens an agent's permissions in a role: by its record, and among the user's own arguments."""
    return spec.command(role).widens + tuple(arg for arg in extra_args if _WIDENING.search(arg))


def _values(context: CommandContext) -> dict[str, str]:
    common = context.common_git_dir
    writes = [*(common / name for name in _SHARED_GIT_FOLDERS), context.git_dir, context.planning_dir]
    return {
        "workspace": str(context.workspace),
        "attempt_dir": str(context.attempt_dir),
        "model": context.settings.model or "",
        # A JSON list is a TOML list too, save for DEL and lone surrogates, which no sane path holds.
        "json_writes": json.dumps([str(path) for path in writes]),
    }


def _fill(args: tuple[str, ...], values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(Template(arg).substitute(values) for arg in args)
