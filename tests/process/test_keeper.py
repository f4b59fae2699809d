"""What the host relies on: another first signal, and patience when the orchestrating process is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import astuple, evolve
from tests.process.stage import PATIENCE

from spec_kitty_orchestrator.processes import orphans
from spec_kitty_orchestrator.processes.ending import EndedBy, Ending
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.processes.keeper import Command, Keeper, open_keeper
from spec_kitty_orchestrator.processes.launch import START_KEEPER
from spec_kitty_orchestrator.processes.orphans import CHILDREN, RUN_MARKER

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the arena sees processes in /proc")

TELL = 'for s in INT TERM; do trap "echo $s >> told; exit 7" $s; done; echo up; while :; do sleep 0.02; done'
ORPHANED = """
import json, os, sys, trio
from pathlib import Path
from spec_kitty_orchestrator.processes.keeper import Command, open_keeper

async def main():
    folder, patience = Path(sys.argv[1]), float(sys.argv[2])
    script = "while [ ! -e go ]; do sleep 0.02; done; echo done > done"
    async with open_keeper(Command(("sh", "-c", script), folder, os.environ, patience=patience)) as keeper:
        print("up", flush=True)
        await keeper.wait()

trio.run(main)
"""


def how(ending: Ending) -> tuple[object, ...]:
    return ending.returncode, ending.signal, ending.ended_by, ending.swept


def shell(arena: Any, script: str) -> Command:
    return Command(("sh", "-c", script), arena.folder, {**os.environ, RUN_MARKER: arena.mark}, grace=60.0)


def pids(ending: Ending) -> set[str]:
    """Who was swept, without the names: one that is just starting changes its own."""
    return {name.split()[0] for name in ending.swept}


def alter_keeper(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """Has every keeper run a statement about its own module before anything else."""
    altered = START_KEEPER.replace("main(*", f"from processes import _keeper, _killing; {change}; main(*")
    assert altered != START_KEEPER
    monkeypatch.setattr("spec_kitty_orchestrator.processes.launch.START_KEEPER", altered)


@pytest.mark.parametrize(("first", "told"), [(signal.SIGINT, "INT\n"), (signal.SIGTERM, "TERM\n")])
async def test_it_is_asked_with_the_signal_of_its_choice(arena: Any, first: int, told: str) -> None:
    async with open_keeper(evolve(shell(arena, TELL), first_signal=first)) as keeper:
        assert await keeper.stdout.receive_some() == b"up\n"
        keeper.stop()
        assert how(await keeper.wait()) == (7, None, EndedBy.EXITED, ())
    assert (arena.folder / "told").read_text() == told


@pytest.mark.parametrize(
    "orders", [(Keeper.kill,), (Keeper.stop, Keeper.kill)], ids=["at work", "being stopped"]
)
async def test_an_order_to_kill_is_carried_out_by_the_keeper_itself(
    arena: Any, orders: tuple[Callable[[Keeper], None], ...]
) -> None:
    """A keeper that does not hear it is given up in the end, and how its command ended is not known then."""
    deaf = evolve(shell(arena, "trap '' TERM; echo up; exec sleep 60"), grace=3600.0)
    async with open_keeper(deaf) as keeper:
        assert await keeper.stdout.receive_some() == b"up\n"
        for order in orders:
            order(keeper)
        assert how(await keeper.wait()) == (None, signal.SIGKILL, EndedBy.EXITED, ())


@pytest.mark.parametrize("order", [Keeper.stop, Keeper.kill])
async def test_an_order_after_the_end_does_no_harm(arena: Any, order: Callable[[Keeper], None]) -> None:
    async with open_keeper(shell(arena, "exit 5")) as keeper:
        assert how(await keeper.wait()) == (5, None, EndedBy.EXITED, ())
        order(keeper)
        assert how(await keeper.wait()) == (5, None, EndedBy.EXITED, ())


LEAVE = """
setsid sh -c "trap '{answer}' TERM; : > up; {stay}" &
until [ -e up ]; do sleep 0.02; done
exit 3
"""


async def test_what_it_leaves_behind_is_asked_to_end_before_it_is_killed(
    arena: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alter_keeper(monkeypatch, "_keeper.LEFTOVER_SECONDS = 60")  # however slow the machine
    script = LEAVE.format(answer=": > asked; exit", stay="while :; do sleep 0.02; done")
    async with open_keeper(evolve(shell(arena, script), grace=60.0)) as keeper:
        ending = await keeper.wait()
    assert (arena.folder / "asked").exists()
    assert (ending.returncode, ending.signal) == (3, None)


async def test_what_the_keeper_could_not_kill_is_killed_from_here(
    arena: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alter_keeper(monkeypatch, "_killing.kill_with_groups = lambda *_: None; _keeper.SWEEP_SECONDS = 0.1")
    script = LEAVE.format(answer="", stay="exec sleep 60")
    async with open_keeper(evolve(shell(arena, script), grace=0.1)) as keeper:
        ending = await keeper.wait()
        assert arena.left() == []
    assert (ending.returncode, ending.signal) == (3, None)
    assert len(pids(ending)) == 1


async def test_without_a_subreaper_the_commands_own_group_is_ended(
    arena: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What macOS has; here the keeper is told that it is not on Linux."""
    alter_keeper(
        monkeypatch, "_keeper.LINUX = _killing.LINUX = False; _keeper.SWEEP_SECONDS = 0.3"
    )  # zombies count here
    arena.is_init = True
    async with open_keeper(shell(arena, "trap '' TERM; sleep 60 & echo up; sleep 60; sleep 60")) as keeper:
        assert await keeper.stdout.receive_some() == b"up\n"
        keeper.kill()
        assert how(await keeper.wait())[:2] == (None, signal.SIGKILL)
    assert arena.left() == []


async def test_where_orphans_do_not_fall_to_us_they_are_known_by_the_mark_of_their_keeper(
    arena: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CHILDREN, "adopting", False)
    arena.is_init = True
    script = "setsid sh -c 'trap \"\" TERM; echo up; exec sleep 60'; :"
    async with open_keeper(shell(arena, script)) as keeper, open_keeper(shell(arena, script)) as another:
        assert await keeper.stdout.receive_some() == await another.stdout.receive_some() == b"up\n"
        before = {line.split()[0] for line in arena.left()}
        os.kill(keeper.identity.pid, signal.SIGKILL)
        ending = await keeper.wait()
        assert pids(ending) & before
        assert len(arena.left()) == 3  # another keeper, its command, and what that started
    assert arena.left() == []


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A child that another part of this process has started, without a keeper."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


async def test_the_loss_of_a_keeper_costs_nobody_elses_child(
    arena: Any, bystander: subprocess.Popen[bytes]
) -> None:
    async with open_keeper(shell(arena, "echo up; exec sleep 60")) as keeper:
        assert await keeper.stdout.receive_some() == b"up\n"
        os.kill(keeper.identity.pid, signal.SIGKILL)
        assert (await keeper.wait()).ended_by is EndedBy.KEEPER_LOST
    assert bystander.poll() is None


async def test_leaving_without_waiting_stops_it(arena: Any) -> None:
    async with open_keeper(shell(arena, "exec sleep 60")) as keeper:
        assert keeper.identity.is_alive()
    assert not keeper.identity.is_alive()
    assert how(await keeper.wait()) == (None, signal.SIGTERM, EndedBy.EXITED, ())


async def test_a_wait_that_was_cancelled_can_be_taken_up_again(arena: Any) -> None:
    async with open_keeper(shell(arena, "sleep 0.1; exit 4")) as keeper:
        with trio.move_on_after(0):
            await keeper.wait()
        assert how(await keeper.wait()) == (4, None, EndedBy.EXITED, ())


async def test_without_a_file_its_input_is_empty(arena: Any) -> None:
    async with open_keeper(shell(arena, "wc -c")) as keeper:
        assert (await keeper.stdout.receive_some()).strip() == b"0"
        await keeper.wait()


@pytest.mark.parametrize(("patience", "finished"), [(PATIENCE, True), (0.0, False)])
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
    if finished:
        assert not eventually(lambda: not arena.left(), seconds=1)
        (arena.folder / "go").touch()
    assert eventually(lambda: not arena.left())
    assert (arena.folder / "done").exists() == finished


def test_keepers_that_are_lost_together_share_the_time_that_their_orphans_have(
    arena: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One orphan that nothing kills must not hold up every start as often as there are keepers."""
    monkeypatch.setattr("spec_kitty_orchestrator.processes._killing.kill_with_groups", lambda *_: None)
    monkeypatch.setattr(orphans, "SWEEP_SECONDS", 2.0)

    async def lose_sixty() -> float:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(60):
                nursery.start_soon(orphans.end_orphans, "nobody")
        return trio.current_time() - began

    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stubborn:
        seconds = trio.run(lose_sixty)
        stubborn.kill()
    assert seconds < 100.0  # one after the other it would be 120


def test_an_identity_survives_being_stored(arena: Any) -> None:
    identity = ProcessIdentity.of(os.getpid())
    stored = json.loads(json.dumps(astuple(identity)))
    assert ProcessIdentity(*stored) == identity
    assert ProcessIdentity(*stored).is_alive()


def test_a_child_that_has_ended_is_still_a_child() -> None:
    """Whoever starts one may be too slow to see it alive."""
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    identity = ProcessIdentity.of(process.pid)
    assert not identity.is_alive()
    process.wait()
    with pytest.raises(ProcessLookupError):
        ProcessIdentity.of(process.pid)


async def test_a_keeper_that_ends_before_it_is_looked_at_is_lost_like_any_other(
    arena: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = ProcessIdentity.of

    def late(pid: int) -> ProcessIdentity:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return of(pid)

    monkeypatch.setattr(ProcessIdentity, "of", late)
    async with open_keeper(shell(arena, "exit 4")) as keeper:
        assert how(await keeper.wait()) == (None, None, EndedBy.KEEPER_LOST, ())


def test_nobody_is_identified_by_a_pid_that_nobody_has() -> None:
    highest = int(Path("/proc/sys/kernel/pid_max").read_text())
    with pytest.raises(ProcessLookupError):
        ProcessIdentity.of(highest + 1)
