"""The walls that the settings ask for, tried with canaries, for each agent that would be put behind one."""

from __future__ import annotations

from ...agents.spec import Wall
from ...errors import OrchestratorError
from ...walls.around import Walls
from ...walls.trial import try_wall
from .findings import Case, Finding, Found, problem


async def canaries(case: Case) -> Found:
    """What came of each trial; nothing where no wall is asked for."""
    if case.settings is None or case.root is None:
        return []
    walls, found = Walls(case.settings.sandbox, case.root), []
    for name, agent in case.agents.items():
        wall = walls.of(agent)
        if wall is Wall.OFF or agent.program is None:
            continue
        what = f"{name} inside {wall.value}"
        try:
            trial = await try_wall(walls, agent, case.environ)
        except OrchestratorError as lacking:
            found.append(problem(what, lacking))
            continue
        told = "a canary wrote in its workspace and nowhere else, and read nothing that is hidden"
        found.append(Finding(what, told) if trial.holds else problem(what, trial.problem))
    return found
