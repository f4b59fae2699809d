"""Measures what evidence costs, and how long it holds the event loop up.

    python benchmarks/evidence.py

A linked worktree of 20,000 files that git has just made, and one of 200 MB that was changed. The loop sleeps
1 ms at a time meanwhile; how much later than that it wakes is how long it was held. A busy machine adds to it
what the first row says.
"""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.table import show

from spec_kitty_orchestrator.host.workspace import Workspace
from spec_kitty_orchestrator.mission.evidence import GitRepository

BRANCH = "kitty/mission-m-lane-a"
FILES, FOLDERS, LARGE = 20_000, 400, 200 << 20
LOOKS = 10


def git(folder: Path, *args: str) -> None:
    subprocess.run(
        ("git", "-c", "user.name=B", "-c", "user.email=b@example.invalid", *args), cwd=folder, check=True
    )


def make(root: Path) -> Workspace:
    """A repository with many files and a large one, and its linked worktree."""
    for number in range(FILES):
        path = root / f"d{number % FOLDERS}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}\n")
    (root / "large").write_bytes(os.urandom(1 << 20) * (LARGE >> 20))
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "files")
    work = root / ".worktrees" / "m-lane-a"
    git(root, "worktree", "add", "-q", "-b", BRANCH, str(work))
    time.sleep(0.1)
    git(work, "status", "--porcelain")
    prompt = root / "planning" / "m" / "tasks" / "WP01.md"
    return Workspace(work, root / ".git" / "worktrees" / "m-lane-a", root / ".git", BRANCH, "main", prompt)


async def held_up(ask: Callable[[], Awaitable[object]]) -> tuple[float, list[float]]:
    """Median seconds of a look, and for each by how much the latest sleep of the loop was late, in ms."""
    late: list[float] = []
    worst: list[float] = []
    taken: list[float] = []

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await trio.sleep(0.001)
            late.append((time.perf_counter() - began) * 1000 - 1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        for _ in range(LOOKS):
            began = time.perf_counter()
            await ask()
            taken.append(time.perf_counter() - began)
            worst.append(max(late))
            late.clear()
        nursery.cancel_scope.cancel()
    return statistics.median(taken), sorted(worst)


async def measure(workspace: Workspace) -> None:
    repository = GitRepository()
    await repository.look(workspace)  # imports
    gc.collect()
    _, idle = await held_up(lambda: trio.to_thread.run_sync(time.sleep, 0.3))
    tell("beside a thread that sleeps", idle, "-")
    seconds, late = await held_up(lambda: repository.look(workspace))
    show(f"evidence, {FILES:,} files and 200 MB (median of {LOOKS})", f"{seconds:.2f} s", "< 1 s")
    tell("meanwhile", late, "< 10 ms")
    large = workspace.path / "large"
    os.utime(large)  # must be read now
    seconds, late = await held_up(lambda: repository.look(workspace))
    show("evidence, the 200 MB read too", f"{seconds:.2f} s", "-")
    tell("meanwhile", late, "< 10 ms")
    assert (await repository.look(workspace)).is_clean


def tell(when: str, worst: list[float], bound: str) -> None:
    """The event loop's longest delay in each look: the median of the looks, and the worst of all."""
    middle = statistics.median(worst)
    show(f"  event loop held {when}, worst of all {worst[-1]:.1f} ms", f"{middle:.1f} ms", bound)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        trio.run(measure, make(Path(folder).resolve()))


if __name__ == "__main__":
    main()
