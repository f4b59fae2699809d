"""Who goes first when slots are few: what is under way, then the longest chain of dependents."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve
from tests.sim.world import Act, World

from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.settings.values import Flags

NewWorld = Callable[..., World]
CHAIN = {"WP01": [], "WP02": [], "WP03": [], "WP04": ["WP03"], "WP05": ["WP04"], "WP06": ["WP05"]}
"""The host's order is not the one that is best: two that nobody waits for come first."""
WORK, REVIEW = 100.0, 20.0


@pytest.fixture
def ready(new_world: NewWorld) -> Callable[..., World]:
    """A mission with so many slots, in which all take equally long and the host no time."""

    def make(slots: int, **dependencies: list[str]) -> World:
        world = new_world(**dependencies)
        world.settings = evolve(world.settings, max_concurrent_wps=slots)
        world.host.seconds = 0.0
        for wp_id in dependencies:
            world.acts[wp_id, "implementation"] = [Act(seconds=WORK)]
            world.acts[wp_id, "review"] = [Act(seconds=REVIEW)]
        return world

    return make


def begun(world: World) -> dict[str, float]:
    """When each was first worked on, in order."""
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    return {made.wp_id: made.started for made in reversed(world.attempts)}


def in_order(world: World) -> list[str]:
    found = begun(world)
    return sorted(found, key=lambda wp_id: found[wp_id])


def test_with_one_slot_the_long_chain_goes_first(ready: Callable[..., World]) -> None:
    assert in_order(ready(1, **CHAIN)) == ["WP03", "WP04", "WP05", "WP01", "WP02", "WP06"]


def test_with_two_slots_the_others_go_beside_it_and_the_mission_takes_as_long_as_the_chain(
    ready: Callable[..., World],
) -> None:
    world = ready(2, **CHAIN)
    found = begun(world)
    one = WORK + REVIEW
    assert found == {"WP03": 0, "WP01": 0, "WP04": one, "WP02": one, "WP05": 2 * one, "WP06": 3 * one}
    assert world.wall == 4 * one  # in the host's order: 5


def test_among_equals_the_hosts_order_holds(ready: Callable[..., World]) -> None:
    assert in_order(ready(1, WP01=[], WP02=[], WP03=[])) == ["WP01", "WP02", "WP03"]


def test_what_is_done_makes_no_chain_longer(ready: Callable[..., World]) -> None:
    world = ready(1, WP01=[], WP02=["WP01"], WP03=["WP02"], WP04=[], WP05=["WP04"])
    for wp_id in ("WP02", "WP03"):
        world.fake.wps[wp_id]["lane"] = "done"
    assert in_order(world) == ["WP04", "WP01", "WP05"]


def test_what_nobody_asks_for_makes_no_chain_longer(ready: Callable[..., World]) -> None:
    world = ready(1, WP01=[], WP02=["WP01"], WP03=["WP02"], WP04=[], WP05=["WP04"])
    world.flags = Flags(only=("WP01", "WP04", "WP05"))
    world.orchestrate()
    assert [made.wp_id for made in world.attempts][::2] == ["WP04", "WP01", "WP05"]


def test_what_is_under_way_goes_before_a_longer_chain(ready: Callable[..., World]) -> None:
    world = ready(1, **CHAIN)
    world.stand("WP02", "in_progress")
    world.remember("WP02")
    assert in_order(world)[:2] == ["WP02", "WP03"]


def test_whoever_waits_for_a_slot_again_gets_it_by_the_same_order(ready: Callable[..., World]) -> None:
    """Both lend theirs for a retry, the one with nobody behind it first, and others are at work meanwhile."""
    world = ready(2, WP01=[], WP02=[], WP03=["WP02"], WP04=[], WP05=[])
    world.acts["WP01", "implementation"] = [Act(seconds=10.0, returncode=1), Act(seconds=WORK)]
    world.acts["WP02", "implementation"] = [Act(seconds=11.0, returncode=1), Act(seconds=WORK)]
    for wp_id in ("WP04", "WP05"):
        world.acts[wp_id, "implementation"] = [Act(seconds=3000.0)]
        world.acts[wp_id, "review"] = [Act(seconds=REVIEW)]
    world.orchestrate()
    again = {wp_id: started_again(world, wp_id) for wp_id in ("WP01", "WP02")}
    assert again["WP02"] < again["WP01"]


def started_again(world: World, wp_id: str) -> float:
    return [made.started for made in world.attempts if made.wp_id == wp_id][1]


def test_those_that_wait_for_each_other_keep_nobody_else_from_going_on(
    ready: Callable[..., World],
) -> None:
    world = ready(1, WP01=["WP02"], WP02=["WP01"], WP03=[], WP04=["WP03"])
    end = world.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert world.lanes() == {"WP01": "planned", "WP02": "planned", "WP03": "done", "WP04": "done"}
