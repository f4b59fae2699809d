"""What the host relies on: another first signal, and patience when the orchestrating process is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import evolve

from spec_kitty_orchestrator.identity import ProcessIdentity
from spec_kitty_orchestrator.kept import Kept, KeptEnding, KeptSpec, open_kept
from spec_kitty_orchestrator.survivors import RUN_MARKER

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the arena sees processes in /proc")

TELL = 'for s in INT TERM; do trap "echo $s >> told; exit 7" $s; done; echo up; while :; do sleep 0.02; done'
ORPHANED = """
import json, os, sys, trio
from pathlib import Path
from spec_kitty_orchestrator.kept import KeptSpec, open_kept

async def main():
    folder, patience = Path(sys.argv[1]), float(sys.argv[2])
    script = "sleep 0.4; echo done > done"
    async with open_kept(KeptSpec(("sh", "-c", script), folder, os.environ, patience=patience)) as kept:
        print("up", flush=True)
        await kept.wait()

trio.run(main)
"""


def shell(arena: Any, script: str) -> KeptSpec:
    return KeptSpec(("sh", "-c", script), arena.folder, {**os.environ, RUN_MARKER: arena.mark}, grace=5.0)


@pytest.mark.parametrize(("first", "told"), [(signal.SIGINT, "INT\n"), (signal.SIGTERM, "TERM\n")])
async def test_it_is_asked_with_the_signal_of_its_choice(arena: Any, first: int, told: str) -> None:
    async with open_kept(evolve(shell(arena, TELL), first_signal=first)) as kept:
        assert await kept.stdout.receive_some() == b"up\n"
        kept.stop()
        assert await kept.wait() == KeptEnding(7, None, ())
    assert (arena.folder / "told").read_text() == told


@pytest.mark.parametrize("order", [Kept.stop, Kept.kill])
async def test_an_order_after_the_end_does_no_harm(arena: Any, order: Callable[[Kept], None]) -> None:
    async with open_kept(shell(arena, "exit 5")) as kept:
        assert await kept.wait() == KeptEnding(5, None, ())
        order(kept)
        assert await kept.wait() == KeptEnding(5, None, ())


async def test_leaving_without_waiting_stops_it(arena: Any) -> None:
    async with open_kept(shell(arena, "exec sleep 60")) as kept:
        assert kept.identity.is_alive()
    assert not kept.identity.is_alive()
    assert await kept.wait() == KeptEnding(None, signal.SIGTERM, ())


async def test_a_wait_that_was_cancelled_can_be_taken_up_again(arena: Any) -> None:
    async with open_kept(shell(arena, "sleep 0.1; exit 4")) as kept:
        with trio.move_on_after(0):
            await kept.wait()
        assert await kept.wait() == KeptEnding(4, None, ())


async def test_without_a_file_its_input_is_empty(arena: Any) -> None:
    async with open_kept(shell(arena, "wc -c")) as kept:
        assert (await kept.stdout.receive_some()).strip() == b"0"
        await kept.wait()


@pytest.mark.parametrize(("patience", "finished"), [(30.0, True), (0.0, False)])
def test_patience_lets_it_finish_when_we_are_killed(
    arena: Any, eventually: Any, patience: float, finished: bool
) -> None:
    arena.is_init = True
    process = subprocess.Popen(
        [sys.executable, "-c", ORPHANED, str(arena.folder), str(patience)],
        stdout=subprocess.PIPE,
        env={**os.environ, RUN_MARKER: arena.mark},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.kill()
    assert eventually(lambda: not arena.left())
    assert (arena.folder / "done").exists() == finished


def test_an_identity_survives_being_stored(arena: Any) -> None:
    identity = ProcessIdentity.of(os.getpid())
    stored = json.loads(json.dumps([identity.pid, identity.started, identity.boot]))
    assert ProcessIdentity(*stored) == identity
    assert ProcessIdentity(*stored).is_alive()


def test_nobody_is_identified_by_a_pid_that_nobody_has() -> None:
    highest = int(Path("/proc/sys/kernel/pid_max").read_text())
    with pytest.raises(ProcessLookupError):
        ProcessIdentity.of(highest + 1)
