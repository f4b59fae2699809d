"""Ends runs in every way while all cores are busy, and counts what goes wrong.

    python benchmarks/endings.py [--runs 200]

The whole program on the fake host, with agents that misbehave (`tests/process/agents.py`), several runs at
once; 200 take about five minutes on two cores. What goes wrong is told run by run, and the exit status is 1
then. The agents of a run and the moment of its end are drawn by its number.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from attrs import define, field, frozen
from benchmarks.program import staged
from benchmarks.table import show
from tests.conftest import Trace
from tests.process.stage import HERE, Stage, eventually

from spec_kitty_orchestrator.run.state import RunStatus

CORES = os.cpu_count() or 1
SPINNERS = 2 * CORES
AT_ONCE = 4 * CORES
WORK_PACKAGES = 3
PATIENCE = 240.0
"""Seconds for one run under load; reached only when it hangs."""
KEEPERS_SECONDS = 20.0
"""What keepers may need to end all after a `kill -9` of the orchestrator; agents end themselves after 60."""
LIMIT_SECONDS = 3.0
SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"

LEAVING = ("grandchild", "nameless_grandchild", "server", "fork_loop", "run_away")
STAYING = ("obey", "ignore", "stopped_grandchild", *LEAVING)
LEFT, INTERNAL, WRONG = "left", "internal error", "wrong exit"

WORK_AND_LEAVE = f"""
import subprocess, sys
mode, *agent = sys.argv[1:]
status = subprocess.run(agent).returncode
subprocess.run([sys.executable, "-S", {str(HERE / "agents.py")!r}, mode, "exit"], stdout=subprocess.DEVNULL)
sys.exit(status)
"""


@define
class Trial:
    """One run that is put to an end, and what went wrong with it: the kind and the facts of each."""

    stage: Stage
    way: Way
    chance: random.Random
    modes: Sequence[str]
    wrong: list[tuple[str, str]] = field(factory=list)

    def run(self) -> None:
        try:
            self.way.cast(self.stage, self.modes)
            self.stage.start()
            self.way.end(self)
            said = "".join(self.process.communicate(timeout=PATIENCE))
            if self.way.outlived:
                eventually(lambda: not self.stage.left(), KEEPERS_SECONDS)
            self.wrong += [(LEFT, each) for each in self.stage.left()]
            self._judge(self.process.returncode, said)
        except (AssertionError, subprocess.TimeoutExpired) as problem:
            self.wrong.append((WRONG, f"hung: {problem}"))
            self.stage.clear()
        for process in Trace(self.stage.mark).processes():
            process.kill()

    def _judge(self, code: int, said: str) -> None:
        state = self.stage.store().load()
        if code != self.way.code or (state is not None and state.status is not self.way.status):
            self.wrong.append((WRONG, f"{code}, {state and state.status.value}: {said}"))
        logs = self.stage.arena.root / ".kittify" / "logs"
        told = [path.read_text() for path in logs.glob("*/*-internal-error.txt")]
        told += [said] * (code == 6 or "Traceback" in said or "internal error" in said)
        told += [text for text in map(_beginning, self.stage.logs()) if "_keeper.py" in text]
        self.wrong += [(INTERNAL, each) for each in told]

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self.stage.orchestrator is not None
        return self.stage.orchestrator

    # What is done to it.

    def await_moment(self) -> None:
        """Until all agents misbehave, or any time before that and after the run has begun."""
        if self.chance.random() < 0.5:
            self.stage.await_ready(WORK_PACKAGES)
        else:
            assert eventually(self.stage.store().path.exists), self.stage.tell()
            time.sleep(self.chance.uniform(0, 4))

    def await_any_moment(self) -> None:
        """The same, or any time from when the program first hears signals."""
        if self.chance.random() < 2 / 3:
            self.await_moment()
        else:
            assert eventually(lambda: _catches(self.process.pid, signal.SIGTERM)), self.stage.tell()
            time.sleep(self.chance.uniform(0, 1))

    def await_own_end(self) -> None:
        """Nothing is done to it."""

    def signal_group(self, *signums: int) -> None:
        """As a terminal does."""
        self.await_any_moment()
        for signum in signums:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signum)
            time.sleep(0.3)  # else they are one event

    def signal_all(self) -> None:
        """SIGTERM to every process of the run, as systemd does, in the order of their ages."""
        self.await_any_moment()
        for pid in sorted({self.process.pid, *(int(line.split()[0]) for line in self.stage.left())}):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def kill_orchestrator(self) -> None:
        self.await_any_moment()
        self.process.kill()

    def kill_keepers(self) -> None:
        """One after the other: each takes the only agent of a work package with it."""
        self.stage.await_ready(WORK_PACKAGES)
        assert eventually(lambda: len(self.stage.keepers()) == WORK_PACKAGES), self.stage.tell()
        for keeper in self.stage.keepers():
            with suppress(ProcessLookupError):
                os.kill(keeper, signal.SIGKILL)
            time.sleep(self.chance.uniform(0, 0.5))

    def abort(self) -> None:
        self.await_moment()
        done = subprocess.run(
            self.stage.command("abort"),
            cwd=self.stage.arena.root,
            env=self.stage.arena.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        if done.returncode:
            self.wrong.append((WRONG, f"abort: {done.returncode}: {done.stdout}{done.stderr}"))


@frozen
class Way:
    """How a run is ended: what is done to it, and the exit code and status that it must have then.

    Attributes:
        agents: settings of those that stay until they are ended; None: they work, and leave something behind.
        outlived: the keepers outlive the orchestrator.
    """

    name: str
    end: Callable[[Trial], None]
    code: int
    status: RunStatus
    agents: dict[str, Any] | None = field(factory=dict)
    outlived: bool = False

    def cast(self, stage: Stage, modes: Sequence[str]) -> None:
        if self.agents is None:
            stage.cast(before_agent=[sys.executable, "-S", "-c", WORK_AND_LEAVE, modes[0]])
        else:
            stage.cast(modes, agents={"implementation": ["bad"], "max_retries": 0, **self.agents})

    def draw_modes(self, chance: random.Random) -> list[str]:
        return chance.sample(LEAVING if self.agents is None else STAYING, WORK_PACKAGES)


def by_signals(name: str, code: int, *signums: int) -> Way:
    return Way(name, lambda trial: trial.signal_group(*signums), code, RunStatus.INTERRUPTED)


WAYS = (
    Way("success", Trial.await_own_end, 0, RunStatus.FINISHED, agents=None),
    Way("time-out", Trial.await_own_end, 1, RunStatus.FINISHED, {"timeout_seconds": LIMIT_SECONDS}),
    Way("silence", Trial.await_own_end, 1, RunStatus.FINISHED, {"idle_timeout_seconds": LIMIT_SECONDS}),
    by_signals("Ctrl-C", 130, signal.SIGINT),
    by_signals("Ctrl-C twice", 130, signal.SIGINT, signal.SIGINT),
    by_signals("SIGTERM", 143, signal.SIGTERM),
    by_signals("SIGHUP", 129, signal.SIGHUP),
    Way("abort", Trial.abort, 143, RunStatus.ABORTED),
    Way("kill -9", Trial.kill_orchestrator, -9, RunStatus.RUNNING, outlived=True),
    Way("kill -9 of keepers", Trial.kill_keepers, 1, RunStatus.FINISHED),
    Way("SIGTERM to all", Trial.signal_all, 143, RunStatus.INTERRUPTED),
)


def end_one(number: int) -> Counter[str]:
    """Ends the nth run in its way, tells what went wrong, and counts it: once for each kind."""
    way, chance = WAYS[number % len(WAYS)], random.Random(number)
    modes = way.draw_modes(chance)
    with staged(WORK_PACKAGES) as stage:
        trial = Trial(stage, way, chance, modes)
        trial.run()
    for kind, facts in trial.wrong:
        print(f"run {number}, {way.name}, {' '.join(modes)}: {kind}: {facts}", file=sys.stderr, flush=True)
    return Counter({kind for kind, _ in trial.wrong})


@contextmanager
def busy_cores() -> Iterator[None]:
    """Each spinner in a session of its own, as agents are: the kernel may share out time by sessions."""
    argv = [sys.executable, "-S", "-c", SPIN]
    spinners = [subprocess.Popen(argv, start_new_session=True) for _ in range(SPINNERS)]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


def _catches(pid: int, signum: int) -> bool:
    with open(f"/proc/{pid}/status") as status:
        (caught,) = [int(line.split()[1], 16) for line in status if line.startswith("SigCgt")]
    return bool(caught >> (signum - 1) & 1)


def _beginning(log: Path) -> str:
    with log.open(errors="replace") as file:
        return file.read(10_000)


def main(runs: int) -> int:
    began = time.monotonic()
    with busy_cores(), ThreadPoolExecutor(AT_ONCE) as pool:
        wrong = sum(pool.map(end_one, range(runs)), Counter[str]())
    what = f"{runs} endings, all cores busy: left, internal errors, wrong exits"
    show(what, " / ".join(str(wrong[kind]) for kind in (LEFT, INTERNAL, WRONG)), "0 / 0 / 0")
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    sys.exit(main(parser.parse_args().runs))
