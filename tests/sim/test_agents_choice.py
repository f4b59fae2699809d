"""Which agent takes what, once some have failed or rested: the choice as a whole run makes it."""

from __future__ import annotations

from collections.abc import Callable

from tests.sim.world import Act, World, reject

from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.report.run_events import AgentParked

NewWorld = Callable[..., World]
TWO = ("claude-code", "codex")
LIMITED = Act(seconds=1, fails="stream-json-429")


def test_who_stood_in_for_the_first_implementer_does_not_review_its_own_work(single: World) -> None:
    single.with_agents(implementation=TWO, review=("codex", "claude-code"))
    single.agent_acts["claude-code"] = [Act(returncode=1)] * 3
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.asked("WP01", "implementation") == ["claude-code"] * 3 + ["codex"]
    assert single.asked("WP01", "review") == ["claude-code"]


def test_work_that_an_unknown_agent_handed_over_goes_to_its_likely_implementer_last(single: World) -> None:
    """No record says who did it; most likely the first implementer of the settings."""
    single.with_agents(implementation=("claude-code",), review=("claude-code", "codex"))
    single.stand("WP01", "for_review", "someone")
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.asked("WP01", "review") == ["codex"]


def test_in_single_agent_mode_no_other_implementer_stands_in(single: World) -> None:
    single.with_agents(implementation=TWO, single_agent_mode=True)
    single.agent_acts["claude-code"] = [Act(returncode=1)] * 9
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    assert single.lanes() == {"WP01": "blocked"}
    assert single.asked("WP01", "implementation") == ["claude-code"] * 3


def test_an_implementer_that_got_through_rests_as_short_at_its_next_limit_as_at_its_first(
    single: World,
) -> None:
    single.with_agents(review=("codex",))
    single.agent_acts["claude-code"] = [LIMITED, LIMITED, Act(), LIMITED]
    single.acts["WP01", "review"] = [reject("mend a.py:3")]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    rests = [event.seconds for event in single.said(AgentParked)]  # type: ignore[attr-defined]
    assert rests == [30.0, 60.0, 30.0]


def test_a_reviewer_that_got_through_rests_as_short_at_its_next_limit_as_at_its_first(
    new_world: NewWorld,
) -> None:
    world = new_world(WP01=[], WP02=["WP01"]).with_agents(review=("codex",))
    limited = Act(seconds=1, fails="http429")
    world.agent_acts["codex"] = [limited, limited, Act(), limited]
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    rests = [event.seconds for event in world.said(AgentParked)]  # type: ignore[attr-defined]
    assert rests == [30.0, 60.0, 30.0]


def test_a_reviewer_is_waited_for_however_long_it_was_at_it_before_its_limit(single: World) -> None:
    single.with_agents(review=("codex", "claude-code"))
    single.agent_acts["codex"] = [Act(seconds=3000, fails="http429"), Act(seconds=3000, fails="http429")]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.asked("WP01", "review") == ["codex"] * 3


def test_no_reviewer_is_waited_for_longer_than_the_settings_say_however_often_it_is_asked(
    single: World,
) -> None:
    single.with_agents(review=("codex", "claude-code"))
    single.weather = lambda agent: Act(seconds=1, fails="http429") if agent == "codex" else None
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    reviews = [made for made in single.attempts if made.role.value == "review"]
    assert reviews[-1].agent == "claude-code"
    assert 1750 < reviews[-1].started - reviews[0].started < 1850
