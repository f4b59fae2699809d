"""Measures, from outside, how fast everything is gone, and what keepers and many attempts cost.

    python benchmarks/stopping.py

Real processes throughout: an orchestrating process (`tests/process/driver.py`), its keepers, and agents that
obey or ignore signals. "Gone" means that no process in /proc carries the run's mark any more.
"""

from __future__ import annotations

import json
import os
import pty
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

import trio

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.program import staged
from benchmarks.table import show

from spec_kitty_orchestrator.processes.agent_process import Limits, run_agent
from spec_kitty_orchestrator.processes.keeper import Command, open_keeper

GRACE = 2.0
PROCESS_TESTS = Path(__file__).parents[1] / "tests" / "process"


def status(pid: int | str, key: str) -> float:
    """A size of a process in MiB, as the kernel has it (VmRSS, VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def marked(mark: str) -> int:
    """How many processes carry the mark."""
    count = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                count += mark.encode() in (entry / "environ").read_bytes()
            except OSError:
                continue
    return count


@contextmanager
def driven(
    mode: str, agents: int, grace: float, fsync: float = 0.0
) -> Iterator[tuple[subprocess.Popen[str], list[int], str]]:
    """An orchestrating process with so many agents, all ready: it, its keepers' pids, the mark."""
    mark = f"bench-{uuid.uuid4().hex}"
    argv = [sys.executable, "-S", str(PROCESS_TESTS / "agents.py"), mode]
    with tempfile.TemporaryDirectory() as folder:
        attempts = [{"argv": argv, "mark": mark, "name": str(number)} for number in range(agents)]
        order = json.dumps({"folder": folder, "grace": grace, "attempts": attempts, "fsync": fsync})
        driver = [sys.executable, str(PROCESS_TESTS / "driver.py"), order]
        with subprocess.Popen(
            driver, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            keepers = [int(process.stdout.readline()) for _ in range(agents)]
            yield process, keepers, mark


def measure_stop(mode: str, agents: int, grace: float, fsync: float = 0.0) -> float:
    """Seconds from Ctrl-C until the orchestrating process has exited and nothing of it is left."""
    with driven(mode, agents, grace, fsync) as (process, _, mark):
        time.sleep(0.5)
        began = time.perf_counter()
        process.send_signal(signal.SIGINT)
        process.wait()
        while marked(mark):
            time.sleep(0.005)
        return time.perf_counter() - began


def measure_kill(agents: int, grace: float) -> float:
    """Seconds from `kill -9` of the orchestrating process until nothing of it is left."""
    with driven("obey", agents, grace) as (process, _, mark):
        time.sleep(0.5)
        began = time.perf_counter()
        process.kill()
        while marked(mark):
            time.sleep(0.005)
        return time.perf_counter() - began


SLOW_DISK = "import os, time; os.fsync = lambda descriptor: time.sleep({fsync})\n"
"""What Python loads before the program, as `sitecustomize`."""


def measure_acted_on(agents: int, fsync: float) -> float:
    """Seconds from SIGTERM until the last of these talking agents gets its own.

    The whole program runs, nobody reads its terminal, and each fsync takes `fsync` seconds.
    """
    reader, terminal = pty.openpty()
    with staged(agents) as stage, tempfile.TemporaryDirectory() as slow:
        Path(slow, "sitecustomize.py").write_text(SLOW_DISK.format(fsync=fsync), encoding="utf-8")
        stage.cast(["talk"] * agents, max_concurrent_wps=agents, grace_seconds=GRACE)
        more = {"TERM": "xterm", "PYTHONPATH": slow}
        process = stage.start(stdout=terminal, stderr=terminal, env={**stage.arena.environ, **more})
        stage.await_ready(agents)
        time.sleep(2.0)  # four times what the board needs to fill a terminal
        sent = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait()
        heard = [float(path.read_text()) for path in stage.arena.root.glob(".worktrees/*/heard")]
    os.close(reader)
    os.close(terminal)
    assert len(heard) == agents
    return max(heard) - sent


def measure_memory(grace: float) -> tuple[float, float]:
    """Peak MiB of the orchestrating process while 4 agents print 1 GiB in all, and the seconds it took."""
    peak, began = 0.0, time.perf_counter()
    with driven("print_much", 4, grace) as (process, _, _):
        while process.poll() is None:
            try:
                peak = max(peak, status(process.pid, "VmHWM"))
            except OSError:
                break
            time.sleep(0.05)
    return peak, time.perf_counter() - began


def measure_keeper_memory(grace: float) -> float:
    """MiB of the largest of 8 keepers."""
    with driven("obey", 8, grace) as (process, keepers, _):
        sizes = [status(keeper, "VmRSS") for keeper in keepers]
        process.send_signal(signal.SIGINT)
    return max(sizes)


async def measure_keeper_start() -> float:
    """Median seconds until a keeper reports that its command has been started."""
    seconds = []
    for _ in range(20):
        began = time.perf_counter()
        async with open_keeper(Command(("true",), Path("/"), os.environ)) as keeper:
            seconds.append(time.perf_counter() - began)
            await keeper.wait()
    return statistics.median(seconds)


class _NoSink:
    complete = False
    is_too_dear = False

    def feed_stdout(self, chunk: bytes) -> None: ...

    def feed_stderr(self, chunk: bytes) -> None: ...


async def measure_row(count: int) -> list[tuple[str, int, int, float]]:
    """File descriptors, threads and MiB of this process after a tenth and after all of the attempts."""
    taken = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "prompt").write_text("prompt")
        for number in range(1, count + 1):
            log = folder / f"{number}.log"
            command = Command(("true",), folder, os.environ, stdin=folder / "prompt")
            await run_agent(command, log, Limits(60), _NoSink(), lambda _: None)
            if number in (count // 10, count):
                threads = len(os.listdir("/proc/self/task"))
                files = len(os.listdir("/proc/self/fd"))
                taken.append((f"after {number} attempts", files, threads, status("self", "VmRSS")))
    return taken


def main() -> None:
    for mode, bound in (("obey", 1.0), ("ignore", GRACE + 1)):
        for agents in (1, 8, 32):
            seconds = measure_stop(mode, agents, GRACE)
            what = f"attempts alone, Ctrl-C to everything gone, {agents} agents that {mode}"
            show(what, f"{seconds:.2f} s", f"< {bound:g} s")
    seconds = measure_stop("obey", 24, GRACE, fsync=0.3)
    show("the same, 24 agents that obey, each fsync takes 300 ms", f"{seconds:.2f} s", "< 1 s")
    show("attempts alone, kill -9 to everything gone, 8 agents", f"{measure_kill(8, GRACE):.2f} s", "-")
    what = "SIGTERM until the last of 24 talking agents has its own, terminal unread, fsync 300 ms"
    show(what, f"{measure_acted_on(24, fsync=0.3) * 1000:.0f} ms", "< 100 ms")
    peak, seconds = measure_memory(GRACE)
    what = f"orchestrator's peak while 4 agents print 1 GiB ({seconds:.1f} s)"
    show(what, f"{peak:.0f} MiB", "< 100 MiB")
    show("one keeper's memory", f"{measure_keeper_memory(GRACE):.1f} MiB", "< 15 MiB")
    started = trio.run(measure_keeper_start)
    show("keeper and command started (median of 20)", f"{started * 1000:.0f} ms", "< 100 ms")
    for what, files, threads, size in trio.run(measure_row, 200):
        show(what, f"{size:.1f} MiB", f"{files} fd, {threads} thr")


if __name__ == "__main__":
    main()
