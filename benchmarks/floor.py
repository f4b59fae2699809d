"""Measures a mission's wall time on the real host beside its floor, which nobody can go below.

    python benchmarks/floor.py [RUNS]

The mission is a diamond of four work packages, its agents scripted ones that do their work at once. The floor
is the longest chain of what must come one after the other: contract-version and mission-state side by side;
for each work package of a chain of dependencies its claim, the handover, the review's start and the approval,
at the mean time that such calls took in the same run, and what its own agents took; the acceptance.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from attrs import evolve, frozen
from benchmarks.table import show

from spec_kitty_orchestrator.demo import project as demo_project
from spec_kitty_orchestrator.demo.project import PlannedWorkPackage, Project, ProjectPlan, make_project
from spec_kitty_orchestrator.host.program import find_host_binary

DIAMOND = {"WP01": (), "WP02": ("WP01",), "WP03": ("WP01",), "WP04": ("WP02", "WP03")}
SCRIPTED = Path(demo_project.__file__).with_name("scripted_agent.py")
RUNS = 3
RATIO, CALLS = 1.08, 4 * len(DIAMOND) + 3

# Says when each call began and ended; the time that it takes itself, a few ms, is in the wall time alone.
TIMED = """#!/bin/sh
began=$(date +%s%N)
{host} "$@"
status=$?
echo "$began $(date +%s%N) $1 $2 $*" >> {log}
exit $status
"""


@frozen
class Call:
    """One call at the host: its command and its seconds since the epoch."""

    command: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@frozen
class Run:
    """What one run of the mission took.

    Attributes:
        wall: seconds from the start of our program to its end.
        agents: the seconds of each work package's attempts.
    """

    wall: float
    calls: list[Call]
    agents: Mapping[str, float]

    @property
    def floor(self) -> float:
        """Seconds below which the mission cannot be done by calls and agents that take so long."""
        by_command: dict[str, list[float]] = defaultdict(list)
        for call in self.calls:
            by_command[call.command].append(call.seconds)
        mean = {command: statistics.fmean(seconds) for command, seconds in by_command.items()}
        opening = max(mean["contract-version"], mean["mission-state"])
        moves = mean["start-implementation"] + 2 * mean["transition"] + mean["start-review"]
        done: dict[str, float] = {}
        for wp_id, after in DIAMOND.items():
            done[wp_id] = max((done[each] for each in after), default=0.0) + moves + self.agents[wp_id]
        return opening + max(done.values()) + mean["accept-mission"]


def make_template(folder: Path) -> Project:
    """A project with the mission planned in it, to be copied for each run."""
    wps = tuple(
        PlannedWorkPackage(wp_id, f"Write {wp_id}", "Write it.", (f"{wp_id}.txt",), dependencies=after)
        for wp_id, after in DIAMOND.items()
    )
    argv = [sys.executable, "-I", "-S", str(SCRIPTED), "--script", str(folder / "script.json")]
    roles = {"implementation": ["scripted"], "review": ["scripted"]}
    custom = {"scripted": {"command": dict.fromkeys(roles, argv), "output": "text"}}
    # No look at what people did meanwhile: that is no part of the mission's own chain.
    settings = json.dumps({"agents": {**roles, "custom": custom}, "refresh_seconds": 3600})
    host = find_host_binary(None, os.environ)
    plan = ProjectPlan("diamond", wps, {".kittify/orchestrator.yaml": settings})
    return make_project(plan, folder / "template", host)


def measure(template: Project, folder: Path) -> Run:
    """One run in a copy of the template."""
    root, log, host = folder / "project", folder / "calls", folder / "spec-kitty"
    shutil.copytree(template.root, root, symlinks=True)
    (folder.parent / "script.json").write_text(json.dumps({"state": str(folder / "agents")}))
    host.write_text(TIMED.format(host=shlex.quote(str(template.host)), log=shlex.quote(str(log))))
    host.chmod(0o755)
    argv = [sys.executable, "-m", "spec_kitty_orchestrator", "orchestrate", "--mission", template.mission]
    began = time.time()
    subprocess.run(
        argv, cwd=root, env={**os.environ, "SK_ORCH_HOST_BINARY": str(host)},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    wall = time.time() - began
    calls = []
    for line in log.read_text().splitlines():
        start, end, program, command, *_ = line.split()
        if program == "orchestrator-api":
            calls.append(Call(command, int(start) / 1e9, int(end) / 1e9))
    return Run(wall, calls, attempts_of(evolve(template, root=root)))


def attempts_of(project: Project) -> dict[str, float]:
    """The seconds of each work package's attempts, as the run tells them."""
    (events,) = (project.root / ".kittify" / "logs").glob("*/events.jsonl")
    taken = dict.fromkeys(DIAMOND, 0.0)
    for line in events.read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "AttemptEnded":
            taken[event["wp_id"]] += event["seconds"]
    return taken


def main(runs: int = RUNS) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        template = make_template(folder)
        found = []
        for number in range(runs):
            (folder / str(number)).mkdir()
            found.append(measure(template, folder / str(number)))
    ratios = [run.wall / run.floor for run in found]
    wall, floor = (statistics.median(getattr(run, what) for run in found) for what in ("wall", "floor"))
    show(f"diamond on the real host, wall time and floor, median of {runs}", f"{wall:.1f}, {floor:.1f} s", "")
    show(f"their ratio, worst {max(ratios):.3f}", f"{statistics.median(ratios):.3f}", f"<= {RATIO}")
    show("host calls of it", str(max(len(run.calls) for run in found)), f"<= {CALLS}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
