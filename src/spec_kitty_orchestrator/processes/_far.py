"""The keeper of a command that runs elsewhere: behind a launcher, with its lifeline through stdin.

Standard library only; with `_keeper.py` it travels as one file (`far_file.py`) and is run there by `main`.

Stdin brings the order first: ten digits, and so many bytes of JSON (`argv`, `env`, `workspace`, `prompt`,
`report`, `grace`, `silence`, `is_worktree`), which is seen on no command line and lies in no file; then
orders as any keeper takes them (`T`, `K`) and, in between, any other byte as a sign of life. When stdin ends,
or brings nothing for `silence` seconds, or somebody there asks us to stop (SIGTERM: a time limit, a
pre-emption, `scancel`), the command is ended as ever. Its streams are ours, its input is the file `prompt`.

The report is a file that the other side has made, so that finding it shows that the folder is a shared one.
It holds one Python literal on a line: `here`, or `refused` and why; `started` or `failed`, `stopped` and by
what, `exited`, and `done`. Our exit status says nothing: `srun` may change it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from ._keeper import KeeperProcess
from ._killing import become_subreaper
from .bounds import START_SECONDS

SIZE_DIGITS = 10
ALSO_STOPS = (signal.SIGUSR1, signal.SIGUSR2)  # what `srun --signal` may warn with


class FarKeeperProcess(KeeperProcess):
    """A keeper that also ends its command when it hears nothing, or is asked to where it is."""

    def __init__(self, order: dict[str, Any], report: int) -> None:
        super().__init__(os.dup(0), report, signal.SIGTERM, 0.0, float(order["grace"]))
        self.silence = float(order["silence"])
        self.stopped = ""
        for signum in ALSO_STOPS:
            signal.signal(signum, lambda *_: setattr(self, "asked", True))

    def report(self, **event: object) -> None:
        """A line of the report, which is on its disk then; one that cannot be written is no end."""
        with contextlib.suppress(OSError):
            os.write(self.report_fd, ascii(event).encode() + b"\n")
            os.fsync(self.report_fd)

    def step(self, until: float) -> None:
        silent_at = float("inf") if self.orphaned else self.heard_at + self.silence
        super().step(min(until, silent_at))
        if self.asked:
            self.stop_for("outside")
        if not self.orphaned and time.monotonic() >= self.heard_at + self.silence:
            self.orphaned = True
            self.stop_for("silence")

    def take_orders(self) -> None:
        before = self.stop_at
        super().take_orders()
        if self.orphaned:  # a launcher that is gone: what the command does now is no end of its own
            self.stop_at = before
            self.reap()
            self.stop_for("silence")

    def stop_for(self, reason: str) -> None:
        """Stop, and say why, unless that was ordered already."""
        is_ordered = self.kill_ordered or self.stop_at < float("inf")
        if not self.stopped and not is_ordered and self.status is None:
            self.stopped = reason
            self.report(stopped=reason)
        self.stop_within(0)


def read_order() -> dict[str, Any]:
    """The order; empty when nobody gives it."""
    head = _read(SIZE_DIGITS)
    body = _read(int(head)) if head else b""
    order: dict[str, Any] = json.loads(body) if body else {}
    return order


def _read(size: int) -> bytes:
    taken = b""
    while len(taken) < size:
        ready = select.select([0], [], [], START_SECONDS)[0]
        chunk = os.read(0, size - len(taken)) if ready else b""
        if not chunk:
            return b""
        taken += chunk
    return taken


def take_place(order: dict[str, Any]) -> None:
    """Go to the workspace, with the command's environment and input.

    What this place has set itself (SLURM_JOB_ID) stays, where the order does not say otherwise.

    Raises OSError.
    """
    os.chdir(order["workspace"])
    if order["is_worktree"]:
        os.lstat(".git")  # an empty folder of that name is another one
    prompt = os.open(order["prompt"], os.O_RDONLY)
    os.dup2(prompt, 0)
    os.close(prompt)
    os.environ.update(order["env"], PWD=order["workspace"])


def main() -> None:
    order = read_order()
    if not order:
        sys.exit("the order did not come")
    try:
        report = os.open(order["report"], os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    except OSError as error:
        sys.exit(f"{socket.gethostname()}: {error}: the log folder is not the one that it is at the start")
    become_subreaper()
    keeper = FarKeeperProcess(order, report)
    job = os.environ.get("SLURM_JOB_ID", "")
    try:
        take_place(order)
    except OSError as error:
        keeper.report(refused=f"{socket.gethostname()}: {error.strerror}: {error.filename}")
        os._exit(0)
    keeper.step(0)
    if keeper.kill_ordered or keeper.stop_at < float("inf"):  # told to stop first, or orphaned
        keeper.report(refused="it was stopped before it began")
        os._exit(0)
    keeper.report(here=socket.gethostname(), job=job)
    try:
        keeper.start(list(map(os.fsencode, order["argv"])), ())
    except OSError as error:
        keeper.report(failed=error.errno)
    else:
        keeper.keep()
    os._exit(0)
