"""Claims into lanes that nobody knows yet: made side by side, and nobody is at work where one may land."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest
import trio
from conformance.fake.checks import about
from conformance.fake.command_line import Said, reply
from conformance.fake.in_process import InProcessHost
from conformance.fake.rules import Refused
from tests.sim.world import Act, World, reject

from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.host.errors import Completed
from spec_kitty_orchestrator.report.events import WpPutOff

NewWorld = Callable[..., World]
SHARED = {"WP02": "lane-b", "WP03": "lane-b"}


def claims(world: World) -> list[str]:
    """Whose claims the host was asked for, in order."""
    asked = [argv for argv in world.host.log if argv[1] == "start-implementation"]
    return [argv[argv.index("--wp") + 1] for argv in asked]


class UnevenHost(InProcessHost):
    """Makes the claim of one work package ten times as slowly as all others.

    Attributes:
        is_slow: which one.
        meets: what a claim meets, by its work package, other than success.
        at_work: how many agents were, at each claim.
    """

    def __init__(self, world: World, is_slow: str) -> None:
        super().__init__(world.fake, seconds=2.0)
        self.world, self.is_slow = world, is_slow
        self.meets: Callable[[str], Said | None] = lambda _: None
        self.at_work: list[int] = []
        self.respond, self.ask = self.claim, self.respond

    async def __call__(self, argv: Sequence[str], mutating: bool) -> Completed:
        if argv[1] == "start-implementation" and self.is_slow in argv:
            await trio.sleep(20.0)
        return await super().__call__(argv, mutating)

    def claim(self, argv: Sequence[str]) -> Said:
        if argv[1] != "start-implementation":
            return self.ask(argv)
        self.at_work.append(self.world.at_work)
        return self.meets(argv[argv.index("--wp") + 1]) or self.ask(argv)


def turns_of(world: World) -> list[str]:
    """Who was at work, one after the other."""
    return [wp_id for wp_id, _ in itertools.groupby(made.wp_id for made in world.attempts)]


@pytest.mark.parametrize("slow", ["WP02", "WP03"])
def test_of_two_that_can_start_at_one_time_nobody_begins_before_both_claims_are_made(
    new_world: NewWorld, slow: str
) -> None:
    """Whichever is the faster one: only then is it known that it is one lane, and the second one waits."""
    world = new_world(WP01=[], WP02=["WP01"], WP03=["WP01"], lanes=SHARED)
    world.acts["WP02", "review"] = [reject("mend it")]
    world.host = host = UnevenHost(world, slow)
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    fast = {"WP02": "WP03", "WP03": "WP02"}[slow]
    assert claims(world) == ["WP01", fast, slow, "WP03"]  # made anew, on top of what the first one did
    assert host.at_work == [0] * 4
    assert turns_of(world) == ["WP01", "WP02", "WP03"]


@pytest.mark.parametrize("slow", ["WP02", "WP03"])
def test_of_two_that_met_in_a_lane_the_longer_chain_goes_first(new_world: NewWorld, slow: str) -> None:
    world = new_world(WP01=[], WP02=["WP01"], WP03=["WP01"], WP04=["WP03"], lanes=SHARED)
    world.host = UnevenHost(world, slow)
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert [wp_id for wp_id in dict.fromkeys(turns_of(world)) if wp_id in SHARED] == ["WP03", "WP02"]


@pytest.mark.parametrize("slow", ["WP02", "WP03"])
def test_a_claim_that_met_another_one_in_its_lane_waits_for_its_turn(new_world: NewWorld, slow: str) -> None:
    """The host refuses one of two that make a lane's workspace at once; that is no trouble to tell of."""
    world = new_world(WP01=[], WP02=["WP01"], WP03=["WP01"], lanes=SHARED)
    data = {**about(world.fake.missions[world.fake.slug]), "wp_id": "WP02", "reason": "already exists"}
    refusals = [Refused("LANE_ALLOCATION_FAILED", "a branch named ... already exists", **data)]

    def meets(wp_id: str) -> Said | None:
        if wp_id in ("WP01", slow) or not refusals:
            return None
        refused = refusals.pop()
        return reply("start-implementation", refused.data, [], refused)

    world.host = host = UnevenHost(world, slow)
    host.meets = meets
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert not refusals
    assert host.at_work == [0] * 4
    assert world.said(WpPutOff) == []
    assert turns_of(world)[:2] == ["WP01", slow]


def test_while_one_is_at_work_the_lane_of_another_is_asked_for_and_its_claim_waits(
    new_world: NewWorld,
) -> None:
    planned = {"WP01": [], "WP02": ["WP01"], "WP03": ["WP01", "WP04"], "WP04": []}
    world = new_world(**planned, lanes=SHARED)
    world.acts["WP04", "implementation"] = [Act(seconds=400)]  # WP03 can start while WP02 is at work
    world.acts["WP02", "implementation"] = [Act(seconds=1000)]
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert world.host.commands().count("resolve-workspace") == 2  # of WP02, beside WP04, and of WP03
    assert sorted(claims(world)[:2]) == ["WP01", "WP04"]
    assert claims(world)[2:] == ["WP02", "WP03"]
    assert turns_of(world)[-2:] == ["WP02", "WP03"]
