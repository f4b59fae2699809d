"""PolicyMetadata: what the host is told about how an agent may act, checked before it is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping

from attrs import asdict, frozen

from ...errors import PolicyError

MODES: Mapping[str, tuple[str, ...]] = {
    "approval_mode": ("full_auto", "supervised", "interactive"),
    "sandbox_mode": ("none", "workspace_write", "read_only"),
    "network_mode": ("open", "allowlist", "none"),
}
"""The words of each mode, from the one that promises least to the one that promises most."""

SECRET_WORDS = ("token", "secret", "key", "password", "credential")
"""The host refuses any value that holds one of these, in any case, even inside another word."""

BANNED_FLAGS = frozenset(
    {
        "--full-auto",
        "--yolo",
        "--dangerously-bypass-approvals-and-sandbox",
        "--dangerously-skip-permissions",
    }
)


@frozen
class PolicyMetadata:
    """Who acts, in which family of agents, and what that agent is allowed.

    Attributes:
        orchestrator_id: this program's name.
        orchestrator_version: its version.
        agent_family: the family of the agent that the call is about, `claude`.
        approval_mode, sandbox_mode, network_mode: one of the words in `MODES` each.
        dangerous_flags: the permission-widening flags that the agent is really given.
        tool_restrictions: how its tools are limited, in words; None when they are not.

    Raises:
        PolicyError: the host would refuse it, or a mode is not one of ours.
    """

    orchestrator_id: str
    orchestrator_version: str
    agent_family: str
    approval_mode: str
    sandbox_mode: str
    network_mode: str
    dangerous_flags: tuple[str, ...] = ()
    tool_restrictions: str | None = None

    def __attrs_post_init__(self) -> None:
        values = asdict(self)
        flags = values.pop("dangerous_flags")
        for name, value in values.items():
            _check_text(name, value, optional=name == "tool_restrictions")
        for index, flag in enumerate(flags):
            _check_text(f"dangerous_flags[{index}]", flag, optional=False)
            if flag in BANNED_FLAGS:
                raise PolicyError(
                    f"policy dangerous_flags[{index}]: the host does not allow {flag}",
                    remedy="take the flag out of the agent's extra_args",
                )
        for name, words in MODES.items():
            if values[name] not in words:
                raise PolicyError(
                    f"policy {name}: {values[name]!r} is not one of {', '.join(words)}",
                    remedy=f"set policy.{name} in .kittify/orchestrator.yaml to one of them",
                )

    def to_json(self) -> str:
        """The value of the host's `--policy`, all eight keys."""
        return json.dumps(asdict(self))


def secret_word_in(text: str) -> str:
    """The word for which the host would take a text for a secret, or nothing."""
    return next((word for word in SECRET_WORDS if word in text.casefold()), "")


def _check_text(name: str, value: object, *, optional: bool) -> None:
    if value is None and optional:
        return
    if not isinstance(value, str) or not value.strip():
        raise PolicyError(f"policy {name}: expected some text, got {value!r}")
    if found := secret_word_in(value):
        # The value itself is not shown: it may be what it looks like.
        raise PolicyError(
            f"policy {name}: looks like a secret (it contains {found!r}), and the host would refuse it",
            remedy="policy metadata is recorded with the mission: use a value without that word",
        )
