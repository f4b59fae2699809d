"""The README's example of a command launcher: agents in containers of podman's, and nothing left of them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from attrs import evolve
from tests.process.conftest import empty_afterwards, make_independent
from tests.process.stage import Stage, eventually

from spec_kitty_orchestrator.demo.project import Project
from spec_kitty_orchestrator.settings.reading import read_yaml

README = Path(__file__).parents[2] / "README.md"

AS_HERE = ["--ulimit=nofile=4096:4096", "--ulimit=nproc=32768:32768"]
"""What a root without all rights needs."""
ROOT = ["--rootfs", "/:O"]
"""The machine's own files, below a layer that is thrown away: a container without an image."""


def example(folder: Path, more: list[str]) -> dict[str, Any]:
    """The README's launcher, with a folder for its home, no image, and what this machine needs."""
    text = README.read_text(encoding="utf-8").split("<!-- podman -->\n```yaml\n")[1].split("```")[0]
    launcher: dict[str, Any] = read_yaml(text).plain["launcher"]
    *prefix, image = launcher["command"]["prefix"]
    assert (prefix[:2], image) == (["podman", "run"], "my-image")
    home = [word.replace("/home/me", str(folder)) for word in prefix[2:]]
    launcher["command"]["prefix"] = ["podman", "run", *more, *home, *ROOT]
    return launcher


def runtime() -> list[str]:
    """crun refuses the mixed control groups of some machines; runc takes them."""
    return ["--runtime=runc"] if shutil.which("runc", path=f"{os.environ['PATH']}:/usr/sbin") else []


@pytest.fixture(scope="module")
def podman() -> list[str]:
    """The options that a container needs on this machine, if one can be run."""
    if shutil.which("podman") is None:
        pytest.skip("not installed: podman (apt-get install podman runc)")
    more = [*runtime(), *AS_HERE]
    probe = ["podman", "run", "--rm", *more, *ROOT, "true"]
    tried = subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"podman runs no container here: {tried.stderr.decode(errors='replace')[-200:]}")
    return more


@pytest.fixture(scope="module")
def two(clean_environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two work packages."""
    return make_independent(2, clean_environ, tmp_path_factory.mktemp("two"))


@pytest.fixture
def stage(enter: Callable[[Project], Any], two: Project, trace: Any, podman: list[str]) -> Iterator[Stage]:
    """A stage whose agents run in containers."""
    arena = enter(two)
    path = f"{arena.environ['PATH']}:/usr/sbin:/sbin"
    with empty_afterwards(Stage(evolve(arena, environ={**arena.environ, "PATH": path}), trace.word)) as stage:
        try:
            yield stage
        finally:  # of a test that failed; else there are none
            for name in containers():
                subprocess.run(["podman", "rm", "-f", "-t", "0", name], capture_output=True, check=False)


def containers() -> list[str]:
    done = subprocess.run(
        ["podman", "ps", "-a", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
    )
    return [name for name in done.stdout.split() if name.startswith("sko-")]


def test_a_mission_is_done_in_containers(stage: Stage, podman: list[str]) -> None:
    stage.cast(launcher=example(stage.arena.folder, podman))
    done = stage.run(*stage.orchestrate_command[3:])
    assert done.returncode == 0, done.text
    assert "runs on " in done.stdout
    assert containers() == []


def test_nothing_is_left_when_all_here_is_killed_and_resume_goes_on(stage: Stage, podman: list[str]) -> None:
    stage.cast(["nameless_grandchild"], launcher=example(stage.arena.folder, podman), max_concurrent_wps=1)
    stage.start()
    stage.await_ready(1)
    (job,) = stage.state().far_jobs()
    assert containers() == [job.name]
    clients = [p.pid for p in psutil.process_iter(["cmdline"]) if job.name in (p.info["cmdline"] or ())]
    keepers = stage.keepers(1)
    stage.signal(signal.SIGKILL)
    for pid in (*keepers, *clients):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    stage.finish()
    assert eventually(lambda: not [found for found in stage.left() if "agents.py" in found])
    stage.cast(launcher=example(stage.arena.folder, podman))
    done = stage.run("resume")
    assert done.returncode == 0, done.text
    assert containers() == []
    assert stage.state().far_jobs() == []
