"""One run at a time in a checkout: a lock that the system gives back when we die, and who holds it.

What is locked is the checkout's `.git` folder: no clean-up takes that away, a copy of the project has
another, and every container sees the same. Nothing is written in it. Who holds it says a file of ours, which
is locked too: release 1.0.0 knows that one alone, and some file systems lock no folders.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import define, evolve, field, frozen

from ..converter import Unreadable, read, unstructure
from ..errors import RunLocked, StateFileError
from ..processes.identity import ProcessIdentity
from .checkout import Checkout
from .opening import KITTIFY
from .ownership import give_back, keep_owner
from .state import RunState, RunStatus

LOCK_NAME = "orchestrator.lock"
LOOK_SECONDS = 0.25
"""Somebody who only looks whether there is a run holds the lock for less than that."""
LOOK_AGAIN_SECONDS = 0.01


@frozen
class Holder:
    """A run that is alive, as it says itself; `run_id` is empty while it is starting."""

    process: ProcessIdentity
    checkout: Checkout | None
    run_id: str = ""

    def __str__(self) -> str:
        run = f"run {self.run_id}" if self.run_id else "a run that is just starting"
        return f"{run} (process {self.process.pid})"


@define
class RunLock:
    """The lock, as long as it is held; made by `run_lock`.

    Attributes:
        made: what was made for it, the folder first.
    """

    repo_root: Path
    holder: Holder | None
    made: list[Path] = field(factory=list)
    _folder: int | None = None
    _file: int = -1

    @property
    def path(self) -> Path:
        """The file that says who holds the lock."""
        return _lock_file(self.repo_root)

    def take(self) -> None:
        """Raises BlockingIOError when somebody else holds it, OSError when our folder cannot be written."""
        self._folder = _lock_folder(self.repo_root, fcntl.LOCK_EX)
        try:
            self._lock_file()
        except OSError:
            self._close()
            raise

    def name_run(self, run_id: str) -> None:
        """The run has begun: from here on whoever stops it knows by which mark to find what it started.

        Raises StateFileError when that cannot be written.
        """
        assert self.holder is not None
        self.holder = evolve(self.holder, run_id=run_id)
        try:
            self._say()
        except OSError as problem:
            raise _unwritable(self.path, problem) from problem

    def mend(self) -> None:
        """Puts the file back that a `git clean` took away, or that somebody wrote into.

        Raises:
            RunLocked: another run has taken the checkout meanwhile.
            StateFileError: our own folder cannot be written.
        """
        if _is_at(self.path, self._file) and _read_holder(self.repo_root) == self.holder:
            return
        try:
            if not _is_at(self.path, self._file):
                before = self._file
                _patiently(self._lock_file)
                os.close(before)
            self._say()
        except BlockingIOError:
            raise RunLocked(f"another run took {self.repo_root} while its lock was gone") from None
        except OSError as problem:
            raise _unwritable(self.path, problem) from problem

    def release(self) -> None:
        """Lets go; a run that did not come to begin leaves no file behind."""
        if self.holder is not None and _is_at(self.path, self._file):
            os.ftruncate(self._file, 0)
        if self.holder is None or not self.holder.run_id:
            with contextlib.suppress(OSError):  # others have put something into the folder, or removed it
                for path in reversed(self.made):
                    path.rmdir() if path.is_dir() else path.unlink()
        self._close()

    def _lock_file(self) -> None:
        for path in (self.path.parent, self.path):
            if not path.exists() and path not in self.made:
                self.made.append(path)
        kittify = self.path.parent.parent
        if not self.path.parent.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            give_back(self.path.parent, kittify)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            keep_owner(descriptor, kittify)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_at(self.path, descriptor):  # whoever had it removed it in between
                raise BlockingIOError
        except OSError:
            os.close(descriptor)
            raise
        self._file = descriptor
        self._say()

    def _say(self) -> None:
        if self.holder is not None:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, json.dumps(unstructure(self.holder)).encode() + b"\n", 0)

    def _close(self) -> None:
        for descriptor in (self._folder, self._file):
            if descriptor is not None and descriptor != -1:
                os.close(descriptor)
        self._folder, self._file = None, -1


@contextlib.contextmanager
def run_lock(repo_root: Path, state: RunState | None, *, for_a_run: bool = True) -> Iterator[RunLock]:
    """Holds the checkout for one run, or without `for_a_run` for a moment, to change what is recorded of one.

    Args:
        state: the last run: one that is alive although nothing is locked is heeded too.

    Raises:
        RunLocked: another run holds it.
        StateFileError: our own folder cannot be written.
    """
    myself = Holder(ProcessIdentity.of(os.getpid()), Checkout.of(repo_root))
    lock = RunLock(repo_root, myself if for_a_run else None)
    try:
        _patiently(lock.take)
    except BlockingIOError:
        raise _held_by(_read_holder(repo_root) or _recorded(state), repo_root) from None
    except OSError as problem:
        raise _unwritable(lock.path, problem) from problem
    try:
        other = _recorded(state)
        if other is not None and _is_alive_in(myself.checkout, other) and other.process != myself.process:
            raise _held_by(other, repo_root)
        yield lock
    finally:
        lock.release()


def is_locked(repo_root: Path) -> bool:
    """Whether a live run holds the checkout, wherever it can be seen from."""
    try:
        folder = _lock_folder(repo_root, fcntl.LOCK_SH)
    except BlockingIOError:
        return True
    if folder is not None:
        os.close(folder)
    try:
        descriptor = os.open(_lock_file(repo_root), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # there is none, or it is another user's, whose run holds the folder
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def find_live_run(repo_root: Path, state: RunState | None) -> Holder | None:
    """The live run of this checkout, also one that is just starting; None when there is none.

    Raises:
        RunLocked: there is one, but it lives in another container, or does not say who it is (yet).
    """
    here, locked = Checkout.of(repo_root), is_locked(repo_root)
    said, recorded = (_read_holder(repo_root) if locked else None), _recorded(state)
    for each in (said, recorded):
        if each is not None and _is_alive_in(here, each):
            return each
    if not locked:
        return None
    raise _held_by(next((each for each in (said, recorded) if each is not None), None), repo_root)


def _recorded(state: RunState | None) -> Holder | None:
    if state is None or state.status is not RunStatus.RUNNING:
        return None
    return Holder(state.process, state.checkout, state.run_id)


def _is_alive_in(here: Checkout | None, holder: Holder) -> bool:
    return here is not None and here.is_same(holder.checkout) and holder.process.is_alive()


def _held_by(holder: Holder | None, repo_root: Path) -> RunLocked:
    if holder is not None and holder.process.is_of_another_container:
        return RunLocked(
            f"{holder} holds {repo_root} from another container, where nothing can be stopped from here",
            remedy="abort it in that container, or stop the container",
        )
    return RunLocked(
        f"{holder or 'another run'} holds {repo_root}",
        remedy="wait for it, or end it with: spec-kitty-orchestrator abort",
    )


def _unwritable(path: Path, problem: OSError) -> StateFileError:
    return StateFileError(f"cannot write {path.parent}: {problem.strerror}", remedy="make it writable")


def _read_holder(repo_root: Path) -> Holder | None:
    """Who says in our file that it holds the lock; None when nobody does, as release 1.0.0 never did."""
    try:
        return read(json.loads(_lock_file(repo_root).read_text(encoding="utf-8")), Holder)
    except (OSError, ValueError, Unreadable):
        return None


def _lock_file(repo_root: Path) -> Path:
    return repo_root / KITTIFY / "logs" / LOCK_NAME


def _lock_folder(repo_root: Path, how: int) -> int | None:
    """The checkout's `.git`, locked; None where folders cannot be. Raises BlockingIOError when it is held."""
    descriptor = os.open(repo_root / ".git", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _patiently(take: Callable[[], None]) -> None:
    """Try again while somebody may be looking only. Raises BlockingIOError when it is held for good."""
    until = time.monotonic() + LOOK_SECONDS
    while True:
        try:
            return take()
        except BlockingIOError:
            if time.monotonic() > until:
                raise
        time.sleep(LOOK_AGAIN_SECONDS)
