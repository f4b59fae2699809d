"""What a lost keeper leaves behind: whose it is, what is not ours to end, and what cannot be ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import islice
from typing import Any

import pytest
import trio
from attrs import evolve
from tests.process.stage import Stage, eventually

from spec_kitty_orchestrator.processes import _killing
from spec_kitty_orchestrator.processes.bounds import LONGEST_PAUSE_SECONDS
from spec_kitty_orchestrator.processes.ending import Ending
from spec_kitty_orchestrator.processes.keeper import Command, Keeper, open_keeper
from spec_kitty_orchestrator.processes.orphans import CHILDREN, RUN_MARKER, find_survivors, sweep_run
from spec_kitty_orchestrator.run.state import RunStatus

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the arena sees processes in /proc")

MAY_NOT_KILL = """
import ctypes, os, sys
if ctypes.CDLL(None).prctl(24, 5, 0, 0, 0):  # PR_CAPBSET_DROP, CAP_KILL
    sys.exit("cannot drop the right to kill")
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Root without this right may signal as little as anybody else what runs as another user."""

ZOMBIES = """
import os, signal, sys, time
def obey(*_):
    time.sleep(0.5)
    open("asked", "w").close()
    sys.exit(3)
signal.signal(signal.SIGTERM, obey)
for _ in range(1100):
    if os.fork() == 0:
        os._exit(0)
os.write(1, b"up\\n")
while True:
    time.sleep(1)
"""

HAS_A_JOB = """
import ctypes, os, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # as process 1 of a container, to which orphans fall
if os.fork() == 0:
    os.setsid()
    if sys.argv[2] and os.fork():
        os._exit(0)
    nothing = os.open("/dev/null", os.O_RDWR)
    for stream in 0, 1, 2:
        os.dup2(nothing, stream)
    with open(sys.argv[1], "w") as file:
        file.write(str(os.getpid()))
    os.execvp("sleep", ["sleep", "60"])
if sys.argv[2]:
    os.wait()
while not (os.path.exists(sys.argv[1]) and os.path.getsize(sys.argv[1])):
    time.sleep(0.02)
os.execv(sys.argv[3], sys.argv[3:])
"""

LEAVES_A_CHILD = """
import os, signal, sys, time
def asked(*_):
    open("asked by SIGINT", "w").close()
    os._exit(0)
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGINT, asked)
    open("up", "w").close()
    time.sleep(600)
while not os.path.exists("up"):
    time.sleep(0.02)
"""

OBEDIENT_PARENT = 'setsid env -i "$0" -S -c "import time; time.sleep(600)" "$1" & wait'


def shell(arena: Any, script: str) -> Command:
    return Command(("sh", "-c", script), arena.folder, {**os.environ, RUN_MARKER: arena.mark}, grace=60.0)


async def test_zombies_are_no_crowd(arena: Any) -> None:
    """An agent that waits for none of its children still gets its grace."""
    environ = {**os.environ, RUN_MARKER: arena.mark}
    argv = (sys.executable, "-S", "-c", ZOMBIES)
    async with open_keeper(Command(argv, arena.folder, environ, grace=60.0)) as keeper:
        assert await keeper.stdout.receive_some() == b"up\n"
        keeper.stop()
        ending = await keeper.wait()
    assert (ending.returncode, (arena.folder / "asked").exists()) == (3, True)


async def test_of_keepers_that_are_lost_together_each_tells_what_was_its_own(arena: Any) -> None:
    arena.is_init = True
    endings: dict[str, Ending] = {}
    script = "setsid sh -c 'trap \"\" TERM; echo $$; exec sleep 60'; :"

    async def wait(pid: str, keeper: Keeper) -> None:
        endings[pid] = await keeper.wait()

    async with open_keeper(shell(arena, script)) as one, open_keeper(shell(arena, script)) as other:
        keepers = {(await each.stdout.receive_some()).decode().strip(): each for each in (one, other)}
        for each in (one, other):
            os.kill(each.identity.pid, signal.SIGSTOP)  # so that both are lost before either is missed
        for each in (one, other):
            os.kill(each.identity.pid, signal.SIGKILL)
        async with trio.open_nursery() as nursery:
            for pid, keeper in keepers.items():
                nursery.start_soon(wait, pid, keeper)
    for pid, another in (tuple(keepers), tuple(keepers)[::-1]):
        swept = [name.split()[0] for name in endings[pid].swept]
        assert pid in swept
        assert another not in swept
        assert endings[pid].left == ()


@pytest.mark.parametrize("orphaned", ["", "orphaned"])
def test_what_a_shell_had_started_before_it_became_us_is_not_touched(arena: Any, orphaned: str) -> None:
    wrapper = (sys.executable, "-S", "-c", HAS_A_JOB, str(arena.folder / "before"), orphaned)
    driver = arena.drive(arena.launch("grandchild"), wrapper=wrapper)
    driver.await_ready()
    job = int((arena.folder / "before").read_text())
    os.kill(driver.keepers[0], signal.SIGKILL)
    assert '["KEEPER_LOST"]' in driver.finish()[1]
    assert arena.left() == []
    lived = _killing.is_living(job)
    os.kill(job, signal.SIGKILL)
    assert eventually(lambda: not _killing.is_living(job))
    if job in _killing.children_of(os.getpid()):  # it fell to us
        os.waitpid(job, 0)
    assert lived


async def test_what_could_not_be_ended_is_told_under_one_keeper_alone(
    arena: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a keeper that was lost before, nothing is told again, and nobody waits for it again."""
    arena.is_init = True
    monkeypatch.setattr(_killing, "kill_with_groups", lambda *_: False)
    monkeypatch.setattr(_killing, "REFUSED_SECONDS", 0.1)
    left = []
    for _ in range(2):
        async with open_keeper(shell(arena, "setsid sh -c 'echo $$; exec sleep 60'; :")) as keeper:
            pid = (await keeper.stdout.receive_some()).decode().strip()
            os.kill(keeper.identity.pid, signal.SIGKILL)
            ending = await keeper.wait()
        assert pid in [name.split()[0] for name in ending.left]
        assert ending.swept == ()
        left.append({name.split()[0] for name in ending.left})
    assert not left[0] & left[1]
    for each in left[0] | left[1]:
        os.kill(int(each), signal.SIGKILL)
    assert eventually(lambda: CHILDREN.strangers("nobody") == [] and not CHILDREN.left)


async def test_what_a_command_leaves_behind_is_asked_as_the_command_is(arena: Any) -> None:
    """git, below the host, tidies up on SIGINT; the host's calls are shielded from SIGTERM."""
    environ = {**os.environ, RUN_MARKER: arena.mark}
    command = Command((sys.executable, "-S", "-c", LEAVES_A_CHILD), arena.folder, environ, grace=60.0)
    async with open_keeper(evolve(command, first_signal=signal.SIGINT)) as keeper:
        ending = await keeper.wait()
    assert (ending.returncode, ending.left) == (0, ())
    assert (arena.folder / "asked by SIGINT").exists()


def test_a_nameless_child_of_what_obeys_is_found_before_its_parent_is_gone(arena: Any) -> None:
    arena.is_init = True
    command = ["sh", "-c", OBEDIENT_PARENT, sys.executable, arena.mark]
    with subprocess.Popen(command, env={**os.environ, RUN_MARKER: arena.mark}) as parent:
        assert eventually(lambda: (len(arena.left()), len(find_survivors(arena.mark))) == (2, 1))
        swept = trio.run(sweep_run, arena.mark, 1.0)
        assert parent.wait() == -signal.SIGTERM
        assert arena.left() == []
    assert (len(swept.ended), swept.left) == (2, ())


def looks(monkeypatch: pytest.MonkeyPatch, *, dies_of_it: bool) -> list[float]:
    """The pauses after the first looks at one process that does not go away."""
    monkeypatch.setattr(_killing, "kill_with_groups", lambda *_: dies_of_it)
    return list(islice(_killing.kill_all(lambda _: [1], {}, float("inf")), 12))


def test_the_pauses_between_the_looks_at_what_does_not_die_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = looks(monkeypatch, dies_of_it=True)
    assert pauses[0] == 0.0
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_SECONDS


def test_what_refuses_our_signals_is_not_waited_for_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_killing, "REFUSED_SECONDS", 0.0)
    assert len(looks(monkeypatch, dies_of_it=False)) == 1


def test_who_refuses_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, signum: int) -> None:
        raise PermissionError

    monkeypatch.setattr(_killing.os, "kill", refuse)
    monkeypatch.setattr(_killing.os, "killpg", refuse)
    assert not _killing.kill_with_groups([os.getpid()], {})


def without_the_right(argv: list[str]) -> list[str]:
    return [sys.executable, "-S", "-c", MAY_NOT_KILL, *argv]


@pytest.fixture
def lame_stage(stage: Stage) -> Stage:
    """A stage on which another user's processes can be made and not be ended."""
    if os.geteuid() != 0:
        pytest.skip("only root can start another user's process")
    if subprocess.run(without_the_right(["/bin/true"]), check=False, capture_output=True).returncode:
        pytest.skip("the right to kill cannot be given up here")
    return stage


def test_what_cannot_be_ended_is_told_loudly_and_is_no_success(lame_stage: Stage) -> None:
    stage = lame_stage
    stage.cast(["another_user exit"] * 4, agents={"max_retries": 0})
    stage.start(without_the_right(stage.orchestrate_command))
    returncode, stderr = stage.finish()
    found = [
        a for record in stage.state().work_packages.values() for a in record.attempts if a.agent == "bad"
    ]
    left = [name for attempt in found for name in attempt.left]
    swept = [name for attempt in found for name in attempt.swept]
    wrapped = subprocess.run(
        without_the_right(stage.command("abort")),
        cwd=stage.arena.root, env=stage.arena.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    by_root = stage.run("abort")
    assert (returncode, stderr) == (1, "")
    assert set(stage.arena.lanes().values()) == {"done"}
    assert stage.status() is RunStatus.FINISHED
    assert [len(attempt.left) for attempt in found] == [1] * 4
    assert len(set(left)) == 4
    assert not set(left) & set(swept)
    assert all(name in stage.state().reason for name in left)
    events = next((stage.arena.root / ".kittify" / "logs").glob("*/events.jsonl")).read_text()
    assert events.count('"event": "ProcessesLeft"') == 4
    assert wrapped.returncode == 1
    assert all(f"WARNING: could NOT be ended: {name}" in wrapped.stderr for name in left)
    assert by_root.returncode == 0
    assert all(f"ended what was left: {name}" in by_root.stderr for name in left)
    assert stage.left() == []
