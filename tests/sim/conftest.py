"""The simulated worlds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest
from tests.sim.world import World, make_world, run_at_once

DIAMOND = {"WP01": [], "WP02": ["WP01"], "WP03": ["WP01"], "WP04": ["WP02", "WP03"]}


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many host calls may be in flight at once on every machine."""
    monkeypatch.setattr("os.cpu_count", lambda: 4)


@pytest.fixture(autouse=True)
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a thread does is done at once: the clock jumps ahead while everybody waits for one."""
    monkeypatch.setattr("trio.to_thread.run_sync", run_at_once)


@pytest.fixture
def new_world(tmp_path: Path) -> Callable[..., World]:
    """Makes a world of work packages, given as names or as id → dependencies; `lanes`: which share one."""

    def make(
        *names: str,
        lanes: Mapping[str, str] = MappingProxyType({}),
        topology: str = "lanes",
        **dependencies: Sequence[str],
    ) -> World:
        planned = {**{name: [] for name in names}, **dependencies}
        return make_world(tmp_path, planned, lanes=lanes, topology=topology)

    return make


@pytest.fixture
def single(new_world: Callable[..., World]) -> World:
    """One work package."""
    return new_world("WP01")


@pytest.fixture
def diamond(new_world: Callable[..., World]) -> World:
    """Four, of which two can go side by side."""
    return new_world(**DIAMOND)
