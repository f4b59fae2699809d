"""What the agents of a run said or did last, for a display: each one's log, read as its record says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..agents.custom import CustomAgent, known_agents
from ..agents.names import agent_of
from ..agents.steps import last_step, short
from ..report.overheard import Overheard


def overhear(repo_root: Path, custom: Mapping[str, CustomAgent]) -> Overheard:
    """Listens to the agents that are known in a project, by the logs of their attempts."""
    known = known_agents(custom)

    def words_of(agent: str, tail: bytes, cut: bool) -> str:
        spec = known.get(agent_of(agent))
        step = None if spec is None else last_step(spec.output, tail, cut=cut)
        return "" if step is None else short(step)

    return Overheard(repo_root, words_of)
