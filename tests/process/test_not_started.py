"""What is ordered to stop before it was started is not started any more: an agent's first request is paid."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from attrs import evolve

from spec_kitty_orchestrator.processes import keeper


async def test_a_command_that_is_cancelled_while_its_keeper_starts_is_never_run(
    arena: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_process, flag = trio.lowlevel.open_process, arena.folder / "was run"

    async def open_and_cancel(*args: Any, **options: Any) -> trio.Process:
        process = await open_process(*args, **options)
        scope.cancel()
        return process

    monkeypatch.setattr(keeper.trio.lowlevel, "open_process", open_and_cancel)
    command = evolve(arena.launch("obey").command, argv=("touch", str(flag)), stdin=None)
    for _ in range(5):
        with trio.CancelScope() as scope:
            async with keeper.open_keeper(command):
                pytest.fail("it goes on")
        assert not flag.exists()
        assert arena.left() == []
