"""What of an agent's limits is really enforced, in the policy's words: what the host is told, and no more."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .spec import AgentSettings, AgentSpec, Role, Wall

APPROVAL_MODE = "full_auto"
"""Nobody is asked: a run is unattended, and every agent is called so that it waits for no answer."""

NETWORK_MODES = {Wall.OFF: "open", Wall.BWRAP: "open", Wall.SRT: "allowlist"}
"""Without srt nothing closes it: every agent talks to its model, and most let their tools talk to anybody.
That codex closes it for its shell is not told: its own search of the web, for one, goes another way."""

BEHIND_WALLS = {Role.IMPLEMENTATION: "workspace_write", Role.REVIEW: "read_only"}
"""The sandbox of whoever is behind walls of ours."""


def enforced_modes(spec: AgentSpec, settings: AgentSettings, role: Role) -> Mapping[str, str]:
    """Each mode of the policy, and what is true of this agent in this role."""
    if settings.sandbox is not None and settings.sandbox is not Wall.OFF:
        return modes_behind(settings.sandbox, role)
    sandbox = "none" if lifted(spec, settings) else spec.confined.get(role, "none")
    return _modes(sandbox, NETWORK_MODES[Wall.OFF])


def modes_behind(wall: Wall, role: Role) -> Mapping[str, str]:
    """The same for any agent behind a wall of ours."""
    return _modes("none" if wall is Wall.OFF else BEHIND_WALLS[role], NETWORK_MODES[wall])


def _modes(sandbox: str, network: str) -> Mapping[str, str]:
    return {"approval_mode": APPROVAL_MODE, "sandbox_mode": sandbox, "network_mode": network}


def lifted(spec: AgentSpec, settings: AgentSettings) -> bool:
    """Whether the user's own arguments take the agent out of its sandbox, or may."""
    pattern = spec.unconfined_by
    return pattern is not None and any(re.search(pattern, arg) for arg in settings.extra_args)


def has_own_walls(spec: AgentSpec, settings: AgentSettings) -> bool:
    """Whether a sandbox of its own holds the agent, so that it need not, or cannot, be put into another."""
    return bool(spec.confined) and not lifted(spec, settings)
