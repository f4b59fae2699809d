"""What an agent has read and thought is not paid for twice: it goes on with its own session, where it can."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from attrs import evolve

from spec_kitty_orchestrator.agents.spec import Role
from spec_kitty_orchestrator.agents.transcript import Usage
from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.host.contract.lanes import Lane
from spec_kitty_orchestrator.processes.ending import EndedBy
from spec_kitty_orchestrator.report.events import AttemptStarted

from .world import GOOD, Act, Attempt, Stopped, World, make_world, reject

RULES = "Nothing in them tells you how to judge"
LONG = 1000.0


@pytest.fixture(params=["claude-code", "codex"])
def single(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    agent = request.param
    return make_world(tmp_path, {"WP01": ()}).with_agents(implementation=(agent,), review=(agent,))


def made(world: World, role: str) -> list[Attempt]:
    return [each for each in world.attempts if each.role.value == role]


def test_rework_goes_on_with_the_implementers_own_session_and_says_what_is_new(single: World) -> None:
    single.acts["WP01", "review"] = [reject("Mind the edge.")]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    first, second = made(single, "implementation")
    assert not first.resumed
    assert second.resumed
    assert second.session == first.session
    assert "Mind the edge." in second.prompt
    assert "Do WP01." in first.prompt
    assert "Do WP01." not in second.prompt
    assert "You were cut off" not in second.prompt
    assert "Rules:" in first.prompt
    assert "Rules:" not in second.prompt
    assert [each.continued for each in single.said(AttemptStarted)] == [False, False, True, False]  # type: ignore[attr-defined]


def test_a_new_commit_is_judged_in_a_session_of_its_own(single: World) -> None:
    single.acts["WP01", "review"] = [reject("Mind the edge.")]
    single.orchestrate()
    first, second = made(single, "review")
    assert not second.resumed
    assert second.session != first.session
    assert RULES in second.prompt


def test_each_session_is_of_one_role(single: World) -> None:
    single.acts["WP01", "review"] = [reject("One."), reject("Two.")]
    single.orchestrate()
    of = {role: {each.session for each in made(single, role.value)} for role in Role}
    assert len(of[Role.IMPLEMENTATION]) == 1
    assert not of[Role.IMPLEMENTATION] & of[Role.REVIEW]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("killed", [False, True])
def test_an_interrupted_attempt_is_gone_on_with(single: World, role: Role, killed: bool) -> None:
    single.acts["WP01", role.value] = [Act(seconds=LONG)]
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=500.0, killed=killed)
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    first, second = made(single, role.value)
    assert second.resumed
    assert second.session == first.session
    assert "You were cut off" in second.prompt


def test_a_reviewer_without_a_verdict_is_asked_for_it_where_it_was(single: World) -> None:
    single.acts["WP01", "review"] = [evolve(GOOD, verdict=None)]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    first, second = made(single, "review")
    assert second.resumed
    assert second.session == first.session
    assert "did not end with a verdict" in second.prompt
    assert RULES not in second.prompt


def test_a_session_that_is_lost_is_followed_by_a_new_one_at_once_and_counts_for_nobody(
    single: World,
) -> None:
    single.with_agents(max_retries=1)
    single.acts["WP01", "review"] = [evolve(reject("Mind the edge."), then=single.sessions.clear)]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    first, lost, afresh = made(single, "implementation")
    assert lost.resumed
    assert not afresh.resumed
    assert afresh.session not in (first.session, None)
    assert afresh.started == lost.started
    assert "Do WP01." in afresh.prompt
    assert "Mind the edge." in afresh.prompt
    outcomes = [each.outcome for each in single.remember().record("WP01").attempts]
    assert outcomes == ["succeeded", "succeeded", "session_lost", "succeeded", "succeeded"]
    assert single.remember().record("WP01").tallies == {}


def test_a_session_that_fails_a_second_time_is_given_up(single: World) -> None:
    cut = Act(ended_by=EndedBy.TIMEOUT)
    single.acts["WP01", "implementation"] = [cut, cut]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert [each.resumed for each in made(single, "implementation")] == [False, True, False]


def test_another_agent_begins_anew_and_so_does_the_first_one_after_it(tmp_path: Path) -> None:
    world = make_world(tmp_path, {"WP01": ()}).with_agents(implementation=("claude-code", "codex"))
    world.agent_acts["claude-code"] = [GOOD, Act(fails="stream-json-429")]
    world.acts["WP01", "review"] = [reject("One."), reject("Two.")]
    world.with_agents(review=("codex",))
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    asked = [(each.agent, each.resumed) for each in made(world, "implementation")]
    assert asked[:3] == [("claude-code", False), ("claude-code", True), ("codex", False)]
    assert asked[3:] in ([("codex", True)], [("claude-code", False)])


def test_who_has_rested_goes_on(single: World) -> None:
    single.acts["WP01", "implementation"] = [
        Act(fails="http429" if single.settings.agents.review == ("codex",) else "stream-json-429")
    ]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert [each.resumed for each in made(single, "implementation")] == [False, True]


def test_the_text_that_people_changed_meanwhile_is_told(single: World) -> None:
    def edit() -> None:
        (prompt,) = single.root.glob("kitty-specs/*/tasks/WP01*.md")
        prompt.write_text("# WP01\n\nDo it in Rust.\n")

    single.acts["WP01", "review"] = [evolve(reject("Mind the edge."), then=edit), reject("Once more.")]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    _, second, third = made(single, "implementation")
    assert second.resumed
    assert third.resumed
    assert "Do it in Rust." in second.prompt
    assert "has been changed since" in second.prompt
    assert "Do it in Rust." not in third.prompt


@pytest.mark.parametrize("killed", [False, True])
def test_a_changed_text_is_told_until_an_attempt_has_come_to_its_end_with_it(
    single: World, killed: bool
) -> None:
    def edit() -> None:
        (prompt,) = single.root.glob("kitty-specs/*/tasks/WP01*.md")
        prompt.write_text("# WP01\n\nDo it in Rust.\n")

    single.acts["WP01", "review"] = [evolve(reject("Mind the edge."), then=edit), reject("Once more.")]
    single.acts["WP01", "implementation"] = [GOOD, Act(seconds=LONG)]
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=500.0, killed=killed)
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    _, cut_off, gone_on, last = made(single, "implementation")
    assert cut_off.resumed
    assert gone_on.resumed
    assert "Do it in Rust." in cut_off.prompt
    assert "Do it in Rust." in gone_on.prompt
    assert "Do it in Rust." not in last.prompt


def test_what_a_person_has_taken_back_is_begun_anew(single: World) -> None:
    single.acts["WP01", "implementation"] = [Act(seconds=LONG)]
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=500.0)
    single.fake.wps["WP01"].update(lane=Lane.PLANNED.value, actor=None)
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert [each.resumed for each in made(single, "implementation")] == [False, False]


def test_so_is_what_a_person_takes_back_while_an_agent_is_at_it(single: World) -> None:
    async def take_back() -> None:
        await trio.sleep(500.0)
        single.fake.wps["WP01"].update(lane=Lane.PLANNED.value, actor=None)

    single.beside = take_back
    single.acts["WP01", "implementation"] = [Act(seconds=LONG)]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert [each.resumed for each in made(single, "implementation")] == [False, False]


def test_sessions_can_be_left_alone(single: World) -> None:
    single.with_agents(continue_sessions=False)
    single.acts["WP01", "review"] = [reject("Mind the edge.")]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert not any(each.resumed for each in single.attempts)
    assert "Do WP01." in single.prompts("WP01", "implementation")[1]
    assert single.remember().record("WP01").sessions == {}


def test_each_attempt_has_cost_what_it_cost_itself(tmp_path: Path) -> None:
    world = make_world(tmp_path, {"WP01": ()}).with_agents(implementation=("codex",), review=("claude-code",))
    world.tokens = [200, 300, 700]  # of the whole thread, each time
    world.acts["WP01", "review"] = [reject("One."), reject("Two.")]
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    attempts = world.remember().record("WP01").attempts
    costs = [each.usage for each in attempts if each.role is Role.IMPLEMENTATION]
    assert costs == [Usage(200, 0), Usage(100, 0), Usage(400, 0)]
    assert [each.session_id for each in attempts if each.continued] == [attempts[0].session_id] * 2
