"""A run's clock passes as the world's does, unless this process was not there to see it."""

from __future__ import annotations

import pytest

from spec_kitty_orchestrator.run import clock
from spec_kitty_orchestrator.run.clock import LONGEST_SLEEP, LONGEST_STEP, SteadyClock


class World:
    """The world's time, which a test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(clock, "time", world)
    return world


def test_time_that_is_watched_passes_in_full(world: World) -> None:
    steady = SteadyClock()
    steady.start_clock()
    for _ in range(400):
        world.now += LONGEST_SLEEP
        steady.current_time()
    assert steady.current_time() == 400 * LONGEST_SLEEP


def test_a_suspension_counts_as_one_step_however_long_it_was(world: World) -> None:
    steady = SteadyClock()
    world.now += 0.1
    before = steady.current_time()
    world.now += 36000.0
    assert steady.current_time() - before == LONGEST_STEP
    world.now += 0.1
    assert steady.current_time() - before == pytest.approx(LONGEST_STEP + 0.1)


def test_the_event_loop_never_sleeps_past_a_look_at_the_clock(world: World) -> None:
    steady = SteadyClock()
    assert steady.deadline_to_sleep_time(steady.current_time() + 3600) == LONGEST_SLEEP
    assert steady.deadline_to_sleep_time(steady.current_time() + 0.01) == pytest.approx(0.01)
    assert steady.deadline_to_sleep_time(float("inf")) == LONGEST_SLEEP


def test_what_comes_before_the_event_loop_starts_does_not_count(world: World) -> None:
    steady = SteadyClock()
    world.now += 0.2
    steady.start_clock()
    assert steady.current_time() == 0.0
