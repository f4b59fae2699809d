"""Measures the orchestrator's own CPU with a host and agents that cost nothing, and how it grows.

    python benchmarks/overhead.py

The host is the fake one in process and the agents are simulated; what these two cost themselves is counted
too, so the figures are upper bounds.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.table import show
from tests.sim import world
from tests.sim.world import Act, make_world

from spec_kitty_orchestrator.errors import ExitCode


def measure(work_packages: int) -> float:
    """CPU seconds per work package of a mission without trouble."""
    world.GOOD = Act(seconds=0)
    with tempfile.TemporaryDirectory() as folder:
        plan = {f"WP{number:02}": [] for number in range(1, work_packages + 1)}
        mission = make_world(Path(folder), plan, seconds=0.0)
        began = time.process_time()
        assert mission.orchestrate().exit_code is ExitCode.ACCEPTED
        return (time.process_time() - began) / work_packages


def main() -> None:
    measure(5)  # imports
    for work_packages in (50, 100, 200, 500):
        cost = measure(work_packages) * 1000
        show(f"own CPU per work package, mission of {work_packages}", f"{cost:.1f} ms", "< 50 ms")


if __name__ == "__main__":
    main()
