"""The stages of a stop, as a table of signals: no agent, no process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.processes.bounds import SAME_EVENT_SECONDS
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.run.stopping import StopControl, stop_live_run

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
SHORTLY, LATER = SAME_EVENT_SECONDS / 2, SAME_EVENT_SECONDS * 2

HISTORIES = {
    "no signal": ([], None, 0),
    "Ctrl-C": ([INT], ExitCode.INTERRUPTED, 1),
    "SIGTERM": ([TERM], ExitCode.TERMINATED, 1),
    "SIGHUP": ([HUP], ExitCode.HUNG_UP, 1),
    "Ctrl-C twice": ([INT, LATER, INT], ExitCode.INTERRUPTED, 2),
    "the first signal gives the status": ([TERM, LATER, INT], ExitCode.TERMINATED, 2),
    "one event that is told twice": ([HUP, HUP], ExitCode.HUNG_UP, 1),
    "what was told twice is forgotten": ([HUP, HUP, LATER], ExitCode.HUNG_UP, 1),
    "told once more before the pause is over": ([INT, SHORTLY, INT, LATER], ExitCode.INTERRUPTED, 1),
    "Ctrl-C and then abort": ([INT, LATER, TERM], ExitCode.INTERRUPTED, 1),
    "abort twice": ([TERM, LATER, TERM, LATER, TERM], ExitCode.TERMINATED, 1),
    "Ctrl-C and then the terminal is closed": ([INT, LATER, HUP], ExitCode.INTERRUPTED, 1),
    "Ctrl-C after one that changed nothing": ([INT, LATER, TERM, LATER, INT], ExitCode.INTERRUPTED, 2),
    "a second signal after one that was told twice": ([INT, INT, LATER, INT], ExitCode.INTERRUPTED, 2),
    "a third time": ([INT, LATER, INT, LATER, INT], ExitCode.INTERRUPTED, 2),
}


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Iterator[None]:
    """A stop keeps its handlers, as its program is about to end; the tests go on."""
    before = {signum: signal.getsignal(signum) for signum in (INT, TERM, HUP)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize(("history", "code", "stages"), HISTORIES.values(), ids=HISTORIES)
async def test_signals_move_the_stop_on(
    autojump_clock: trio.testing.MockClock, history: list[float], code: ExitCode | None, stages: int
) -> None:
    control, said, cancelled = StopControl(), [], []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(control.watch, lambda: cancelled.append(True), said.append)
        await trio.testing.wait_all_tasks_blocked()
        for event in history:
            if isinstance(event, signal.Signals):
                signal.raise_signal(event)
                await trio.testing.wait_all_tasks_blocked()
            else:
                await trio.sleep(event)
        nursery.cancel_scope.cancel()
    assert control.exit_code is code
    assert (control.stopping.is_set(), control.kill_now.is_set()) == (stages >= 1, stages >= 2)
    assert (len(said), len(cancelled)) == (stages, min(stages, 1))


async def test_a_signal_before_the_watch_is_kept() -> None:
    control, said = StopControl(), []
    with control.handlers():
        signal.raise_signal(signal.SIGTERM)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(control.watch, nursery.cancel_scope.cancel, said.append)
        signal.raise_signal(signal.SIGTERM)  # and one after it does no harm
    assert control.exit_code is ExitCode.TERMINATED
    assert len(said) == 1


def test_handlers_are_put_back_and_an_ignored_hangup_stays_ignored() -> None:
    before = {signum: signal.getsignal(signum) for signum in (INT, TERM, HUP)}
    signal.signal(HUP, signal.SIG_IGN)
    try:
        with StopControl().handlers():
            assert signal.getsignal(HUP) == signal.SIG_IGN
            assert signal.getsignal(TERM) != before[TERM]
        assert signal.getsignal(TERM) == before[TERM]
    finally:
        signal.signal(HUP, before[HUP])
    assert {signum: signal.getsignal(signum) for signum in (INT, TERM, HUP)} == before


@pytest.mark.parametrize("signum", [INT, TERM, HUP])
async def test_after_a_stop_a_late_signal_does_not_change_how_the_program_ends(
    signum: signal.Signals,
) -> None:
    reached_others: list[int] = []
    for each in (INT, TERM, HUP):
        signal.signal(each, lambda number, _: reached_others.append(number))
    control = StopControl()
    with control.handlers():
        signal.raise_signal(TERM)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(control.watch, nursery.cancel_scope.cancel, lambda _: None)
    signal.raise_signal(signum)
    assert reached_others == []
    assert control.exit_code is ExitCode.TERMINATED


async def test_each_stage_begins_before_it_is_told(autojump_clock: trio.testing.MockClock) -> None:
    control, begun = StopControl(), []
    done: list[str] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            control.watch,
            lambda: done.append("work is cancelled"),
            lambda _: begun.append((*done, control.kill_now.is_set())),
        )
        await trio.testing.wait_all_tasks_blocked()
        signal.raise_signal(INT)
        await trio.sleep(LATER)
        signal.raise_signal(INT)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert begun == [("work is cancelled", False), ("work is cancelled", True)]


async def test_a_run_that_is_gone_is_not_signalled_even_if_its_pid_lives() -> None:
    me = ProcessIdentity.of(os.getpid())
    earlier = ProcessIdentity(me.pid, me.started - 60, me.boot)
    another_boot = ProcessIdentity(me.pid, me.started, "another boot")
    assert me.is_alive()
    for other in (earlier, another_boot):
        assert not other.is_alive()
        assert await stop_live_run(other, grace=0.0)
