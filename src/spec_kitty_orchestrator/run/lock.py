"""One run at a time in a repository: a lock that the system gives back when we die, however that happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import RunLocked, StateFileError
from .opening import KITTIFY
from .state import RunStore

LOCK_NAME = "orchestrator.lock"


@contextmanager
def run_lock(repo_root: Path, store: RunStore) -> Iterator[None]:
    """Holds the repository for one run.

    Raises:
        RunLocked: another run holds it.
        StateFileError: our own folder cannot be written.
    """
    logs = repo_root / KITTIFY / "logs"
    lock = FileLock(logs / LOCK_NAME, timeout=0)
    try:
        logs.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        state = store.load()
        who = f"run {state.run_id} (process {state.process.pid})" if state else "another run"
        raise RunLocked(
            f"{who} holds {repo_root}", remedy="wait for it, or end it with: spec-kitty-orchestrator abort"
        ) from None
    except OSError as problem:
        raise StateFileError(
            f"cannot write {logs}: {problem.strerror}", remedy="make it writable"
        ) from problem
    try:
        yield
    finally:
        lock.release()


def is_locked(repo_root: Path) -> bool:
    """Whether a live run holds the repository."""
    path = repo_root / KITTIFY / "logs" / LOCK_NAME
    if not path.exists():
        return False
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    lock.release()
    return False
