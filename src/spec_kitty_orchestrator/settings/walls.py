"""What must be true of `sandbox:`, and of what is put around single agents, beyond types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..agents.enforced import has_own_walls
from ..agents.names import agent_of
from ..agents.spec import AgentSpec, Wall
from ..converter import Problem
from .cast import parts
from .values import Settings

_PATH = re.compile(r"(?:~/|/).*")
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_DOMAIN = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*(?::\d+)?", re.IGNORECASE)


def path_problem(path: str) -> str:
    """Why a path cannot be what walls open or hide; empty where it can."""
    is_path = _PATH.fullmatch(path) and ".." not in path.split("/")
    return "" if is_path else "expected an absolute path, or one that begins with ~/, without .."


def wall_problems(settings: Settings, known: Mapping[str, AgentSpec]) -> Iterator[Problem]:
    """Everything that is wrong with the walls that are asked for, or would be trusted and not hold."""
    sandbox = settings.sandbox
    for name in ("writable", "hidden"):
        for index, path in enumerate(getattr(sandbox, name)):
            if what := path_problem(path):
                yield Problem(("sandbox", name, index), what)
    for index, domain in enumerate(sandbox.allowed_domains):
        if not _DOMAIN.fullmatch(domain):
            what = "expected a domain, such as example.com, *.example.com or localhost:8080"
            yield Problem(("sandbox", "allowed_domains", index), what)
    named = dict.fromkeys(agent_of(name) for part in parts(settings.agents) for name in part.names)
    behind_srt = [name for name in named if settings.of_agent(name).sandbox is Wall.SRT and name in known]
    if sandbox.allowed_domains and not behind_srt:
        what = "only srt holds an agent to them; set sandbox.use: srt, or leave the key out"
        yield Problem(("sandbox", "allowed_domains"), what)
    for name in behind_srt:
        yield from _srt_problems(settings, known[name])


def _srt_problems(settings: Settings, spec: AgentSpec) -> Iterator[Problem]:
    own = settings.agents.settings.get(spec.agent_id)
    named = own is not None and own.sandbox is not None
    at = ("agents", "settings", spec.agent_id, "sandbox") if named else ("sandbox", "use")
    if has_own_walls(spec, settings.of_agent(spec.agent_id)):
        told = f"agents.settings.{spec.agent_id}.sandbox: off leaves it to that one, with an open network"
        yield Problem(at, f"{spec.agent_id} does nothing inside srt, as it has a sandbox of its own; {told}")
    if not (spec.home.domains or settings.sandbox.allowed_domains):
        told = "name where its model is in sandbox.allowed_domains"
        yield Problem(at, f"{spec.agent_id} could talk to nobody inside srt; {told}")
