"""The fake host's tables: lanes and their neighbours, options, what a policy must be; and its refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CONTRACT_VERSION = "1.5.0"
OLDEST_PROVIDER = "0.1.0"
MISSION_TYPE = "software-dev"
TARGET_BRANCH = "feat/work"
COORDINATED = ("coord", "lanes_with_coord")
STRATEGIES = ["merge", "rebase", "squash"]

LANES = (
    "planned",
    "claimed",
    "in_progress",
    "for_review",
    "in_review",
    "approved",
    "done",
    "blocked",
    "canceled",
)
ALIASES = {"doing": "in_progress"}
UNREACHABLE = ("genesis", "uninitialized")
SETTLED = ("approved", "done")
NEED_POLICY = ("claimed", "in_progress", "for_review", "in_review", "approved")
NEIGHBOURS: Mapping[str, Sequence[str]] = {
    "planned": ("claimed", "blocked", "canceled"),
    "claimed": ("in_progress", "blocked", "canceled"),
    "in_progress": ("for_review", "approved", "planned", "blocked", "canceled"),
    "for_review": ("in_review", "blocked", "canceled"),
    "in_review": ("approved", "done", "in_progress", "planned", "blocked", "canceled"),
    "approved": ("done", "in_progress", "blocked", "canceled"),
    "done": (),
    "blocked": ("in_progress", "canceled"),
    "canceled": (),
}

POLICY_STRINGS = (
    "orchestrator_id",
    "orchestrator_version",
    "agent_family",
    "approval_mode",
    "sandbox_mode",
    "network_mode",
)
SECRETS = ("token", "secret", "key", "password", "credential")
BANNED = (
    "--full-auto",
    "--yolo",
    "--dangerously-bypass-approvals-and-sandbox",
    "--dangerously-skip-permissions",
)

MISSION = {"--mission": True}
WP = {**MISSION, "--wp": True}
ACTOR = {**WP, "--actor": True}
OPTIONS: Mapping[str, Mapping[str, bool]] = {
    "contract-version": {"--provider-version": False},
    "mission-state": MISSION,
    "list-ready": MISSION,
    "resolve-workspace": WP,
    "start-implementation": {**ACTOR, "--policy": False},
    "start-review": {**ACTOR, "--policy": False, "--review-ref": False},
    "transition": {
        **ACTOR, "--to": True, "--note": False, "--policy": False, "--review-ref": False,
        "--review-result-json": False, "--evidence-json": False,
    },
    "append-history": {**ACTOR, "--note": True},
    "accept-mission": {**MISSION, "--actor": True},
    "merge-mission": {**MISSION, "--target": False, "--strategy": False},
}  # fmt: skip
"""Options of each command that take a value, and whether the command insists on them."""

FLAGS: Mapping[str, Sequence[str]] = {
    "transition": ("--force", "--subtasks-complete", "--implementation-evidence-present"),
    "merge-mission": ("--push",),
}


class Refused(Exception):
    """The host says no: an error code, its data, and the exit status."""

    def __init__(self, code: str, message: str, status: int = 1, **data: Any) -> None:
        super().__init__(message)
        self.code = code
        self.data = {**data, "message": message}
        self.status = status


class Crash(Exception):
    """The host breaks down: nothing on stdout, a traceback on stderr that ends with these words."""


class NoWorkspace(Exception):
    """A workspace cannot be made or used; the message is the host's reason."""


def parse(argv: list[str]) -> tuple[str, dict[str, str]]:
    """The command and its options; a flag that is given is `"yes"`. Refuses in the words of click."""
    command, *rest = argv or [""]
    if not command:
        raise Refused("USAGE_ERROR", "Missing command.", status=2)
    if command.startswith("-"):
        raise Refused("USAGE_ERROR", f"No such option: {command}", status=2)
    if command not in OPTIONS:
        raise Refused("USAGE_ERROR", f"No such command '{command}'.", status=2)
    return command, parse_options(rest, OPTIONS[command], FLAGS.get(command, ()))


def parse_options(argv: list[str], known: Mapping[str, bool], flags: Sequence[str]) -> dict[str, str]:
    """Options as `--name VALUE` or `--name=VALUE`; `known` says which ones are required."""
    given: dict[str, str] = {}
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if name in flags:
            given[name] = "yes"
        elif name in known:
            given[name] = value if equals else next(words, "")
        else:
            raise Refused("USAGE_ERROR", f"No such option: {name}", status=2)
    for name, required in known.items():
        if required and name not in given:
            raise Refused("USAGE_ERROR", f"Missing option '{name}'.", status=2)
    return given
