"""What needs a person is told to `on_attention`, each matter once; what becomes of that changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.sim.test_pause import HOUR, LOGGED_OUT, limited
from tests.sim.test_wait_for_people import moved
from tests.sim.world import Act, Stopped, World, reject

from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.report.events import Notice

NewWorld = Callable[..., World]
COMMAND = (("tell-me",),)


@pytest.fixture
def world(new_world: NewWorld) -> World:
    """WP02 needs WP01; WP03 needs nobody, and takes hours."""
    made = limited(new_world(WP01=[], WP02=["WP01"], WP03=[]), on_attention=COMMAND)
    made.with_agents(max_retries=0)
    made.acts["WP03", "implementation"] = [Act(seconds=3 * HOUR)]
    return made


def matters(world: World) -> list[tuple[str, str | None]]:
    return [(each["kind"], each.get("wp_id")) for said in world.told for each in said["matters"]]


def test_a_work_package_that_is_blocked_is_told_at_once_and_once(world: World) -> None:
    world.acts["WP01", "review"] = [reject("Use the other parser.")]
    assert world.orchestrate().exit_code is ExitCode.ATTENTION
    (said,) = world.told
    (matter,) = said["matters"]
    assert (said["schema_version"], said["event"]) == (1, "attention")
    assert (matter["kind"], matter["wp_id"]) == ("work_package", "WP01")
    assert matter["text"].startswith("WP01 blocked: sent back 1 times, most lately: Use the other parser.")
    assert said["work_packages"] == {"WP01": "blocked", "WP03": "in_progress"}
    assert said["repository"] == str(world.root)


def test_what_is_blocked_once_more_is_told_once_more(world: World) -> None:
    world.acts["WP01", "review"] = [reject("No."), reject("No.")]
    world.happens((HOUR, moved(world, "planned", holder=None)))
    world.orchestrate()
    assert matters(world) == [("work_package", "WP01")] * 2


def test_that_the_command_fails_is_a_warning(world: World) -> None:
    world.acts["WP01", "review"] = [reject("No.")]
    assert world.orchestrate().exit_code is ExitCode.ATTENTION
    warnings = [event.line for event in world.said(Notice)]
    assert warnings == ["WARNING: on_attention `tell-me`: exit status 7: (it printed nothing)"]


def test_a_run_without_trouble_tells_nothing(world: World) -> None:
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert world.told == []


def test_without_the_setting_nothing_is_run(world: World) -> None:
    world.acts["WP01", "review"] = [reject("No.")]
    limited(world, on_attention=()).orchestrate()
    assert world.told == []


def test_a_budget_that_is_spent_is_one_matter(world: World) -> None:
    world.weather = lambda _: Act(cost_usd=1.0)
    assert limited(world, max_cost_usd=1.0).orchestrate().exit_code is ExitCode.NO_AGENT
    assert matters(world) == [("budget", None)]


WAITS: Mapping[bool, list[str]] = {True: ["agents"], False: ["agents", "work_package"]}


@pytest.mark.parametrize("waits", [True, False])
def test_that_all_agents_need_a_person_is_told_once(new_world: NewWorld, waits: bool) -> None:
    """Also when they are asked again for hours; a run that does not wait ends soon after."""
    world = limited(new_world("WP01", "WP02"), on_attention=COMMAND, wait_for_people=waits)
    world.weather = lambda _: LOGGED_OUT
    if waits:
        with pytest.raises(Stopped):
            world.orchestrate(stop_after=5 * HOUR)
    else:
        assert world.orchestrate().exit_code is ExitCode.NO_AGENT
    kinds: list[Any] = [kind for kind, _ in matters(world)]
    assert kinds.count("agents") == 1
    assert sorted(set(kinds)) == WAITS[waits]
    assert "Not logged in" in world.told[0]["text"]


def test_a_run_that_waits_for_people_tells_what_for(world: World) -> None:
    world.acts["WP01", "review"] = [reject("No.")]
    limited(world, wait_for_people=True)
    with pytest.raises(Stopped):
        world.orchestrate(stop_after=9 * HOUR)
    assert matters(world) == [("work_package", "WP01"), ("people", None)]
    assert "WP02 planned: waits for WP01 (blocked)" in world.told[1]["text"]


def test_what_comes_while_something_is_told_is_told_together(new_world: NewWorld) -> None:
    names = [f"WP{number:02}" for number in range(1, 21)]
    world = limited(new_world(*names), on_attention=COMMAND).with_agents(max_retries=0)
    world.acts = {(name, "review"): [reject("No.")] for name in names}
    world.orchestrate()
    assert len(matters(world)) == 20
    assert len(world.told) < 12


def test_what_is_being_told_when_the_run_ends_is_still_told(single: World) -> None:
    limited(single, on_attention=COMMAND).with_agents(max_retries=0)
    single.acts["WP01", "review"] = [reject("No.")]
    single.host.seconds = 0.1  # less than it takes to tell
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    assert matters(single) == [("work_package", "WP01")]
