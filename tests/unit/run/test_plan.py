"""The plan's waves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spec_kitty_orchestrator.host.contract.lanes import Lane
from spec_kitty_orchestrator.host.contract.payloads import LaneCounts, MissionState, WorkPackageState
from spec_kitty_orchestrator.run.plan import waves


def mission(dependencies: dict[str, list[str]]) -> MissionState:
    wps = tuple(WorkPackageState(wp_id, Lane.PLANNED, tuple(deps)) for wp_id, deps in dependencies.items())
    return MissionState("m", None, "software-dev", LaneCounts(*[0] * 9), wps)


def names(dependencies: dict[str, list[str]]) -> list[list[str]]:
    return [[wp.wp_id for wp in wave] for wave in waves(mission(dependencies))]


def test_a_diamond_has_three_waves() -> None:
    diamond: dict[str, list[str]] = {"A": [], "B": ["A"], "C": ["A"], "D": ["B", "C"]}
    assert names(diamond) == [["A"], ["B", "C"], ["D"]]


def test_a_cycle_comes_last_and_together() -> None:
    assert names({"A": [], "B": ["C"], "C": ["B"], "D": ["A"]}) == [["A"], ["D"], ["B", "C"]]


def test_a_dependency_that_is_not_there_holds_nothing_up() -> None:
    assert names({"A": ["gone"]}) == [["A"]]


@given(st.lists(st.lists(st.integers(0, 30), max_size=4), max_size=30))
def test_every_work_package_is_in_one_wave_and_after_what_it_depends_on(links: list[list[int]]) -> None:
    plan = {f"WP{n}": [f"WP{d}" for d in deps if d < n] for n, deps in enumerate(links)}
    order = {wp_id: number for number, wave in enumerate(names(plan)) for wp_id in wave}
    assert set(order) == set(plan)
    for wp_id, deps in plan.items():
        assert all(order[dep] < order[wp_id] for dep in deps)
