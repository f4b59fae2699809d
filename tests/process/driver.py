"""A small orchestrating process: runs the attempts that its argument describes, and stops as a run does.

Prints its own pid, then the pid of each attempt's keeper when its agent is ready, at last a JSON list of how
the attempts ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import trio
from attrs import evolve

from spec_kitty_orchestrator.agents import get_agent
from spec_kitty_orchestrator.agents.transcript import open_reader
from spec_kitty_orchestrator.processes.agent_process import Limits, run_agent
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.processes.keeper import Command
from spec_kitty_orchestrator.processes.launcher import FarJob, FarLaunch, LauncherKind
from spec_kitty_orchestrator.processes.open_files import raise_open_files
from spec_kitty_orchestrator.processes.orphans import RUN_MARKER, adopt_orphans
from spec_kitty_orchestrator.report.lines import Lines
from spec_kitty_orchestrator.run.state import RunState, RunStore
from spec_kitty_orchestrator.run.stopping import StopControl
from spec_kitty_orchestrator.run.writer import StateWriter


class Sink:
    """Says once that the agent is ready; everything goes into a real reader, which may hold only so much."""

    complete = False
    is_too_dear = False

    def __init__(self, on_ready: Callable[[], None]) -> None:
        self._on_ready: Callable[[], None] | None = on_ready
        self._reader = open_reader(get_agent("claude-code"))

    def feed_stdout(self, chunk: bytes) -> None:
        if self._on_ready is not None and b"ready" in chunk:
            self._on_ready()
            self._on_ready = None
        self._reader.feed_stdout(chunk)

    def feed_stderr(self, chunk: bytes) -> None:
        self._reader.feed_stderr(chunk)


async def attempt(
    order: dict[str, Any], what: dict[str, Any], control: StopControl, endings: list[str], writer: StateWriter
) -> None:
    keepers: list[int] = []
    folder = Path(order["folder"])
    prompt = folder / f"{what['name']}.driven.prompt.md"
    prompt.write_text("the prompt\n")
    command = Command(
        argv=tuple(what["argv"]),
        cwd=folder,
        env={**os.environ, RUN_MARKER: what["mark"]},
        stdin=prompt,
        grace=order["grace"],
        kill_now=control.kill_now,
    )
    if far := what["far"]:
        job = FarJob(LauncherKind.COMMAND, what["name"])
        report = Path(far["report"])
        launch = FarLaunch(tuple(far["argv"]), job, report, far["silence"], 600)
        command = evolve(command, far=launch)
    log_file, limits = folder / f"{what['name']}.driven.log", Limits(timeout=order.get("timeout", 600))

    def on_start(keeper: ProcessIdentity) -> None:
        keepers.append(keeper.pid)
        writer.mark(what["name"])

    writer.state.record(what["name"])
    writer.mark(what["name"])
    await writer.saved()
    sink = Sink(lambda: print(keepers[0], flush=True))
    try:
        ending = await run_agent(command, log_file, limits, sink, on_start)
    finally:
        writer.mark(what["name"])
    endings.append(ending.ended_by.name)


async def main(order: dict[str, Any], control: StopControl, notice: Callable[[str], None]) -> list[str]:
    endings: list[str] = []
    me = ProcessIdentity.of(os.getpid())
    writer = StateWriter(RunStore(Path(order["folder"])), RunState("driven", "m", "me", "2026", me))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.keep)
        work = trio.CancelScope()
        if not order.get("deaf"):
            nursery.start_soon(partial(control.watch, work.cancel, notice))
        with work:
            async with trio.open_nursery() as attempts:
                for what in order["attempts"]:
                    attempts.start_soon(attempt, order, what, control, endings, writer)
                if order.get("fails"):
                    attempts.start_soon(fail_when_told)
        nursery.cancel_scope.cancel()
    await writer.save_at_last()
    return endings


async def fail_when_told() -> None:
    await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
    raise RuntimeError("injected")


def run(order: dict[str, Any]) -> int:
    control = StopControl(order["grace"])
    raise_open_files()
    if order.get("fsync"):
        os.fsync = lambda _: time.sleep(order["fsync"])
    with control.handlers() if not order.get("deaf") else nullcontext():
        if order.get("deaf"):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        adopt_orphans()
        print(os.getpid(), flush=True)
        with Lines() as display:
            endings = trio.run(main, order, control, display.notice)
        with suppress(OSError):
            print(json.dumps(endings), flush=True)
    return control.exit_code or 0


if __name__ == "__main__":
    sys.exit(run(json.loads(sys.argv[1])))
