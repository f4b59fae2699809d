"""The first claim of a run goes alone; what is shown here is who waits for whom."""

from __future__ import annotations

import trio
import trio.testing

from spec_kitty_orchestrator.mission.slots import FirstClaim


async def _claims(outcomes: list[bool]) -> list[tuple[float, float]]:
    """When each claim began and ended; one takes a second, and `False` makes it fail."""
    gate, spans = FirstClaim(), []

    async def claim(works: bool) -> None:
        try:
            async with gate.alone():
                began = trio.current_time()
                await trio.sleep(1)
                spans.append((began - start, trio.current_time() - start))
                if not works:
                    raise ValueError
        except ValueError:
            pass

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for works in outcomes:
            nursery.start_soon(claim, works)
    return sorted(spans)


async def test_all_wait_for_the_first_and_then_go_side_by_side(
    autojump_clock: trio.testing.MockClock,
) -> None:
    assert await _claims([True] * 4) == [(0, 1), (1, 2), (1, 2), (1, 2)]


async def test_while_none_has_succeeded_they_go_one_by_one(autojump_clock: trio.testing.MockClock) -> None:
    assert await _claims([False] * 3) == [(0, 1), (1, 2), (2, 3)]
