"""Measures how long missions take in simulated time, beside the shortest that any order could reach.

    python benchmarks/order.py

The missions are random: 5 to 40 work packages, each waiting for some of those before it, agents that take
minutes to an hour, 1 to 8 of them at a time; calls at the host take no time. No order, not even one that knew
beforehand how long everything takes, is shorter than the longest chain of dependencies, nor than all work
divided by the slots. Ours knows how many wait for each, and no times; the host's order is that of the ids.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1]))

from attrs import evolve, frozen
from benchmarks.table import show
from tests.sim.world import Act, make_world, run_at_once

from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.mission import admission

MISSIONS = 200
MINUTE = 60.0


@frozen
class Plan:
    """A mission, the seconds that implementing and reviewing each work package takes, and the slots."""

    dependencies: Mapping[str, tuple[str, ...]]
    seconds: Mapping[str, tuple[float, float]]
    slots: int

    @property
    def bound(self) -> float:
        """No order of it takes less."""
        ends: dict[str, float] = {}
        for wp_id, after in self.dependencies.items():
            ends[wp_id] = max((ends[each] for each in after), default=0.0) + sum(self.seconds[wp_id])
        return max(max(ends.values()), sum(map(sum, self.seconds.values())) / self.slots)


def make_plan(chance: random.Random) -> Plan:
    ids = [f"WP{number:02}" for number in range(1, chance.randint(5, 40) + 1)]
    dependencies: dict[str, tuple[str, ...]] = {}
    for number, wp_id in enumerate(ids):
        after = chance.sample(ids[:number], min(number, chance.choice((0, 1, 1, 1, 2, 3))))
        dependencies[wp_id] = tuple(sorted(after))
    seconds = {
        wp_id: (chance.uniform(2, 60) * MINUTE, chance.uniform(1, 15) * MINUTE) for wp_id in dependencies
    }
    return Plan(dependencies, seconds, chance.randint(1, 8))


def seconds_of(plan: Plan) -> float:
    """What the mission takes, by the simulated clock."""
    with tempfile.TemporaryDirectory() as folder:
        world = make_world(Path(folder), plan.dependencies, seconds=0.0)
        world.settings = evolve(world.settings, max_concurrent_wps=plan.slots, refresh_seconds=1e6)
        for wp_id, (work, review) in plan.seconds.items():
            world.acts[wp_id, "implementation"] = [Act(seconds=work)]
            world.acts[wp_id, "review"] = [Act(seconds=review)]
        assert world.orchestrate(stop_after=1e6).exit_code is ExitCode.ACCEPTED
        return world.wall


def without_chains(wanted: Collection[str], _: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """Stands for `chain_lengths`: all alike, which leaves the host's order."""
    return dict.fromkeys(wanted, 0)


def main() -> None:
    plans = [make_plan(random.Random(number)) for number in range(MISSIONS)]
    orders = {"longest chain first": admission.chain_lengths, "in the host's order": without_chains}
    for what, order in orders.items():
        with (
            patch("trio.to_thread.run_sync", run_at_once),
            patch("os.fsync", lambda _: None),  # a disk has no part in simulated time
            patch.object(admission, "chain_lengths", order),
        ):
            ratios = [seconds_of(plan) / plan.bound for plan in plans]
        mean, worst = statistics.fmean(ratios), max(ratios)
        show(f"{MISSIONS} missions {what}, time to lower bound, worst {worst:.2f}", f"{mean:.3f}", "")


if __name__ == "__main__":
    main()
