"""Whatever an agent does and however it is ended, none of its processes is left."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from attrs import define, field

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

from tests.process.launch import Launch

from spec_kitty_orchestrator.processes.ending import EndedBy, Ending
from spec_kitty_orchestrator.processes.identity import ProcessIdentity

from .kinds import STAYING
from .stage import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sees processes in /proc")

LEAVES_SOMETHING = STAYING[2:8]
LEAVING = {"leave_pipe": (0, None), "die": (None, signal.SIGKILL), "exit_137": (137, None)}


@define
class Trial:
    """One attempt under test: what is done to it once its agent is ready."""

    arena: Any
    launch: Launch
    sink: Any
    ready: trio.Event = field(factory=trio.Event)
    keeper: list[ProcessIdentity] = field(factory=list)

    async def run(self) -> Ending:
        self.sink.on_ready = self.ready.set
        return await self.launch.run(self.sink, self.keeper.append)

    async def run_with(self, meddle: Callable[[Trial], object]) -> Ending:
        """Run, and meddle as soon as the agent is ready."""
        endings = []
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                endings.append(await self.run())
                nursery.cancel_scope.cancel()

            nursery.start_soon(run)
            await self.ready.wait()
            meddle(self)
            await trio.sleep_forever()
        return endings[0]


async def time_out(trial: Trial) -> object:
    ending = await trial.run()
    return ending.ended_by in (EndedBy.TIMEOUT, EndedBy.COMPLETED)


async def fall_silent(trial: Trial) -> object:
    ending = await trial.run()
    return ending.ended_by in (EndedBy.IDLE, EndedBy.COMPLETED)


async def cancelled(trial: Trial) -> object:
    with trio.CancelScope() as scope:
        await trial.run_with(lambda _: scope.cancel())
    return scope.cancelled_caught


async def cancelled_then_killed(trial: Trial) -> object:
    def both(_: Trial) -> None:
        scope.cancel()
        trial.launch.command.kill_now.set()

    with trio.CancelScope() as scope:
        await trial.run_with(both)
    return scope.cancelled_caught


async def keeper_killed(trial: Trial) -> object:
    ending = await trial.run_with(lambda _: os.kill(trial.keeper[0].pid, signal.SIGKILL))
    return ending.ended_by is EndedBy.KEEPER_LOST


async def keeper_hangs(trial: Trial) -> object:
    """A stopped keeper hears no order; it is given up after a bounded while."""
    with trio.CancelScope() as scope:

        def hang(_: Trial) -> None:
            os.kill(trial.keeper[0].pid, signal.SIGSTOP)
            scope.cancel()

        await trial.run_with(hang)
    return scope.cancelled_caught


async def keeper_terminated(trial: Trial) -> object:
    """It does not take that for an order to stop, and ends all as ever when one comes."""

    def both(_: Trial) -> None:
        os.kill(trial.keeper[0].pid, signal.SIGTERM)
        scope.cancel()

    with trio.CancelScope() as scope:
        await trial.run_with(both)
    return scope.cancelled_caught


async def sink_fails(trial: Trial) -> object:
    def fail() -> None:
        raise ZeroDivisionError

    trial.sink.on_ready = fail
    try:
        await trial.launch.run(trial.sink, trial.keeper.append)
    except BaseExceptionGroup as errors:
        return errors.split(ZeroDivisionError)[1] is None
    return False


NO_LIMIT = {"exit_deadline": PATIENCE}
"""Also for one that has given its result and stays: nothing comes before what is done to it."""
ENDINGS: dict[Callable[[Trial], Awaitable[object]], dict[str, float]] = {
    time_out: {"timeout": 0.6},
    fall_silent: {"idle_timeout": 0.4},
    cancelled: NO_LIMIT,
    cancelled_then_killed: NO_LIMIT,
    keeper_killed: NO_LIMIT,
    keeper_terminated: NO_LIMIT,
    sink_fails: NO_LIMIT,
}
"""Each way to end an attempt, with the limits that it needs."""


async def put_through(arena: Any, mode: str, make_sink: Callable[[], Any]) -> dict[str, Any]:
    """Run the mode through every ending at once; what went wrong, by ending."""
    wrong: dict[str, Any] = {}

    async def one(end: Callable[[Trial], Awaitable[object]], limits: dict[str, float]) -> None:
        trial = Trial(arena, arena.launch(mode, **limits), make_sink())
        as_expected = await end(trial)
        left = arena.left_of(trial.launch)
        if left or not as_expected:
            wrong[end.__name__] = {"left": left, "as expected": as_expected}

    async with trio.open_nursery() as nursery:
        for end, limits in ENDINGS.items():
            if not (mode == "print_for_ever" and end is fall_silent):
                nursery.start_soon(one, end, limits)
    return wrong


@pytest.mark.parametrize("mode", STAYING)
async def test_nothing_is_left_of_an_agent_that_is_ended(arena: Any, new_sink: Any, mode: str) -> None:
    assert await put_through(arena, mode, new_sink) == {}


@pytest.mark.parametrize("mode", LEAVES_SOMETHING)
async def test_nothing_is_left_after_success_and_what_was_is_named(
    arena: Any, new_sink: Any, mode: str
) -> None:
    launch = arena.launch(mode, "exit")
    ending = await launch.run(new_sink())
    assert arena.left() == []
    assert (ending.returncode, ending.signal, ending.ended_by) == (0, None, EndedBy.EXITED)
    assert ending.swept
    assert "python" in ending.swept[0]


@pytest.mark.parametrize(("mode", "how"), LEAVING.items())
async def test_an_agent_that_goes_by_itself_is_reported_as_it_went(
    arena: Any, new_sink: Any, mode: str, how: tuple[int | None, int | None]
) -> None:
    ending = await arena.launch(mode).run(new_sink())
    assert arena.left() == []
    assert (ending.returncode, ending.signal) == how
    assert ending.ended_by is EndedBy.EXITED


async def test_a_keeper_that_hangs_is_given_up_and_its_work_done_from_here(
    arena: Any, new_sink: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spec_kitty_orchestrator.processes.keeper.KEEPER_SECONDS", 0.3)
    for mode in ("ignore", "grandchild", "nameless_grandchild"):
        trial = Trial(arena, arena.launch(mode), new_sink())
        assert await keeper_hangs(trial)
        assert arena.left() == []


async def test_an_order_to_kill_does_not_wait_for_the_grace(arena: Any, new_sink: Any) -> None:
    trial = Trial(arena, arena.launch("ignore", grace=3600.0), new_sink())
    with trio.fail_after(PATIENCE):
        assert await cancelled_then_killed(trial)
    assert arena.left() == []


async def test_an_agent_that_kills_its_keeper_gains_nothing(arena: Any, new_sink: Any) -> None:
    launch = arena.launch("kill_keeper")
    ending = await launch.run(new_sink())
    assert arena.left() == []
    assert ending.ended_by is EndedBy.KEEPER_LOST
    assert ending.returncode is None
