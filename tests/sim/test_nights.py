"""Whole nights, drawn at random: whatever goes wrong costs time, and never a work package.

By hand, with as many as one likes: `NIGHTS=20000 pytest tests/sim/test_nights.py`.
"""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tests.sim.night_world import NightWorld
from tests.sim.nights import Night, nights

NIGHTS = int(os.environ.get("NIGHTS", "0"))


def play(night: Night) -> NightWorld:
    """One night, and the morning after."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)  # nothing here is about the disk
        world = NightWorld.of(night, Path(folder))
        patch.setattr("trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING", True)
        patch.setattr("trio._core._run._r", random.Random(night.order))
        patch.setattr("spec_kitty_orchestrator.mission.workbench.move_away", world.move_away)
        for stop in night.stops:
            world.run(stop.after, killed=stop.killed)
        world.run()
        world.finish()
    return world


@settings(
    max_examples=NIGHTS or 50,
    derandomize=not NIGHTS,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[*HealthCheck],
    phases=[Phase.generate, Phase.shrink],
)
@given(night=nights())
def test_whatever_happens_in_a_night_costs_no_work_package(night: Night) -> None:
    play(night)
