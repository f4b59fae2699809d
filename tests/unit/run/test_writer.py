"""The state is written beside the event loop: who marks it goes on, and who waits for it shares a write."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import define, field

from spec_kitty_orchestrator.errors import ExitCode, StateNotWritten
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.run import writer as writer_module
from spec_kitty_orchestrator.run.state import RunState, RunStore
from spec_kitty_orchestrator.run.writer import StateWriter

PATIENCE = 300.0


@define
class Disk:
    """An fsync that takes until it is let go on."""

    waits: bool = True
    count: int = 0
    begun: threading.Event = field(factory=threading.Event)
    goes_on: threading.Event = field(factory=threading.Event)

    def fsync(self, _: int) -> None:
        self.count += 1
        self.begun.set()
        if self.waits:
            assert self.goes_on.wait(PATIENCE)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr(os, "fsync", disk.fsync)
    yield disk
    disk.goes_on.set()


@pytest.fixture
def writer(tmp_path: Path) -> StateWriter:
    me = ProcessIdentity.of(os.getpid())
    return StateWriter(RunStore(tmp_path), RunState("run-1", "m", "me", "2026", me))


async def begun(disk: Disk) -> None:
    assert await trio.to_thread.run_sync(disk.begun.wait, PATIENCE)


async def test_who_marks_a_change_goes_on_at_once_and_whoever_waits_meanwhile_shares_the_next_write(
    disk: Disk, writer: StateWriter
) -> None:
    came_back: list[int] = []

    async def change(number: int) -> None:
        writer.state.record(f"WP{number:02}").rejections = number
        writer.mark(f"WP{number:02}")
        await writer.saved()
        came_back.append(number)

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(change, 0)
            await begun(disk)
            for number in range(1, 25):
                nursery.start_soon(change, number)
            await trio.testing.wait_all_tasks_blocked()
            assert came_back == []
            disk.goes_on.set()
    assert len(came_back) == 25
    assert disk.count == 2
    stored = writer.store.load()
    assert stored is not None
    assert [stored.record(f"WP{number:02}").rejections for number in range(25)] == list(range(25))


async def test_what_is_marked_is_stored_though_nobody_waits_for_it(disk: Disk, writer: StateWriter) -> None:
    disk.waits = False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.keep)
        writer.state.record("WP01").rejections = 1
        writer.mark("WP01")
        with trio.fail_after(PATIENCE):
            await begun(disk)
            await writer.saved()  # nothing is left to write
        nursery.cancel_scope.cancel()
    assert disk.count == 1
    assert writer.store.load() == writer.state


async def test_a_change_while_the_thread_writes_is_not_taken_for_stored(
    disk: Disk, writer: StateWriter
) -> None:
    writer.mark()
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.saved)
            await begun(disk)
            writer.state.record("WP01").rejections = 7
            writer.mark("WP01")
            disk.goes_on.set()
        await writer.saved()
    assert writer.store.load() == writer.state


async def test_a_disk_that_is_full_is_told_to_everybody_who_waits_and_the_next_write_holds_all(
    writer: StateWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    writer.state.record("WP01").rejections = 1
    writer.mark("WP01")
    for _ in range(2):
        with pytest.raises(StateNotWritten, match="No space left") as caught:
            await writer.saved()
    assert caught.value.exit_code is ExitCode.ATTENTION
    monkeypatch.undo()
    await writer.saved()
    assert writer.store.load() == writer.state


async def test_a_write_that_is_given_up_never_overtakes_the_last_word(
    disk: Disk, writer: StateWriter
) -> None:
    writer.mark()
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.saved)
            await begun(disk)
            nursery.cancel_scope.cancel()
        writer.state.reason = "the last word"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.save_at_last)
            await trio.testing.wait_all_tasks_blocked()
            assert disk.count == 1
            disk.goes_on.set()
    stored = writer.store.load()
    assert stored is not None
    assert stored.reason == "the last word"


async def test_a_disk_that_never_answers_holds_up_the_end_only_so_long(
    disk: Disk, writer: StateWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "SAVE_SECONDS", 0.2)
    with trio.fail_after(PATIENCE), pytest.raises(StateNotWritten, match="takes too long"):
        await writer.save_at_last()
    await begun(disk)
    assert disk.count == 1


async def test_the_last_word_is_said_though_everything_is_cancelled(disk: Disk, writer: StateWriter) -> None:
    disk.waits = False
    with trio.CancelScope() as scope:
        scope.cancel()
        await writer.save_at_last()
    assert writer.store.load() == writer.state


async def test_a_write_costs_what_changed_and_not_what_is_there(
    writer: StateWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(100):
        writer.state.record(f"WP{number:03}")
        writer.mark(f"WP{number:03}")
    await writer.saved()
    made: list[int] = []
    render = writer.store.render

    def counted(state: RunState, changed: set[str]) -> str:
        made.append(len(changed))
        return render(state, changed)

    monkeypatch.setattr(writer.store, "render", counted)
    for wp_id in ("WP007", "WP008", "WP007"):
        writer.mark(wp_id)
    await writer.saved()
    await writer.saved()
    assert made == [2]
