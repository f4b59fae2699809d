"""The keeper, tried for real: whether a process that leaves its session and ignores signals is ended."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import trio

from ...errors import OrchestratorError
from ...processes.identity import ProcessIdentity
from ...processes.keeper import Command, Keeper, open_keeper
from .findings import Case, Finding, Found, error, problem, warning

CANARY = """
import os, signal, sys, time
for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(each, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    print(os.getpid(), flush=True)
time.sleep(600)
"""
"""Starts a process that is nobody's child, in a session of its own, as agents' tools do; says its pid."""

CANARY_SECONDS = 30.0
"""For a keeper and two interpreters to start; they take a tenth of a second on an idle machine."""
WHAT = "keeper"


async def canary(case: Case) -> Found:
    """Has a keeper end such a process."""
    command = Command((sys.executable, "-I", "-S", "-c", CANARY), Path("/"), case.environ, grace=0.0)
    try:
        with trio.move_on_after(CANARY_SECONDS):
            async with open_keeper(command) as keeper:
                return [await _ended(keeper)]
    except OrchestratorError as found:
        return [problem(WHAT, found)]
    return [error(WHAT, f"it was not done within {CANARY_SECONDS:g} s", "try again when the machine is idle")]


async def _ended(keeper: Keeper) -> Finding:
    bird = ProcessIdentity.of(await _pid_told(keeper))
    keeper.kill()
    ending = await keeper.wait()
    if not bird.is_alive():
        told = f"ended a process that had left its session and ignored signals ({ending.seconds:.1f} s)"
        return Finding(WHAT, told)
    with suppress(OSError):
        os.kill(bird.pid, signal.SIGKILL)
    found = "it did not end a process that had left its session"
    if sys.platform != "linux":
        return warning(WHAT, f"{found}: this system has no subreaper", "look after a run for what is left")
    return error(WHAT, found, "look whether a sandbox or a container forbids prctl(PR_SET_CHILD_SUBREAPER)")


async def _pid_told(keeper: Keeper) -> int:
    said = b""
    while not said.endswith(b"\n"):
        chunk = await keeper.stdout.receive_some(64)
        if not chunk:
            raise OrchestratorError("the process that was to be ended did not start")
        said += chunk
    return int(said)
