"""Keeps the machine from falling asleep while a run is at it, where there is a program for that.

`systemd-inhibit` (Linux) holds its lock as long as the command lives that it is given, `caffeinate` (macOS)
as long as it lives itself. It runs under a keeper and so ends with the run, whatever way that ends.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import trio
from trio.abc import ReceiveStream

from .bounds import INHIBITOR_GRACE_SECONDS
from .keeper import Command, open_keeper
from .starting import CommandNotStarted

CHUNK_BYTES = 4096
WHO = "--who=spec-kitty-orchestrator"
WHY = "--why=a mission is being worked on"
FOR_EVER = ("sleep", "infinity")
INHIBITORS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "systemd-inhibit": (
        ("--what=idle:sleep", WHO, WHY, *FOR_EVER),
        ("--what=idle", WHO, WHY, *FOR_EVER),
    ),
    "caffeinate": (("-i",),),
}
"""Program → its arguments, in the order in which they are tried.

Who is logged in from elsewhere may not hold a machine from sleep, but from idling: polkit's defaults for
`org.freedesktop.login1.inhibit-block-sleep` and `inhibit-block-idle`.
"""


def inhibitor(environ: Mapping[str, str]) -> Path | None:
    """The program that is here for it, or None."""
    path = environ.get("PATH", os.defpath)
    found = next(filter(None, (shutil.which(name, path=path) for name in INHIBITORS)), None)
    return None if found is None else Path(found)


async def keep_awake(environ: Mapping[str, str], folder: Path, kill_now: trio.Event) -> None:
    """Holds the lock until cancelled. Where that cannot be done it returns, and nobody is told.

    Args:
        environ: of the program, which is looked for on its PATH.
        folder: where it runs.
        kill_now: once it is set, it is killed at once.
    """
    program = inhibitor(environ)
    if program is None:
        return
    for arguments in INHIBITORS[program.name]:
        argv = (str(program), *arguments)
        command = Command(argv, folder, environ, grace=INHIBITOR_GRACE_SECONDS, kill_now=kill_now)
        try:
            async with open_keeper(command) as keeper, trio.open_nursery() as readers:
                readers.start_soon(_let_go, keeper.stdout)
                readers.start_soon(_let_go, keeper.stderr)
                await keeper.wait()
                readers.cancel_scope.cancel()
        except CommandNotStarted:
            return


async def _let_go(stream: ReceiveStream) -> None:
    """Reads what nobody wants to know, lest the pipe be full."""
    while await stream.receive_some(CHUNK_BYTES):
        pass
