"""Places to be at work: never more than there are, and those that were lent come back in an order."""

from __future__ import annotations

import trio
import trio.testing

from spec_kitty_orchestrator.mission.slots import Slot, Slots


def holder(slots: Slots, wp_id: str) -> Slot:
    slot = Slot(slots)
    slot.take_now(wp_id)
    return slot


async def _taken_again(slots: Slots, lent: dict[str, Slot], by: Slot) -> list[str]:
    """The order in which those who have lent their places get the one back that is given up."""
    order: list[str] = []

    async def want(wp_id: str) -> None:
        await lent[wp_id].take()
        order.append(wp_id)
        await trio.sleep(1)
        lent[wp_id].give_back()

    async with trio.open_nursery() as nursery:
        for wp_id in lent:
            nursery.start_soon(want, wp_id)
            await trio.testing.wait_all_tasks_blocked()
        by.give_back()
    return order


async def lent_out(slots: Slots, *wp_ids: str) -> tuple[dict[str, Slot], Slot]:
    lent = {}
    for wp_id in wp_ids:
        lent[wp_id] = holder(slots, wp_id)
        lent[wp_id].give_back()
    return lent, holder(slots, "WP09")


async def test_who_waits_for_a_place_gets_it_in_the_order_that_is_asked_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    slots = Slots(1)
    slots.first_of = max
    lent, by = await lent_out(slots, "WP01", "WP03", "WP02")
    assert await _taken_again(slots, lent, by) == ["WP03", "WP02", "WP01"]
    assert slots.are_idle


async def test_else_in_the_order_in_which_they_came(autojump_clock: trio.testing.MockClock) -> None:
    slots = Slots(1)
    lent, by = await lent_out(slots, "WP02", "WP03", "WP01")
    assert await _taken_again(slots, lent, by) == ["WP02", "WP03", "WP01"]


async def test_a_place_that_somebody_waits_for_is_never_free(autojump_clock: trio.testing.MockClock) -> None:
    slots, free = Slots(1), []
    slots.freed = lambda: free.append(slots.are_free)
    lent, by = await lent_out(slots, "WP01")
    free.clear()
    await _taken_again(slots, lent, by)
    assert free == [False, True]


async def test_who_gives_up_waiting_leaves_the_place_to_the_next(
    autojump_clock: trio.testing.MockClock,
) -> None:
    slots = Slots(1)
    lent, by = await lent_out(slots, "WP01", "WP02")
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(1):
            await lent["WP01"].take()
        assert not lent["WP01"].held
        nursery.start_soon(lent["WP02"].take)
        await trio.testing.wait_all_tasks_blocked()
        by.give_back()
    assert lent["WP02"].held
    lent["WP02"].give_back()
    assert slots.are_idle


async def test_a_place_given_to_one_that_is_stopped_at_that_moment_is_not_lost() -> None:
    slots, ended = Slots(1), trio.CancelScope()
    lent, by = await lent_out(slots, "WP01")

    async def live() -> None:
        try:
            with ended:
                await lent["WP01"].take()
                await trio.sleep_forever()
        finally:
            lent["WP01"].give_back()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(live)
        await trio.testing.wait_all_tasks_blocked()
        by.give_back()
        ended.cancel()
    assert slots.are_idle


async def test_giving_back_twice_gives_back_once() -> None:
    slots = Slots(2)
    one, _ = holder(slots, "WP01"), holder(slots, "WP02")
    one.give_back()
    one.give_back()
    assert slots.are_free
    assert not slots.are_idle


async def test_a_place_given_in_the_moment_of_a_cancellation_is_not_lost() -> None:
    (slots := Slots(1)).take_now()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(slots.take, "WP02")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        slots.give_back()
    assert slots.are_idle
