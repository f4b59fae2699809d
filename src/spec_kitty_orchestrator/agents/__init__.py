"""The agent CLIs as data: one record each, how it is called, what its output says.

To add one is to add a record. Only the search for programs (below) and for versions (`probe.py`) acts.
"""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import UsageError
from . import catalog
from .spec import AgentSpec

_BY_ID = {spec.agent_id: spec for spec in catalog.ALL}


def all_agent_ids() -> tuple[str, ...]:
    """The ids of the agents that we know, in the catalogue's order."""
    return tuple(_BY_ID)


def get_agent(agent_id: str) -> AgentSpec:
    """The record of a known agent. Raises UsageError, with the nearest id, for any other."""
    if agent_id not in _BY_ID:
        raise UsageError(unknown_agent(agent_id, _BY_ID), remedy=f"known agents: {', '.join(_BY_ID)}")
    return _BY_ID[agent_id]


def unknown_agent(agent_id: str, known: Iterable[str]) -> str:
    """What to say of an id that is none of `known`."""
    near = difflib.get_close_matches(agent_id, list(known), n=1)
    return f"unknown agent {agent_id!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def find_binary(spec: AgentSpec, environ: Mapping[str, str] | None = None) -> Path | None:
    """The agent's program, by the PATH of `environ` (ours by default), or None when it is not installed."""
    path = (os.environ if environ is None else environ).get("PATH", os.defpath)
    found = (shutil.which(name, path=path) for name in spec.binaries)
    return next((Path(program) for program in found if program), None)


def detect_installed_agents(environ: Mapping[str, str] | None = None) -> list[str]:
    """The ids of the agents that are installed, in the catalogue's order. Starts no process."""
    return [spec.agent_id for spec in catalog.ALL if find_binary(spec, environ)]
