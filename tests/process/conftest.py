"""An arena for misbehaving agents: starts them, and sees what is left of them by a mark in /proc.

It never asks the code under test what is running.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field
from conformance.fake.program import install_fake_host
from tests.process.launch import Launch
from tests.process.stage import PATIENCE, Stage, eventually

from spec_kitty_orchestrator.demo.project import PlannedWorkPackage, Project, ProjectPlan, make_project
from spec_kitty_orchestrator.processes.agent_process import Limits
from spec_kitty_orchestrator.processes.keeper import Command
from spec_kitty_orchestrator.processes.launcher import FarLaunch
from spec_kitty_orchestrator.processes.orphans import CHILDREN, RUN_MARKER, adopt_orphans

HERE = Path(__file__).parent
GRACE = 0.4


class Sink:
    """Collects the output (its beginning), and tells when the agent is ready or done."""

    def __init__(self) -> None:
        self.stdout = b""
        self.stderr = b""
        self.on_ready: Callable[[], None] = lambda: None

    def feed_stdout(self, chunk: bytes) -> None:
        was_ready = b"ready" in self.stdout
        self.stdout += chunk[: 4096 - len(self.stdout)]
        if not was_ready and b"ready" in self.stdout:
            self.on_ready()

    def feed_stderr(self, chunk: bytes) -> None:
        self.stderr += chunk[: 4096 - len(self.stderr)]

    @property
    def complete(self) -> bool:
        return b"FINAL RESULT" in self.stdout

    @property
    def is_too_dear(self) -> bool:
        return b"TOO DEAR" in self.stdout


def marked(mark: str) -> list[str]:
    """Every process with the mark in its environment or command line, as "pid state command line"."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                if mark.encode() in (entry / "environ").read_bytes() or mark.encode() in command:
                    state = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
                    found.append(f"{entry.name} {state} {command[:120].decode(errors='replace')}")
            except OSError:
                continue
    return found


def far_of(far: FarLaunch | None) -> dict[str, Any] | None:
    """How a driver is told of a launcher."""
    return far and {"argv": far.argv, "report": str(far.report), "silence": far.silence}


def children() -> set[int]:
    """The children of this process, zombies too."""
    found: set[int] = set()
    for listing in Path("/proc/self/task").glob("*/children"):
        found.update(map(int, listing.read_text().split()))
    return found


@define
class Arena:
    """Where one test's agents run; every attempt has a mark of its own that begins with the arena's."""

    folder: Path
    mark: str = field(factory=lambda: f"test-{uuid.uuid4().hex}")
    count: int = 0
    is_init: bool = False
    """This process reaps what falls to it, as init would, because the test kills who would have reaped it."""
    arrange: Callable[[Launch], Launch] = lambda launch: launch
    """What is done to each before it is used."""

    def launch(self, mode: str, *more: str, grace: float = GRACE, **limits: Any) -> Launch:
        self.count += 1
        prompt = self.folder / f"{self.count}.prompt.md"
        prompt.write_text("the prompt\n")
        command = Command(
            argv=(sys.executable, "-S", str(HERE / "agents.py"), mode, *more),
            cwd=self.folder,
            env={**os.environ, RUN_MARKER: f"{self.mark}-{self.count}"},
            stdin=prompt,
            grace=grace,
        )
        log = self.folder / f"{self.count}.log"
        limits_now = evolve(Limits(timeout=PATIENCE, exit_deadline=0.3, drain=PATIENCE), **limits)
        return self.arrange(Launch(command, log, limits_now))

    def left(self) -> list[str]:
        """What is running or a zombie in this arena."""
        return marked(self.mark)

    def left_of(self, launch: Launch) -> list[str]:
        """What is running or a zombie of one attempt."""
        return [found for found in marked(launch.command.env[RUN_MARKER]) if found]

    def drive(
        self,
        *launches: Launch,
        wrapper: tuple[str, ...] = (),
        streams: tuple[int, int, int] = (subprocess.PIPE, subprocess.PIPE, subprocess.PIPE),
        **options: Any,
    ) -> Driver:
        """Start an orchestrating process that runs these attempts; see `driver.py` for its options."""
        attempts = [
            {
                "argv": list(each.command.argv),
                "mark": each.command.env[RUN_MARKER],
                "name": each.log_file.stem,
                "far": far_of(each.command.far),
            }
            for each in launches
        ]
        order = json.dumps({"folder": str(self.folder), "grace": GRACE, "attempts": attempts, **options})
        process = subprocess.Popen(
            [*wrapper, sys.executable, str(HERE / "driver.py"), order],
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            text=True,
            start_new_session=True,
        )
        return Driver(process, len(launches))


@define
class Driver:
    """An orchestrating process from outside."""

    process: subprocess.Popen[str]
    attempts: int
    pid: int = 0
    keepers: list[int] = field(factory=list)

    def await_ready(self) -> None:
        """Until every agent says so; its first line is its pid, and each agent's line is its keeper's pid."""
        assert self.process.stdout is not None
        self.pid = int(self.process.stdout.readline())
        self.keepers = [int(self.process.stdout.readline()) for _ in range(self.attempts)]

    def finish(self) -> tuple[int, str, str]:
        """Exit status, the rest of stdout, and stderr."""
        stdout, stderr = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, stdout, stderr

    def await_exit(self) -> int:
        """Exit status, when its output has been closed."""
        returncode = self.process.wait(timeout=PATIENCE)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return returncode


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    """A place for agents that must be empty afterwards: no process, no zombie, no open file."""
    adopt_orphans()
    files_before, children_before = len(os.listdir("/proc/self/fd")), children()
    arena = Arena(tmp_path)
    yield arena
    left = arena.left()
    if arena.is_init and not left:
        assert eventually(lambda: not [pid for pid in children() - children_before if not is_reaped(pid)])
    orphans = children() - children_before
    for process in left:
        os.kill(int(process.split()[0]), signal.SIGKILL)
    assert left == []
    assert orphans == set()
    assert CHILDREN.keepers == {}
    assert len(os.listdir("/proc/self/fd")) == files_before


def is_reaped(pid: int) -> bool:
    """Whether a child has ended: one that was killed may take a moment."""
    return os.waitpid(pid, os.WNOHANG)[0] != 0


@pytest.fixture(name="eventually")
def _eventually() -> Callable[..., bool]:
    """The function of this name."""
    return eventually


@pytest.fixture
def new_sink() -> type[Sink]:
    """What makes a sink."""
    return Sink


def make_independent(count: int, environ: dict[str, str], folder: Path) -> Project:
    """Work packages that have nothing to do with each other."""
    names = [f"WP{number:02}" for number in range(1, count + 1)]
    wps = tuple(PlannedWorkPackage(name, f"Write {name}", "Write it.", (f"{name}.txt",)) for name in names)
    host = install_fake_host(folder / "bin")
    return make_project(ProjectPlan("independent", wps), folder / "project", host, environ)


@pytest.fixture(scope="session")
def four(clean_environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Four of them."""
    return make_independent(4, clean_environ, tmp_path_factory.mktemp("four"))


@pytest.fixture(scope="session")
def twelve(clean_environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Twelve of them."""
    return make_independent(12, clean_environ, tmp_path_factory.mktemp("twelve"))


@pytest.fixture
def stage(enter: Callable[[Project], Any], four: Project, trace: Any) -> Iterator[Stage]:
    """A stage of four that must be empty afterwards."""
    with empty_afterwards(Stage(enter(four), trace.word)) as stage:
        yield stage


@pytest.fixture
def large_stage(enter: Callable[[Project], Any], twelve: Project, trace: Any) -> Iterator[Stage]:
    """A stage of twelve that must be empty afterwards."""
    with empty_afterwards(Stage(enter(twelve), trace.word)) as stage:
        yield stage


@contextmanager
def empty_afterwards(stage: Stage) -> Iterator[Stage]:
    if sys.platform != "linux":
        pytest.skip("sees processes in /proc")
    try:
        yield stage
        assert eventually(lambda: not stage.left()), stage.left()
    finally:
        stage.clear()
