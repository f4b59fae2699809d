"""What the tests with real processes share: a project made once and copied, agents on PATH, our program."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from attrs import evolve, frozen
from hypothesis import HealthCheck, settings
from tests.held_to_schema import hold_files

from spec_kitty_orchestrator.demo import project as demo_project
from spec_kitty_orchestrator.demo.project import Project

VOICE = Path(__file__).with_name("speaking_agent.py")
AGENT = Path(demo_project.__file__).with_name("scripted_agent.py")
MARK = "ARENA_OF_THE_TESTS"
"""In the environment of everything that a test starts, so that what it leaves behind can be found."""
settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(
    "steady"
)  # neither a slow machine nor chance; `--hypothesis-profile=default` looks further

PATIENCE = 1800.0
"""Seconds for one run of our program on a slow machine; reached only when it hangs."""


@frozen
class Finished:
    """How a run of our program ended."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout + self.stderr


@frozen
class Arena:
    """One test's own world: a project, a PATH with scripted agents, and a host that counts its calls."""

    folder: Path
    project: Project
    environ: dict[str, str]

    @property
    def root(self) -> Path:
        return self.project.root

    @property
    def state(self) -> Path:
        return self.folder / "agents"

    def agent(self, binary: str, script: dict[str, Any]) -> None:
        """Puts a scripted agent on PATH under the name of a real one, speaking as it does."""
        path = self.folder / f"{binary}.json"
        path.write_text(json.dumps({"state": str(self.state), **script}), encoding="utf-8")
        argv = [sys.executable, "-I", "-S", str(VOICE), binary, str(AGENT), "--script", str(path)]
        _program(self.folder / "bin" / binary, f'exec {shlex.join([*argv, "--name", binary])} -- "$@"')

    def settings(self, settings: dict[str, Any] | str) -> None:
        """Writes orchestrator.yaml; JSON is YAML."""
        text = settings if isinstance(settings, str) else json.dumps(settings, indent=2)
        (self.root / ".kittify" / "orchestrator.yaml").write_text(text + "\n", encoding="utf-8")

    def start(self, *args: str, **environ: str) -> subprocess.Popen[str]:
        """Starts our program in the project's root, in a session of its own."""
        argv = [sys.executable, "-m", "spec_kitty_orchestrator", *args]
        return subprocess.Popen(
            argv,
            cwd=self.root,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> Finished:
        try:
            stdout, stderr = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            stdout, stderr = process.communicate(timeout=30)
            pytest.fail(f"{process.args} hung\n{stdout}\n{stderr}")
        return Finished(process.returncode, stdout, stderr)

    def run(self, *args: str, **environ: str) -> Finished:
        return self.finish(self.start(*args, **environ))

    def orchestrate(self, *args: str, **environ: str) -> Finished:
        return self.run("orchestrate", "--mission", self.project.mission, *args, **environ)

    def prompts(self, binary: str, wp_id: str, role: str) -> list[str]:
        """Every prompt that this agent was given for it, in order."""
        found = self.state.glob(f"{binary}-{wp_id}-{role}-*.prompt.md")
        return [
            path.read_text(encoding="utf-8")
            for path in sorted(found, key=lambda path: path.stat().st_ctime_ns)
        ]

    def wait_for_prompt(self, binary: str, wp_id: str, role: str, count: int = 1) -> None:
        """Returns once this agent is at work on it."""
        deadline = time.monotonic() + PATIENCE
        while len(self.prompts(binary, wp_id, role)) < count:
            assert time.monotonic() < deadline, f"{binary} was never asked for {role} of {wp_id}"
            time.sleep(0.05)

    def lanes(self) -> dict[str, str]:
        """Where each work package stands, in the host's own words; this call is not counted."""
        state = self.project.host_api("mission-state", "--mission", self.project.mission)
        return {wp["wp_id"]: wp["lane"] for wp in state["work_packages"]}

    def host_calls(self) -> list[str]:
        """The orchestrator-api calls that went through the counting host, `start-review --mission ...`."""
        log = self.folder / "host-calls"
        calls = log.read_text(encoding="utf-8").split("\0") if log.exists() else []
        return [
            call.removeprefix("orchestrator-api ") for call in calls if call.startswith("orchestrator-api ")
        ]

    def events(self) -> list[dict[str, Any]]:
        """Every event of every run, oldest first."""
        files = sorted(
            (self.root / ".kittify" / "logs").glob("*/events.jsonl"), key=lambda path: path.stat().st_ctime_ns
        )
        return [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]


@frozen
class Trace:
    """Finds what a test started, however deep, by a word in its environment."""

    word: str

    @property
    def environ(self) -> dict[str, str]:
        return {MARK: self.word}

    def survivors(self) -> list[str]:
        """What still runs."""
        return [f"{process.pid} {process.name()}" for process in self.processes()]

    def processes(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            try:
                # A zombie is no survivor: it has ended, and waits for somebody to read its status.
                ended = process.status() == psutil.STATUS_ZOMBIE
                if process.environ().get(MARK) == self.word and not ended:
                    yield process
            except psutil.Error:
                continue


def _age(path: Path) -> int:
    return path.stat().st_ctime_ns


def _program(path: Path, command: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{command}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def clean_environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with a home of its own, a git identity, and nothing of whoever runs the tests."""
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text("[user]\nname = Test\nemail = test@example.invalid\n", encoding="utf-8")
    git = shutil.which("git")
    folders = dict.fromkeys([str(Path(git).parent)] if git else [], None) | dict.fromkeys(
        ["/usr/bin", "/bin"]
    )
    return {"HOME": str(home), "PATH": os.pathsep.join(folders), "LANG": "C.UTF-8", "TERM": "dumb"}


@pytest.fixture
def trace() -> Iterator[Trace]:
    """Marks what the test starts; whatever a failed test left running is ended after it."""
    trace = Trace(uuid.uuid4().hex)
    yield trace
    for process in trace.processes():
        process.kill()


@pytest.fixture
def patience() -> str:
    """Seconds for which an arena's runs try again what is refused; a test of patience asks for more."""
    return "3"


@pytest.fixture
def enter(
    tmp_path: Path, clean_environ: dict[str, str], trace: Trace, patience: str
) -> Iterator[Callable[[Project], Arena]]:
    """Copies a made project into the test's own arena; what happens in it is as the events' schema says."""

    def _enter(template: Project) -> Arena:
        root = tmp_path / "my project"  # with a space: paths are quoted wherever they are words of a command
        shutil.copytree(template.root, root, symlinks=True)
        log = shlex.quote(str(tmp_path / "host-calls"))
        real = shlex.quote(str(template.host))
        host = _program(tmp_path / "host" / "spec-kitty", f'printf "%s\\0" "$*" >> {log}\nexec {real} "$@"')
        path = os.pathsep.join([str(tmp_path / "bin"), clean_environ["PATH"]])
        ours = {"SK_ORCH_HOST_BINARY": str(host), "SK_ORCH_PATIENCE_SECONDS": patience}
        environ = {**clean_environ, **trace.environ, "PATH": path, **ours}
        return Arena(tmp_path, evolve(template, root=root, environ=environ), environ)

    yield _enter
    hold_files(tmp_path)


def digest(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file, link and folder below `root` → its mode and content."""
    found = {}
    for path in sorted(root.rglob("*")):
        content = (
            os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        )
        found[str(path.relative_to(root))] = (path.lstat().st_mode, content)
    return found


@pytest.fixture(scope="session", name="digest")
def digest_fixture() -> Callable[[Path], dict[str, tuple[int, bytes]]]:
    return digest
