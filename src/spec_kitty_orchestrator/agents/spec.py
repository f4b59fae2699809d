"""What an agent CLI is, as data: one frozen record says all that the program needs to know of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from attrs import field, frozen

NOTHING: Mapping[str, str] = MappingProxyType({})


class Role(str, enum.Enum):
    """What an agent does for a work package; the value is the word in settings and file names."""

    IMPLEMENTATION = "implementation"
    REVIEW = "review"


@frozen
class AgentSettings:
    """What the user sets for one agent under `agents.settings.<id>`."""

    model: str | None = None
    extra_args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default=NOTHING)
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
    env: Mapping[str, str]
    files: Mapping[Path, str]
    policy_flags: tuple[str, ...]
