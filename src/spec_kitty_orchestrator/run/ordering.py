"""How an order reaches a live run and its answer comes back: two files of ours in a folder of our own.

Not a socket: its path may be no longer than 107 bytes, and some file systems that projects lie on have none.
An order names the process that it is for, and is that run's from the moment when it takes the file away.
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
import stat
import time
import uuid
from pathlib import Path

import trio
from attrs import field, frozen

from ..converter import Unreadable, read, unstructure
from ..errors import UsageError
from ..processes.identity import ProcessIdentity
from ..settings.values import Asked
from .lock import Holder
from .opening import KITTIFY
from .ownership import give_back, keep_owner, owner_of

FOLDER_NAME = "orchestrator.orders"
MOST_BYTES = 64 * 1024
"""Of an order: the words of a person are in it."""
LOOK_SECONDS = 0.2
"""Between two looks of the run for orders, and of whoever waits for an answer."""
ANSWER_SECONDS = 60.0
"""How long an answer is waited for; a run that is just starting asks the host first."""
LONGEST_ANSWER_SECONDS = 600.0
"""The same, once the order was taken: by the run, or by whoever cleans up the folder."""
OLD_SECONDS = 3600.0
"""What nobody came back for is thrown away after that."""


class Order(str, enum.Enum):
    """What a live run can be told."""

    PAUSE = "pause"
    UNPAUSE = "unpause"
    STOP = "stop"
    RETRY = "retry"


@frozen
class Ordered:
    """An order as it is written down.

    Attributes:
        to: the run's process.
        asked: for `retry`, of which work packages, and what is said of them.
    """

    order: Order
    to: ProcessIdentity
    asked: Asked = field(factory=Asked)


@frozen
class Answer:
    """What the run says, in one line; `taken`: it has taken the order, and that is on the disk."""

    taken: bool
    line: str


def orders_folder(repo_root: Path) -> Path:
    """Where orders for the run of a checkout lie, while there are any."""
    return repo_root / KITTIFY / "logs" / FOLDER_NAME


# The run's side.


@frozen
class OrderBox:
    """The orders for one run. Its methods block for a moment: call them in a thread."""

    folder: Path
    process: ProcessIdentity

    def take(self) -> dict[str, Ordered]:
        """What was ordered since the last look, by name, in the order in which it came.

        Thrown away are orders for another run, what is no order although it is called so, and what is old.
        """
        if not _is_ours(self.folder):
            return {}
        try:
            found = sorted(self.folder.iterdir(), key=_written_at)
        except OSError:  # another user's, the project's owner's; or taken away since that look
            return {}
        taken = {}
        for path in found:
            if path.suffix == ".order" or time.time() - _written_at(path) > OLD_SECONDS:
                with contextlib.suppress(OSError):  # it was taken back meanwhile, or is no file
                    content = _content(path)
                    path.unlink()
                    if (ordered := _as_order(content)) is not None and ordered.to == self.process:
                        taken[path.stem] = ordered
        return taken

    def answer(self, name: str, answer: Answer) -> None:
        """Leaves an answer for whoever gave an order."""
        with contextlib.suppress(OSError):  # the disk is full, or the folder gone: they see that nothing came
            _write(self.folder, f"{name}.answer", json.dumps(unstructure(answer)))


def _as_order(content: bytes) -> Ordered | None:
    try:
        return read(json.loads(content), Ordered)
    except (ValueError, RecursionError, Unreadable):
        return None


# The side of whoever orders.


async def give_order(repo_root: Path, live: Holder, ordered: Ordered) -> Answer:
    """Gives an order to a live run, and waits until that has answered.

    Raises:
        UsageError: it ended first, or did not answer; the order is taken back then. Or it cannot be reached:
            it is another user's.
    """
    folder, name = orders_folder(repo_root), uuid.uuid4().hex
    order, answer = folder / f"{name}.order", folder / f"{name}.answer"
    try:
        _make(folder)
        _write(folder, order.name, json.dumps(unstructure(ordered)))
    except OSError as problem:
        owner = owner_of(folder.parent.parent)
        raise UsageError(
            f"{live} cannot be told anything: {folder}: {problem.strerror or problem}",
            remedy=f"do this as {owner}, whose project it is, and make that folder writable",
        ) from problem
    try:
        return await _answer(live, order, answer)
    finally:
        for path in (order, answer):
            path.unlink(missing_ok=True)


async def _answer(live: Holder, order: Path, answer: Path) -> Answer:
    began, has_ended = trio.current_time(), False
    while True:
        with contextlib.suppress(FileNotFoundError, ValueError, Unreadable):
            return read(json.loads(_content(answer)), Answer)
        if has_ended:
            raise UsageError(f"{live} has ended before it answered")
        has_ended = not live.process.is_alive()  # its answer may have come since that look
        # One that cannot be taken back was taken, and there will be an answer, or an end.
        waited = trio.current_time() - began
        if waited > LONGEST_ANSWER_SECONDS:
            raise UsageError(
                f"{live} did not answer in {LONGEST_ANSWER_SECONDS:.0f} s, and may have taken the order",
                remedy="see what it does: spec-kitty-orchestrator status",
            )
        if waited > ANSWER_SECONDS and _taken_back(order):
            raise UsageError(
                f"{live} did not take the order in {ANSWER_SECONDS:.0f} s; it is taken back",
                remedy="it may be suspended, or its host or disk hang; look at it, or abort it",
            )
        await trio.sleep(LOOK_SECONDS / 4)


def _taken_back(order: Path) -> bool:
    """Whether it still lay there."""
    try:
        order.unlink()
    except FileNotFoundError:
        return False
    return True


# Both.


def _make(folder: Path) -> None:
    """Raises OSError when there can be no such folder of ours."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):  # somebody orders at the same moment
            folder.mkdir(mode=0o700)
        give_back(folder, folder.parent.parent)
    if not _is_ours(folder):
        raise PermissionError("it is not a folder that its owner alone may write to")


def _is_ours(folder: Path) -> bool:
    """A folder, no link, of the project's owner or ours, in which nobody else can put anything."""
    try:
        found = folder.lstat()
        owners = {os.geteuid(), folder.parent.parent.stat().st_uid}
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid in owners and not found.st_mode & 0o077


def _content(path: Path) -> bytes:
    """What is in a file; nothing of what is none, or too large. Raises FileNotFoundError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError:
        return b""
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        content = os.read(descriptor, MOST_BYTES + 1) if is_file else b""
    finally:
        os.close(descriptor)
    return content if len(content) <= MOST_BYTES else b""


def _write(folder: Path, name: str, text: str) -> None:
    """Writes a file that is there whole or not at all. Raises OSError."""
    draft = folder / f"{name}.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        keep_owner(descriptor, folder.parent.parent)
        file.write(text)
    os.replace(draft, folder / name)


def _written_at(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0
