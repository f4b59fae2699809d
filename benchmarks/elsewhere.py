"""Measures what 200 agents that run elsewhere cost here: descriptors, memory, and the time to end them all.

    python benchmarks/elsewhere.py

Elsewhere is played by this machine: the launcher becomes the keeper there, so that the figures of a launcher
(`srun`: 4 MiB and a helper of 1 MiB, each) come on top.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
import trio
from benchmarks.table import show

from spec_kitty_orchestrator.processes.agent_process import Limits, run_agent
from spec_kitty_orchestrator.processes.far_file import put_far_keeper
from spec_kitty_orchestrator.processes.keeper import Command
from spec_kitty_orchestrator.processes.launcher import FarJob, FarLaunch, LauncherKind
from spec_kitty_orchestrator.processes.open_files import open_files_for, raise_open_files
from spec_kitty_orchestrator.processes.orphans import CHILDREN, adopt_orphans

AGENTS = 200
MIB = 2**20
SCRIPT = "echo ready; exec sleep 600"


class Sink:
    """Tells when its agent is at work."""

    complete = is_too_dear = False

    def __init__(self) -> None:
        self.ready = trio.Event()

    def feed_stdout(self, _: bytes) -> None:
        self.ready.set()

    def feed_stderr(self, _: bytes) -> None:
        """Says nothing."""


class FileCount(trio.abc.Instrument):
    """The most files that this process had open, looked at now and then."""

    def __init__(self) -> None:
        self.most, self._steps = 0, 0

    def after_task_step(self, _: trio.lowlevel.Task) -> None:
        self._steps += 1
        if self._steps % 50 == 0:
            self.most = max(self.most, len(os.listdir("/proc/self/fd")))


async def _one(folder: Path, number: int, sink: Sink, keeper: Path) -> None:
    prompt, report = folder / f"{number}.md", folder / f"{number}.far"
    prompt.write_text("do it\n")
    report.touch()
    job = FarJob(LauncherKind.COMMAND, f"job-{number}", ("true",))
    far = FarLaunch(("env", "python3", "-I", "-S", str(keeper)), job, report, 60.0, 600.0)
    command = Command(("sh", "-c", SCRIPT), folder, dict(os.environ), prompt, grace=2.0, far=far)
    await run_agent(command, folder / f"{number}.log", Limits(3600.0), sink, lambda _: None)


async def _all(folder: Path) -> tuple[float, float, int, float]:
    """Resident MiB of ours, PSS MiB of a keeper here, files open at work, seconds to end them all."""
    adopt_orphans()
    keeper, sinks = put_far_keeper(folder), [Sink() for _ in range(AGENTS)]
    async with trio.open_nursery() as nursery:
        for number, sink in enumerate(sinks):
            nursery.start_soon(_one, folder, number, sink, keeper)
        for sink in sinks:
            await sink.ready.wait()
        ours = psutil.Process().memory_info().rss / MIB
        here = [psutil.Process(pid).memory_full_info().pss / MIB for pid in CHILDREN.keepers]
        files = len(os.listdir("/proc/self/fd"))
        began = time.monotonic()
        nursery.cancel_scope.cancel()
    return ours, sum(here) / len(here), files, time.monotonic() - began


def main() -> None:
    """Prints the rows."""
    raise_open_files()
    count = FileCount()
    with tempfile.TemporaryDirectory() as folder:
        ours, keeper, files, seconds = trio.run(_all, Path(folder), instruments=[count])
    allowed = open_files_for(AGENTS, is_far=True)
    show(f"memory of ours with {AGENTS} agents elsewhere; of a keeper", f"{ours:.0f}; {keeper:.1f} MiB", "-")
    show(
        f"files open for them at work; at most ({allowed} are asked for)",
        f"{files}; {count.most}",
        str(allowed),
    )
    show(f"Ctrl-C until all {AGENTS} are gone, and made sure of", f"{seconds:.1f} s", "-")


if __name__ == "__main__":
    main()
