"""Makes all checks, by groups. A check more is a function more in the table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import trio
from attrs import frozen

from ...errors import OrchestratorError
from ...settings.loading import load_settings
from ...settings.values import Flags
from ..opening import KITTIFY, named_agents
from . import agents, host, keeper, launchers, leftovers, machine, repository, walls
from .findings import Case, Check, Finding, Found, Level

GROUPS: Mapping[str, tuple[Check, ...]] = {
    "machine": (
        machine.clean_up,
        machine.surroundings,
        machine.sleep,
        machine.open_files,
        machine.disk_space,
    ),
    "keeper": (keeper.canary,),
    "repository": (
        repository.project,
        repository.branch,
        repository.settings,
        repository.writable,
        repository.last_run,
    ),
    "agents": (agents.enough, agents.each, agents.reviewers, agents.sandboxes),
    "walls": (walls.canaries,),
    "launchers": (launchers.launchable,),
    "leftovers": (leftovers.processes, leftovers.worktrees, leftovers.index_lock),
    "host": (host.host,),
}
"""In the order in which they are told; they are made side by side."""


@frozen
class Examination:
    """Everything that was found, by group."""

    groups: Mapping[str, tuple[Finding, ...]]

    def count(self, level: Level) -> int:
        """How many findings are of this level."""
        return sum(found.level is level for group in self.groups.values() for found in group)


async def examine(given: Path | None, environ: Mapping[str, str], mission: str | None = None) -> Examination:
    """Makes all checks, as far as they can be made.

    Args:
        given: the project's folder; None: the nearest from here upward.
        mission: which one to ask the host about; None: those that it may not be able to accept.
    """
    root, lacking = repository.the_project(given)
    case = _case(root, environ, mission)
    found: dict[tuple[str, int], Found] = {}

    async def make(at: tuple[str, int], check: Check) -> None:
        found[at] = await check(case)

    async with trio.open_nursery() as nursery:
        for group, checks in GROUPS.items():
            for number, check in enumerate(checks):
                nursery.start_soon(make, (group, number), check)
    told = {
        group: tuple(one for number in range(len(checks)) for one in found[group, number])
        for group, checks in GROUPS.items()
    }
    told["repository"] = (*lacking, *told["repository"])
    return Examination({group: each for group, each in told.items() if each})


def _case(root: Path | None, environ: Mapping[str, str], mission: str | None) -> Case:
    if root is None:
        return Case(environ, mission=mission)
    try:
        settings = load_settings(root / KITTIFY, environ, Flags())
    except OrchestratorError:  # which `settings` tells
        return Case(environ, root, mission=mission)
    return Case(environ, root, settings, named_agents(settings, environ), mission)
