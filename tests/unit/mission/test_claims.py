"""Who of those that make claims waits for whom: for the first, and for those that may be into its lane."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from spec_kitty_orchestrator.mission.claims import Claims


async def _claims(outcomes: list[bool]) -> list[tuple[float, float]]:
    """When each claim began and ended; one takes a second, and `False` makes it fail."""
    claims, spans = Claims(), []

    async def claim(works: bool) -> None:
        try:
            async with claims.alone():
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


KIN = {"WP01", "WP02", "WP03"}


@pytest.mark.parametrize(
    ("out", "waits"),
    [
        ({}, 0),
        ({"WP02": 3}, 3),
        ({"WP02": 3, "WP03": 5}, 5),
        ({"WP09": 7}, 0),
        ({"WP02": 3, "WP09": 7}, 3),
    ],
)
async def test_who_has_a_workspace_waits_for_all_claims_that_may_be_into_it(
    out: dict[str, float], waits: float, autojump_clock: trio.testing.MockClock
) -> None:
    claims = Claims()
    claims.kin = lambda wp_id: KIN if wp_id in KIN else {wp_id}

    async def claim(wp_id: str, seconds: float) -> None:
        with claims.into_unknown_lane(wp_id):
            await trio.sleep(seconds)

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for each in out.items():
            nursery.start_soon(claim, *each)
        await trio.testing.wait_all_tasks_blocked()
        assert await claims.first_in_lane("WP01", "lane-a") == "WP01"
        assert trio.current_time() - start == waits


async def test_a_claim_that_failed_is_waited_for_no_more() -> None:
    claims = Claims()
    claims.kin = lambda _: KIN
    with pytest.raises(ValueError, match="refused"), claims.into_unknown_lane("WP02"):
        raise ValueError("refused")
    with trio.fail_after(1):
        await claims.have_landed("WP01")


async def test_those_that_met_in_a_lane_agree_on_who_goes_first(
    autojump_clock: trio.testing.MockClock,
) -> None:
    claims, first = Claims(), {}
    claims.kin, claims.first_of = lambda _: KIN, lambda met: met[-1]

    async def enter(wp_id: str, branch: str, seconds: float) -> None:
        with claims.into_unknown_lane(wp_id):
            await trio.sleep(seconds)
        first[wp_id] = await claims.first_in_lane(wp_id, branch)

    async with trio.open_nursery() as nursery:
        for entry in (("WP03", "lane-b", 1), ("WP01", "lane-a", 2), ("WP02", "lane-a", 3)):
            nursery.start_soon(enter, *entry)
    assert first["WP03"] == "WP03"
    assert first["WP02"] == "WP02"
    assert first["WP01"] in ("WP01", "WP02")  # alone there, if the other one was faster to ask
