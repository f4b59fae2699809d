"""Measures the whole program on the fake host (about 50 ms a call): how fast it stops, how fast it goes on.

python benchmarks/program.py
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from attrs import evolve
from benchmarks.table import show
from conformance.fake.program import install_fake_host
from tests.conftest import Arena, Trace
from tests.process.stage import Stage, marked

from spec_kitty_orchestrator.demo.project import PlannedWorkPackage, ProjectPlan, make_project

GRACE = 2.0
STAMP = 'date +%s%N >> "{file}"'
CALLS_PER_WP, CALLS_BESIDE = 4, 3


@contextmanager
def staged(work_packages: int) -> Iterator[Stage]:
    """A project with so many work packages that have nothing to do with each other."""
    folder = Path(tempfile.mkdtemp())
    names = [f"WP{number:02}" for number in range(1, work_packages + 1)]
    wps = tuple(PlannedWorkPackage(name, f"Write {name}", "Write it.", (f"{name}.txt",)) for name in names)
    mark = f"bench-{uuid.uuid4().hex}"
    host = install_fake_host(folder / "host")
    environ = {**os.environ, **Trace(mark).environ, "SK_ORCH_HOST_BINARY": str(folder / "host" / "counted")}
    try:
        project = make_project(ProjectPlan("bench", wps), folder / "project", host, environ)
        stage = Stage(Arena(folder, evolve(project, environ=environ), environ), mark)
        stage.host(STAMP.format(file=folder / "calls"))
        (folder / "host" / "counted").chmod(0o755)
        yield stage
        stage.clear()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure_stop(mode: str, agents: int) -> float:
    """Seconds from Ctrl-C until the program has exited and nothing of it is left."""
    with staged(agents) as stage:
        stage.cast([mode] * agents, max_concurrent_wps=agents, grace_seconds=GRACE)
        process = stage.start(stdout=subprocess.DEVNULL)
        stage.await_ready(agents)
        time.sleep(0.5)
        began = time.perf_counter()
        process.send_signal(signal.SIGINT)
        process.wait()
        while marked(stage.mark):
            time.sleep(0.005)
        return time.perf_counter() - began


def measure_mission(work_packages: int) -> tuple[int, list[float]]:
    """Host calls of a whole mission, one agent at a time; seconds from each agent's end to the next call."""
    with staged(work_packages) as stage:
        folder = stage.arena.folder
        wrapper = folder / "agent.sh"
        wrapper.write_text(f'#!/bin/sh\n"$@"\n{STAMP.format(file=folder / "ends")}\n')
        stage.cast(before_agent=["sh", str(wrapper)], max_concurrent_wps=1)
        stage.start(stdout=subprocess.DEVNULL)
        assert stage.finish() == (0, "")
        ends, calls = (
            [int(word) for word in (folder / name).read_text().split()] for name in ("ends", "calls")
        )
        gaps = [min(call for call in calls if call > end) - end for end in ends]
        # The agents' own calls to mark their subtasks are not ours.
        return len(calls) - work_packages, [gap / 1e9 for gap in gaps]


def measure_help() -> float:
    """Seconds that `--help` takes, the median of 15."""
    taken = []
    for _ in range(15):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "spec_kitty_orchestrator", "--help"], capture_output=True, check=True
        )
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main() -> None:
    for mode, bound in (("obey", 1.0), ("ignore", GRACE + 1)):
        for agents in (1, 8, 32):
            what = f"whole program, Ctrl-C to everything gone, {agents} agents that {mode}"
            show(what, f"{measure_stop(mode, agents):.2f} s", f"< {bound:g} s")
    for work_packages in (4, 16):
        calls, gaps = measure_mission(work_packages)
        most = CALLS_PER_WP * work_packages + CALLS_BESIDE
        show(f"host calls for {work_packages} work packages", str(calls), f"<= {most}")
    middle, worst = statistics.median(gaps) * 1000, max(gaps) * 1000
    show(f"agent's end to next host process, worst {worst:.0f} ms", f"{middle:.0f} ms", "< 50 ms")
    show("--help (median of 15)", f"{measure_help() * 1000:.0f} ms", "< 150 ms")


if __name__ == "__main__":
    main()
