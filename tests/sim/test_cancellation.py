"""A mission that is cancelled at any of its steps leaks nothing, and can be gone on with."""

from __future__ import annotations

import os
from pathlib import Path

import trio
from attrs import define
from tests.sim.world import Act, World, make_world, reject
from trio.testing import MockClock

from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.mission.context import RunContext

EVERY = 2
"""Only each such step of the run: two neighbours are often the same wait of two tasks."""


@define(eq=False)
class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope just before the nth step of any task in it; counts the steps."""

    step: int
    scope: trio.CancelScope
    taken: int = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.taken += 1
        if self.taken == self.step:
            self.scope.cancel()


def a_mission(root: Path) -> World:
    world = make_world(root, {"WP01": [], "WP02": ["WP01"], "WP03": []})
    world.acts["WP01", "review"] = [reject("mend it"), Act(verdict=None)]
    world.acts["WP03", "implementation"] = [Act(commit=False)]
    return world


def cancelled_at(world: World, step: int) -> tuple[int, RunContext]:
    """The mission's steps in all, and the run with what its work packages shared."""

    async def main() -> tuple[int, RunContext]:
        mission = await world.open_mission()
        scope = trio.CancelScope()
        instrument = CancelAtStep(step, scope)
        trio.lowlevel.add_instrument(instrument)
        try:
            with scope:
                await mission.orchestrate()
        finally:
            trio.lowlevel.remove_instrument(instrument)
        return instrument.taken, mission.run

    return trio.run(main, clock=MockClock(autojump_threshold=0))


def leaks(world: World, run: RunContext, files: int) -> list[str]:
    checks = {
        "an agent is at work": world.at_work == 0,
        "a host call is in flight": world.host.in_flight == 0,
        "a slot is taken": run.slots.are_idle,
        "a file is open": len(os.listdir("/dev/fd")) == files,
    }
    return [what for what, holds in checks.items() if not holds]


def gone_on_with(world: World) -> list[str]:
    """What is wrong when the mission is run again."""
    end = world.orchestrate()
    approvals = [argv for argv in world.host.log if argv[1] == "transition" and "done" in argv]
    checks = {
        f"it ended with {end}": end.exit_code is ExitCode.ACCEPTED,
        f"approved {len(approvals)} times": len(approvals) == 3,
    }
    return [what for what, holds in checks.items() if not holds]


def test_cancelled_at_any_step_it_leaks_nothing_and_goes_on_to_accepted(tmp_path: Path) -> None:
    files = len(os.listdir("/dev/fd"))
    steps, _ = cancelled_at(a_mission(tmp_path / "undisturbed"), -1)
    assert steps > 100
    wrong: dict[int, list[str]] = {}
    for step in range(1, steps, EVERY):
        world = a_mission(tmp_path / str(step))
        _, run = cancelled_at(world, step)
        found = leaks(world, run, files) or gone_on_with(world)
        if found:
            wrong[step] = found
    assert wrong == {}
