"""A live run is known by what it is, not by a file: after a clean-up, in a copy, in a container, as root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from conformance.fake.program import install_fake_host
from tests.process.stage import PATIENCE, Stage, eventually, marked

from spec_kitty_orchestrator.demo.project import PlannedWorkPackage, Project, ProjectPlan, make_project
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.run.state import RunState, RunStatus

SLOW_FSYNC = """\
import os, time
real = os.fsync
os.fsync = lambda descriptor: (time.sleep(1.0), real(descriptor))
"""
STARTING = """
case "$2" in contract-version)
    : > starting
    until [ -e released ]; do sleep 0.05; done
esac
"""
IN_A_CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
SOMEBODY = 12345
"""A user who exists on no machine."""


def a_live_run(stage: Stage, **options: Any) -> None:
    stage.cast(["obey"] * 4, max_concurrent_wps=1)
    stage.start(**options)
    stage.await_ready(1)


def is_alive(stage: Stage) -> bool:
    """Whether the run and its one agent are at work, as far as processes tell."""
    assert stage.orchestrator is not None
    return stage.orchestrator.poll() is None and any("agents.py" in found for found in marked(stage.mark))


def clean_up(stage: Stage) -> None:
    """What `git clean -fdx` does to our files."""
    for path in (stage.arena.root / ".kittify" / "logs").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    stage.store().path.unlink()


# A clean-up.


def test_after_a_clean_up_no_second_run_starts_and_abort_finds_the_one_that_is_alive(stage: Stage) -> None:
    a_live_run(stage)
    clean_up(stage)
    second = stage.run(*stage.orchestrate_command[3:])
    assert second.returncode == 4, second.text
    assert is_alive(stage)
    done = stage.run("abort")
    assert stage.left() == []
    assert [done.returncode, stage.finish()[0]] == [0, 143]
    assert "it stopped by itself" in done.stderr
    assert stage.status() is RunStatus.ABORTED


def test_after_a_clean_up_the_files_come_back(stage: Stage) -> None:
    a_live_run(stage)
    before = stage.state()
    clean_up(stage)
    assert eventually(stage.store().path.exists)
    assert stage.state().run_id == before.run_id
    assert stage.run("status").stdout.startswith(f"run {before.run_id}: running")
    assert eventually((stage.arena.root / ".kittify" / "logs" / "orchestrator.lock").exists)
    stage.signal(signal.SIGTERM)
    assert stage.finish()[0] == 143


def test_a_damaged_state_file_keeps_no_run_from_being_stopped(stage: Stage) -> None:
    a_live_run(stage)
    stage.store().path.write_text("{")
    done = stage.run("abort")
    assert "it stopped by itself" in done.stderr
    assert stage.finish()[0] == 143
    assert stage.left() == []


# A copy of the project.


@pytest.fixture
def copied(stage: Stage) -> Stage:
    """The same stage in a copy of its project, in which a run is alive."""
    a_live_run(stage)
    root = stage.arena.folder / "copy"
    shutil.copytree(stage.arena.root, root, symlinks=True)
    return Stage(evolve(stage.arena, project=evolve(stage.arena.project, root=root)), stage.mark)


def test_abort_in_a_copy_of_a_project_stops_nothing_of_the_original(stage: Stage, copied: Stage) -> None:
    said = copied.run("status").stdout
    assert f"ran in {stage.arena.root}, and its state was copied here" in " ".join(said.split())
    done = copied.run("abort")
    assert [done.returncode, copied.status()] == [0, RunStatus.ABORTED]
    assert "nothing of it was stopped from this copy" in done.stdout
    assert is_alive(stage)
    assert stage.status() is RunStatus.RUNNING
    assert stage.run("abort").returncode == 0
    assert stage.finish()[0] == 143


def test_a_run_that_goes_on_in_a_copy_is_a_run_of_its_own(stage: Stage, copied: Stage) -> None:
    done = copied.arena.run("resume", SK_ORCH_MAX_CONCURRENT_WPS="1", SK_ORCH_AGENTS_IMPLEMENTATION="good")
    assert "was copied here from" in done.text
    assert copied.state().run_id != stage.state().run_id
    assert is_alive(stage)
    stage.signal(signal.SIGTERM)
    assert stage.finish()[0] == 143


# A run that is just starting.


def a_starting_run(stage: Stage) -> None:
    stage.host(STARTING)
    stage.start()
    stage.until((stage.arena.root / "starting").exists)


def test_a_first_run_that_is_just_starting_is_stopped(stage: Stage) -> None:
    stage.cast()
    a_starting_run(stage)
    done = stage.run("abort")
    assert [done.returncode, stage.finish()[0]] == [0, 143]
    assert f"stopping a run that is just starting (process {stage.orchestrator.pid})" in done.stderr  # type: ignore[union-attr]
    assert stage.left() == []
    assert stage.store().load() is None
    assert stage.run("abort").returncode == 2


def test_a_later_run_that_is_just_starting_is_not_mistaken_for_the_one_before(stage: Stage) -> None:
    a_live_run(stage)
    stage.signal(signal.SIGKILL)
    stage.finish()
    dead = stage.pid
    a_starting_run(stage)
    done = stage.run("abort")
    assert [done.returncode, stage.finish()[0], stage.status()] == [0, 143, RunStatus.ABORTED]
    assert f"process {dead})" not in done.stderr
    assert f"(process {stage.orchestrator.pid})" in done.stderr  # type: ignore[union-attr]


# A slow disk.


@pytest.fixture(scope="session")
def twenty_four(clean_environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("twenty-four")
    names = [f"WP{number:02}" for number in range(1, 25)]
    wps = tuple(PlannedWorkPackage(name, f"Write {name}", "Write it.", (f"{name}.txt",)) for name in names)
    return make_project(
        ProjectPlan("many", wps), folder / "project", install_fake_host(folder / "bin"), clean_environ
    )


def test_24_agents_on_a_disk_that_takes_a_second_for_each_write_are_stopped_in_order(
    enter: Callable[[Project], Any], twenty_four: Project, trace: Any
) -> None:
    """One write for each of them would take longer than `abort` waits, the grace and 23 s."""
    stage = Stage(enter(twenty_four), trace.word)
    slow = stage.arena.folder / "slow"
    slow.mkdir()
    (slow / "sitecustomize.py").write_text(SLOW_FSYNC)
    stage.cast(["obey"] * 24, max_concurrent_wps=24)
    try:
        stage.start(env={**stage.arena.environ, "PYTHONPATH": str(slow)})
        stage.await_ready(24)
        done = stage.run("abort")
        assert "it stopped by itself" in done.stderr
        assert stage.finish()[0] == 143
        assert stage.left() == []
        assert stage.attempts() == ["interrupted"] * 24
    finally:
        stage.clear()


# Another container.


@pytest.fixture
def container() -> tuple[str, ...]:
    """What runs a command where it sees no pids but its own."""
    if subprocess.run([*IN_A_CONTAINER, "true"], capture_output=True).returncode:
        pytest.skip("no pid namespace can be made here")
    return IN_A_CONTAINER


def test_a_run_in_a_container_is_alive_to_everybody_outside(stage: Stage, container: tuple[str, ...]) -> None:
    stage.cast(["obey"] * 4, max_concurrent_wps=1)
    stage.start([*container, *stage.orchestrate_command])
    stage.await_ready(1)
    assert stage.orchestrator is not None
    for args in (["abort"], ["resume"], stage.orchestrate_command[3:]):
        done = stage.run(*args)
        assert done.returncode == 4, done.text
        assert "from another container" in done.stderr
    assert "running in another container" in " ".join(stage.run("status").stdout.split())
    assert stage.orchestrator.poll() is None
    assert stage.attempts() == [None]
    stage.orchestrator.send_signal(signal.SIGKILL)
    stage.finish()
    assert eventually(lambda: not stage.left())
    assert stage.run("abort").returncode == 0
    assert stage.status() is RunStatus.ABORTED


def test_a_run_outside_is_alive_to_a_container(stage: Stage, container: tuple[str, ...]) -> None:
    a_live_run(stage)
    for args in (["abort"], ["resume"]):
        done = subprocess.run(
            [*container, *stage.command(*args)],
            cwd=stage.arena.root,
            env=stage.arena.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 4, done
        assert "from another container" in done.stderr
    assert is_alive(stage)
    assert stage.run("abort").returncode == 0
    assert stage.finish()[0] == 143


# Another user.


SOMEBODY_ELSE = SOMEBODY + 1


@pytest.fixture
def of_somebody(stage: Stage) -> Iterator[Stage]:
    """The same stage in a project that is somebody's, where everybody may look."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can be two users")
    git = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    stage.arena.environ.update(git)  # else git does nothing for one user in another's repository
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = Path(folder) / "project"
        shutil.copytree(stage.arena.root, root, symlinks=True)
        for path in (root, *root.rglob("*")):
            os.chown(path, SOMEBODY, SOMEBODY, follow_symlinks=False)
        theirs = Stage(evolve(stage.arena, project=evolve(stage.arena.project, root=root)), stage.mark)
        if run_as(SOMEBODY, theirs, "--version").returncode:
            pytest.skip("nobody but root may use this Python")
        yield theirs
        theirs.clear()


def run_as(user: int, stage: Stage, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *stage.command(*args)],
        cwd=stage.arena.root,
        env=stage.arena.environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def whose(root: Path) -> set[int]:
    """The users that our own files belong to."""
    ours = [root / ".kittify" / "orchestrator-run-state.json", root / ".kittify" / "logs"]
    return {path.lstat().st_uid for path in [*ours, *ours[1].rglob("*")] if path.exists()}


def test_what_root_does_in_somebodys_project_stays_readable_to_its_owner(of_somebody: Stage) -> None:
    stage = of_somebody
    a_live_run(stage)
    done = stage.run("abort")
    assert [done.returncode, stage.finish()[0]] == [0, 143]
    assert whose(stage.arena.root) == {SOMEBODY}
    assert stage.store().path.stat().st_mode & 0o777 == 0o600
    assert "aborted" in run_as(SOMEBODY, stage, "status").stdout
    stage.start(stage.command("resume"))
    stage.await_ready(2)
    stage.signal(signal.SIGTERM)
    assert stage.finish()[0] == 143
    assert whose(stage.arena.root) == {SOMEBODY}
    assert "interrupted" in run_as(SOMEBODY, stage, "status").stdout


def test_another_users_run_is_called_that_and_not_damaged(of_somebody: Stage) -> None:
    stage = of_somebody
    stage.store().save(RunState("run-1", "m", "me", "2026", ProcessIdentity.of(os.getpid())))
    assert whose(stage.arena.root) == {SOMEBODY}
    for command in ("abort", "status", "resume"):
        done = run_as(SOMEBODY_ELSE, stage, command)
        assert done.returncode == 2, done
        assert f"the run is of another user ({SOMEBODY}) (do this as {SOMEBODY})" in done.stderr
        assert "damaged" not in done.stderr


def test_a_project_that_may_not_even_be_looked_at_is_no_internal_error(of_somebody: Stage) -> None:
    of_somebody.arena.root.chmod(0o744)
    done = run_as(SOMEBODY_ELSE, of_somebody, "status", "--repo-root", str(of_somebody.arena.root))
    assert done.returncode == 2, done
    assert "may not be looked at (do this as its owner)" in done.stderr
