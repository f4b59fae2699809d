"""Who holds a checkout: told by a lock on its `.git`, and by a file of ours that may be taken away."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import evolve

from spec_kitty_orchestrator.errors import RunLocked, StateFileError
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.run import lock as lock_module
from spec_kitty_orchestrator.run.checkout import Checkout
from spec_kitty_orchestrator.run.lock import find_live_run, is_locked, run_lock
from spec_kitty_orchestrator.run.state import RunState, RunStatus

ME = ProcessIdentity.of(os.getpid())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / ".git").mkdir(parents=True)
    (root / ".kittify").mkdir()
    return root


@contextmanager
def another_process() -> Iterator[ProcessIdentity]:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield ProcessIdentity.of(process.pid)
        process.kill()


def a_run(process: ProcessIdentity, root: Path | None, status: RunStatus = RunStatus.RUNNING) -> RunState:
    checkout = Checkout.of(root) if root is not None else None
    return RunState("run-1", "m", "me", "2026", process, checkout, status=status)


def test_a_run_is_found_by_what_it_says_of_itself(project: Path) -> None:
    assert find_live_run(project, None) is None
    with run_lock(project, None) as lock:
        starting = find_live_run(project, None)
        lock.name_run("run-1")
        begun = find_live_run(project, None)
    assert starting is not None
    assert (starting.process, starting.run_id) == (ME, "")
    assert begun == evolve(starting, run_id="run-1")
    assert find_live_run(project, None) is None


def test_a_run_that_is_found_is_not_the_one_that_is_recorded_from_before(project: Path) -> None:
    dead = evolve(ME, started=ME.started - 60)
    with run_lock(project, a_run(dead, project)):
        found = find_live_run(project, a_run(dead, project))
    assert found is not None
    assert found.process == ME


def test_a_clean_up_takes_no_lock_away_and_the_file_comes_back(project: Path) -> None:
    with run_lock(project, None) as lock:
        lock.name_run("run-1")
        shutil.rmtree(project / ".kittify" / "logs")
        with pytest.raises(RunLocked), run_lock(project, None):
            pass
        with pytest.raises(RunLocked):
            find_live_run(project, None)
        lock.mend()
        found = find_live_run(project, None)
    assert found is not None
    assert found.run_id == "run-1"
    assert not is_locked(project)


def test_what_somebody_wrote_into_the_file_is_put_right(project: Path) -> None:
    with run_lock(project, None) as lock:
        lock.path.write_text("")
        lock.mend()
        assert find_live_run(project, None) == lock.holder


def test_a_copy_of_a_project_has_no_part_in_its_run(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with run_lock(project, None) as lock:
        lock.name_run("run-1")
        shutil.copytree(project, copy)
        assert not is_locked(copy)
        assert find_live_run(copy, a_run(ME, project)) is None
        with run_lock(copy, a_run(ME, project)):
            pass
        assert not a_run(ME, project).belongs_to(copy)


def test_a_checkout_is_known_under_another_path_and_after_a_restart_of_the_machine(project: Path) -> None:
    here = Checkout.of(project)
    assert here.is_same(evolve(here, root="/seen/from/a/container"))
    assert here.is_same(evolve(here, device=here.device + 1))
    assert here.is_same(None)
    assert not here.is_same(evolve(here, inode=here.inode + 1))
    assert not here.is_same(evolve(here, root="/elsewhere", device=here.device + 1))


def test_a_run_that_did_not_begin_leaves_nothing(project: Path) -> None:
    with run_lock(project, None):
        assert (project / ".kittify" / "logs").is_dir()
    assert list((project / ".kittify").iterdir()) == []
    with run_lock(project, None) as lock:
        lock.name_run("run-1")
    assert lock.path.read_text() == ""


def test_a_file_system_that_locks_no_folders_is_guarded_by_the_file(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module, "_lock_folder", lambda *_: None)
    with run_lock(project, None):
        assert is_locked(project)
        with pytest.raises(RunLocked), run_lock(project, None):
            pass
    assert not is_locked(project)


def test_there_a_run_that_took_the_checkout_while_the_file_was_gone_ends_the_other(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module, "_lock_folder", lambda *_: None)
    with run_lock(project, None) as first:
        first.path.unlink()
        with run_lock(project, None), pytest.raises(RunLocked, match="while its lock was gone"):
            first.mend()


@pytest.mark.parametrize("is_recorded", [True, False], ids=["recorded checkout", "release 1.0.0"])
def test_a_run_that_is_alive_is_heeded_though_nothing_is_locked(project: Path, is_recorded: bool) -> None:
    with another_process() as other:
        state = a_run(other, project if is_recorded else None)
        found = find_live_run(project, state)
        assert found is not None
        assert found.process == other
        with pytest.raises(RunLocked, match=rf"run run-1 \(process {other.pid}\)"), run_lock(project, state):
            pass
        ended = evolve(state, status=RunStatus.INTERRUPTED)
        assert find_live_run(project, ended) is None
        with run_lock(project, ended):
            pass


def test_a_lock_of_release_1_0_0_is_heeded_and_its_run_is_found_by_what_it_recorded(project: Path) -> None:
    path = project / ".kittify" / "logs" / "orchestrator.lock"
    path.parent.mkdir()
    with path.open("w") as file, another_process() as other:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert is_locked(project)
        with pytest.raises(RunLocked), run_lock(project, None):
            pass
        found = find_live_run(project, a_run(other, None))
    assert found is not None
    assert found.process == other


def test_a_process_of_another_container_is_never_taken_for_ours(project: Path) -> None:
    elsewhere = evolve(ME, namespace="pid:[1]")
    assert elsewhere.is_of_another_container
    assert not elsewhere.is_alive()
    assert not evolve(ME, namespace=None).is_of_another_container
    assert evolve(ME, namespace=None).is_alive()
    assert find_live_run(project, a_run(elsewhere, project)) is None


def test_a_run_in_another_container_is_said_to_be_there(project: Path) -> None:
    with run_lock(project, None) as lock:
        assert lock.holder is not None
        lock.holder = evolve(lock.holder, process=evolve(ME, namespace="pid:[1]"))
        lock.name_run("run-1")
        with pytest.raises(RunLocked, match="from another container") as caught:
            find_live_run(project, None)
        assert "in that container" in caught.value.remedy
        with pytest.raises(RunLocked, match="from another container"), run_lock(project, None):
            pass


def test_looking_does_not_keep_a_run_from_starting(project: Path) -> None:
    """Whoever asks whether there is a run holds the lock for a moment."""
    descriptor = os.open(project / ".git", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    tries: list[bool] = []
    take = lock_module.RunLock.take

    def look_only_once(lock: lock_module.RunLock) -> None:
        tries.append(True)
        if len(tries) == 2:
            os.close(descriptor)
        take(lock)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lock_module.RunLock, "take", look_only_once)
        with run_lock(project, None):
            assert len(tries) == 2


def test_a_disk_that_is_full_when_the_run_is_named_is_told(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with run_lock(project, None) as lock:
        monkeypatch.setattr(lock_module.os, "pwrite", full)
        with pytest.raises(StateFileError, match="No space left on device"):
            lock.name_run("run-1")
