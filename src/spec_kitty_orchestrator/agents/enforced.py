"""What of an agent's limits is really enforced, in the policy's words: what the host is told, and no more."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .spec import AgentSettings, AgentSpec, Role

APPROVAL_MODE = "full_auto"
"""Nobody is asked: a run is unattended, and every agent is called so that it waits for no answer."""

NETWORK_MODE = "open"
"""Nothing closes it: every agent talks to its model, and most let their tools talk to anybody. That codex
closes it for its shell is not told: its own search of the web, for one, goes another way."""


def enforced_modes(spec: AgentSpec, settings: AgentSettings, role: Role) -> Mapping[str, str]:
    """Each mode of the policy, and what is true of this agent in this role."""
    sandbox = "none" if lifted(spec, settings) else spec.confined.get(role, "none")
    return {"approval_mode": APPROVAL_MODE, "sandbox_mode": sandbox, "network_mode": NETWORK_MODE}


def lifted(spec: AgentSpec, settings: AgentSettings) -> bool:
    """Whether the user's own arguments take the agent out of its sandbox, or may."""
    pattern = spec.unconfined_by
    return pattern is not None and any(re.search(pattern, arg) for arg in settings.extra_args)
