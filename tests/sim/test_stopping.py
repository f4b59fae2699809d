"""A run that is stopped at any moment can be gone on with, and nothing is spent or counted twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conformance.fake.in_process import Fault
from tests.sim.world import Act, Stopped, World, make_world, reject

from spec_kitty_orchestrator.errors import ExitCode

NewWorld = Callable[..., World]


def a_mission(root: Path) -> World:
    world = make_world(root, {"WP01": [], "WP02": ["WP01"], "WP03": []})
    world.acts["WP01", "review"] = [reject("mend it")]
    world.acts["WP03", "implementation"] = [Act(commit=False)]
    return world


def length(root: Path) -> float:
    world = a_mission(root)
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    return max(made.started for made in world.attempts) + 60.0


@pytest.mark.parametrize("moment", range(0, 420, 7))
def test_stopped_at_any_moment_it_goes_on_to_accepted(tmp_path: Path, moment: int) -> None:
    world = a_mission(tmp_path)
    try:
        end = world.orchestrate(stop_after=moment + 0.5)
    except Stopped:
        assert world.at_work == 0
        end = world.orchestrate()
    assert end.exit_code is ExitCode.ACCEPTED
    assert set(world.lanes().values()) == {"done"}
    approvals = [argv for argv in world.host.log if argv[1] == "transition" and "done" in argv]
    assert len(approvals) == 3


def test_an_interrupted_attempt_spends_nothing(single: World) -> None:
    for _ in range(5):
        with pytest.raises(Stopped):
            single.orchestrate(stop_after=30.0)
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.state is not None
    outcomes = [attempt.outcome for attempt in single.state.record("WP01").attempts]
    assert outcomes == ["interrupted"] * 5 + ["succeeded"] * 2


def test_a_rejection_that_the_host_never_heard_of_is_not_counted(single: World) -> None:
    """The host broke between the verdict and the move: the verdict is told to it later, and counts once."""
    single.acts["WP01", "review"] = [reject("one"), reject("two"), Act()]
    single.host.faults["transition"] = [None] + [Fault.CRASH_BEFORE] * 1000
    assert single.orchestrate().exit_code is ExitCode.HOST
    assert single.state is not None
    assert single.state.record("WP01").rejections == 0
    single.host.faults.clear()
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.state.record("WP01").rejections == 2


def test_the_moments_above_cover_the_whole_run(tmp_path: Path) -> None:
    assert 300 < length(tmp_path) < 420


def test_a_change_in_flight_is_finished_before_the_run_ends(single: World) -> None:
    """Stopped one second into the claim: the host finished it, and the run state knows that we hold it."""
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=1.0)
    assert single.lanes() == {"WP01": "in_progress"}
    assert single.state is not None
    assert single.state.record("WP01").holds_claim
    assert not single.attempts


def test_a_run_that_goes_on_asks_those_again_who_had_used_up_their_account(single: World) -> None:
    single.with_agents(implementation=("codex",), review=("codex",))
    single.agent_acts["codex"] = [Act(fails="http429-quota")] * 2
    assert single.orchestrate().exit_code is ExitCode.NO_AGENT
    assert single.lanes() == {"WP01": "in_progress"}
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.asked("WP01", "implementation") == ["codex"] * 3
