"""The plan's waves, and what it says of a budget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spec_kitty_orchestrator.agents import get_agent
from spec_kitty_orchestrator.agents.agent import Agent
from spec_kitty_orchestrator.host.contract.lanes import Lane
from spec_kitty_orchestrator.host.contract.payloads import LaneCounts, MissionState, WorkPackageState
from spec_kitty_orchestrator.run.plan import budget_lines, waves
from spec_kitty_orchestrator.settings.values import Settings


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


def told(*agents: str, **limits: float) -> list[str]:
    named = {agent_id: Agent(get_agent(agent_id), None) for agent_id in agents}
    return [*budget_lines(Settings(**limits), named)]  # type: ignore[arg-type]


def test_who_tells_no_cost_is_named_where_cost_is_limited() -> None:
    assert told("claude-code", "pi", max_cost_usd=7.5, max_runtime_seconds=3600) == [
        "Budget: 7.50 USD for the run, over all its starts; 3600 s for each start of it; agents at work "
        "finish when it is spent"
    ]
    _, line = told("codex", "claude-code", "gemini", max_cost_usd=7.5)
    assert line == "  max_cost_usd: no cost is told by codex, gemini: what they spend does not count"
    _, line = told("codex", "gemini", max_cost_usd=7.5)
    assert line == "  WARNING: no chosen agent tells what it costs: max_cost_usd will end nothing"


def test_without_a_limit_nothing_is_said_of_it() -> None:
    assert told("codex") == []
    assert len(told("codex", max_runtime_seconds=60)) == 1


@given(st.lists(st.lists(st.integers(0, 30), max_size=4), max_size=30))
def test_every_work_package_is_in_one_wave_and_after_what_it_depends_on(links: list[list[int]]) -> None:
    plan = {f"WP{n}": [f"WP{d}" for d in deps if d < n] for n, deps in enumerate(links)}
    order = {wp_id: number for number, wave in enumerate(names(plan)) for wp_id in wave}
    assert set(order) == set(plan)
    for wp_id, deps in plan.items():
        assert all(order[dep] < order[wp_id] for dep in deps)
