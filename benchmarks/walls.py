"""Measures what a wall costs an agent's start: from the order to the end of a command that does nothing.

    python benchmarks/walls.py

srt is measured where it is on PATH.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import trio

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.table import show

from spec_kitty_orchestrator.agents import get_agent
from spec_kitty_orchestrator.agents.agent import Agent
from spec_kitty_orchestrator.agents.spec import AgentSettings, Role, Wall
from spec_kitty_orchestrator.host.workspace import Workspace
from spec_kitty_orchestrator.processes.keeper import Command, open_keeper
from spec_kitty_orchestrator.settings.values import SandboxSettings
from spec_kitty_orchestrator.walls.around import PROGRAMS, Walls
from spec_kitty_orchestrator.walls.enclosure import Occupant

TIMES = 30


async def measure(wall: Wall, folder: Path) -> float:
    """The median, in seconds."""
    git = folder / "project" / ".git"
    work = Workspace(
        folder / "work", git / "worktrees" / "w", git, "kitty/w", "main", folder / "plan" / "tasks" / "WP.md"
    )
    for each in (work.path, work.git_dir, work.planning_dir, folder / "attempt" / "tmp"):
        each.mkdir(parents=True, exist_ok=True)
    agent = Agent(get_agent("claude-code"), Path("/bin/true"), AgentSettings(sandbox=wall))
    env = {**os.environ, "HOME": str(folder)}
    inside = Occupant(agent, Role.IMPLEMENTATION, work, folder / "attempt", env)
    walled = Walls(SandboxSettings(wall), folder / "project").around(inside, ("/bin/true",))
    for path, text in walled.files.items():
        path.write_text(text)
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        async with open_keeper(Command(walled.argv, walled.cwd, env)) as keeper:
            ending = await keeper.wait()
        took.append(time.perf_counter() - began)
        assert ending.returncode == 0, wall
    return statistics.median(took)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        plain = trio.run(measure, Wall.OFF, Path(name))
        for wall, bound in ((Wall.BWRAP, "about 10 ms"), (Wall.SRT, "about 300 ms")):
            if all(shutil.which(program) for program in PROGRAMS[wall]):
                extra = trio.run(measure, wall, Path(name)) - plain
                show(f"what {wall.value} adds to the start of an agent", f"{extra * 1000:.0f} ms", bound)
            else:
                show(f"what {wall.value} adds to the start of an agent", "not here", bound)


if __name__ == "__main__":
    main()
