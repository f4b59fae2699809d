"""Who does which work package, how many must approve it, who takes over, and which are wanted at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve
from conformance.fake.in_process import Fault

from spec_kitty_orchestrator.agents.spec import AgentSettings, Role
from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.report.events import Escalated, VerdictGiven
from spec_kitty_orchestrator.settings.values import Escalation, WpAgents

from .world import GOOD, Act, Stopped, World, make_world, reject

CLAUDE, CODEX = "claude-code", "codex"


@pytest.fixture
def single(tmp_path: Path) -> World:
    return make_world(tmp_path, {"WP01": ()}).with_agents(implementation=(CLAUDE,), review=(CODEX, CLAUDE))


def names(world: World, wp_id: str, role: Role) -> list[str]:
    return [each.agent for each in world.remember().record(wp_id).attempts if each.role is role]


def test_each_work_package_may_have_its_own(tmp_path: Path) -> None:
    world = make_world(tmp_path, {"WP01": (), "WP02": (), "WP03": ()}).with_agents(
        implementation=(CLAUDE,),
        review=(CODEX,),
        by_work_package={
            "WP01": WpAgents(implementation=(CODEX,), review=(CLAUDE,)),
            "WP02": WpAgents(model="opus"),
        },
    )
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    done_by = {wp_id: [names(world, wp_id, role) for role in Role] for wp_id in ("WP01", "WP02", "WP03")}
    assert done_by == {
        "WP01": [[CODEX], [CLAUDE]],
        "WP02": [["claude-code:opus"], [CODEX]],
        "WP03": [[CLAUDE], [CODEX]],
    }
    models = {each.wp_id: each.model for each in world.attempts if each.role is Role.IMPLEMENTATION}
    assert models == {"WP01": None, "WP02": "opus", "WP03": None}


def test_others_go_first_once_it_was_sent_back_so_often(single: World) -> None:
    single.with_agents(max_retries=3, escalate_after_rejections=Escalation(2, ("claude-code:opus", CODEX)))
    single.acts["WP01", "review"] = [reject("One."), reject("Two."), reject("Three.")]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert names(single, "WP01", Role.IMPLEMENTATION) == [CLAUDE, CLAUDE, *["claude-code:opus"] * 2]
    made = [each for each in single.attempts if each.role is Role.IMPLEMENTATION]
    assert [each.resumed for each in made] == [False, True, False, True]
    assert "Two." in made[2].prompt
    assert "Do WP01." in made[2].prompt
    assert single.said(Escalated) == [Escalated("WP01", 2, ("claude-code:opus", CODEX))]


def test_who_takes_over_may_fail_and_the_first_one_goes_on(single: World) -> None:
    single.with_agents(max_retries=1, escalate_after_rejections=Escalation(1, (CODEX,)))
    single.acts["WP01", "review"] = [reject("One.")]
    single.acts["WP01", "implementation"] = [GOOD, *[Act(commit=False)] * 2]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert names(single, "WP01", Role.IMPLEMENTATION) == [CLAUDE, CODEX, CODEX, CLAUDE]


def test_an_agent_that_is_named_with_the_model_that_it_has_anyway_judges_its_own_work_last(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path, {"WP01": ()}).with_agents(
        implementation=(CLAUDE,),
        review=("claude-code:opus", CODEX),
        settings={CLAUDE: AgentSettings(model="opus")},
        reviews_required=2,
    )
    end = world.orchestrate()
    assert names(world, "WP01", Role.REVIEW) == [CODEX, "claude-code:opus"]
    assert [each.own_work for each in world.said(VerdictGiven)] == [False, True]  # type: ignore[attr-defined]
    assert "reviewed by its own implementer, claude-code" in end.lines[1]


# More than one reviewer.


def two(world: World) -> World:
    return world.with_agents(reviews_required=2)


def test_two_must_approve_the_same_commit(single: World) -> None:
    end = two(single).orchestrate()
    assert end.exit_code is ExitCode.ACCEPTED
    assert names(single, "WP01", Role.REVIEW) == [CODEX, CLAUDE]
    first, second = single.said(VerdictGiven)
    assert first.commit == second.commit  # type: ignore[attr-defined]
    assert first.review_ref != second.review_ref  # type: ignore[attr-defined]
    assert [each.resumed for each in single.attempts] == [False, False, False]
    assert f"approved by {CODEX} and {CLAUDE}, reviewed by its own implementer" in end.lines[1]
    assert single.host.commands().count("start-review") == 1
    last = single.host.log[-2]
    assert f"approved by {CODEX} and {CLAUDE}, commit " in last[last.index("--note") + 1]


def test_one_rejection_is_enough_and_voids_what_was_approved(single: World) -> None:
    two(single).agent_acts[CLAUDE] = [GOOD, reject("Not so.")]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert names(single, "WP01", Role.REVIEW) == [CODEX, CLAUDE, CODEX, CLAUDE]
    commits = [each.commit for each in single.said(VerdictGiven)]  # type: ignore[attr-defined]
    assert commits[0] == commits[1] != commits[2] == commits[3]
    assert single.remember().record("WP01").rejections == 1


@pytest.mark.parametrize("killed", [False, True])
def test_an_approval_that_was_given_is_not_paid_for_twice(single: World, killed: bool) -> None:
    two(single).agent_acts[CLAUDE] = [GOOD, Act(seconds=1000.0)]
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=600.0, killed=killed)
    assert single.lanes() == {"WP01": "in_review"}
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert names(single, "WP01", Role.REVIEW) == [CODEX, CLAUDE, CLAUDE]


def test_an_approval_of_what_is_not_there_any_more_does_not_count(single: World) -> None:
    two(single).agent_acts[CLAUDE] = [GOOD, Act(seconds=1000.0)]
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=600.0)
    single.fake.commit("WP01")  # by somebody, meanwhile
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    verdicts = single.said(VerdictGiven)
    last = verdicts[-1].commit  # type: ignore[attr-defined]
    assert {each.reviewer for each in verdicts if each.commit == last} == {CODEX, CLAUDE}  # type: ignore[attr-defined]


def test_what_one_has_approved_is_not_enough_when_more_are_asked_for(single: World) -> None:
    """The host broke down when it was to hear of the approval, and the settings were changed then."""
    single.host.faults["transition"] = [None, *[Fault.CRASH_BEFORE] * 400]
    single.settings = evolve(single.settings, patience_seconds=0.0)
    single.orchestrate()
    assert names(single, "WP01", Role.REVIEW) == [CODEX]
    single.host.faults.clear()
    assert two(single).orchestrate().exit_code is ExitCode.ACCEPTED
    assert names(single, "WP01", Role.REVIEW) == [CODEX, CLAUDE]


def test_what_was_approved_is_enough_when_fewer_are_asked_for(single: World) -> None:
    """Also when nobody is left who has not approved it yet."""
    two(single).agent_acts[CLAUDE] = [GOOD, Act(seconds=1000.0)]
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=600.0)
    single.with_agents(reviews_required=1, review=(CODEX,))
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ACCEPTED
    assert names(single, "WP01", Role.REVIEW) == [CODEX, CLAUDE]
    record = single.remember().record("WP01")
    assert (record.approved_by, record.approved_commit) == (CODEX, record.approvals[0].commit)
    assert record.approved_commit[:12] in end.lines[1]


def test_never_fewer_than_that_approve(single: World) -> None:
    two(single).with_agents(max_retries=0)
    single.agent_acts[CODEX] = [evolve(GOOD, verdict=None)]
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert single.lanes() == {"WP01": "blocked"}


# Which are wanted.

CHAIN = {"WP01": (), "WP02": ("WP01",), "WP03": ("WP02",), "WP04": ()}


def test_until_takes_along_what_it_depends_on_and_nothing_else(tmp_path: Path) -> None:
    world = make_world(tmp_path, CHAIN)
    world.flags = evolve(world.flags, until="WP02")
    end = world.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert end.lines[0].startswith("what was asked for is done: WP01, WP02; for the rest: ")
    assert [line.split(":")[1].strip() for line in end.lines[1:]] == ["not asked for"] * 2
    assert world.lanes() == {"WP01": "done", "WP02": "done", "WP03": "planned", "WP04": "planned"}
    world.flags = evolve(world.flags, until="")
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED


def test_only_is_exactly_those_wherever_the_others_stand(tmp_path: Path) -> None:
    world = make_world(tmp_path, CHAIN)
    world.stand("WP04", "for_review")
    world.flags = evolve(world.flags, only=("WP01",))
    end = world.orchestrate()
    assert end.lines[0].startswith("what was asked for is done: WP01;")
    assert world.lanes()["WP04"] == "for_review"
    assert {each.wp_id for each in world.attempts} == {"WP01"}


@pytest.mark.parametrize("role", ["implementation", "review"])
def test_what_is_not_asked_for_keeps_its_lane_with_the_work_that_is_in_it(tmp_path: Path, role: str) -> None:
    """Another one would commit upon it, or be told to tidy it up."""
    chain = {"WP01": (), "WP02": ("WP01",), "WP03": ("WP01",)}
    world = make_world(tmp_path, chain, lanes=dict.fromkeys(chain, "a"))
    world.acts["WP02", role] = [Act(seconds=1000.0)]
    with pytest.raises(Stopped):
        world.orchestrate(stop_after=600.0)
    before = world.lanes()
    assert names(world, "WP03", Role.IMPLEMENTATION) == []
    world.flags = evolve(world.flags, only=("WP03",))
    end = world.orchestrate()
    assert world.lanes() == before
    assert f"WP03 {before['WP03']}: waits for WP02 ({before['WP02']}), which has their lane" in end.lines[-1]
    assert names(world, "WP03", Role.IMPLEMENTATION) == []
    world.flags = evolve(world.flags, only=("WP02", "WP03"))
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert len(names(world, "WP02", Role.IMPLEMENTATION)) == (2 if role == "implementation" else 1)


def test_all_that_is_left_being_asked_for_the_mission_is_accepted(tmp_path: Path) -> None:
    world = make_world(tmp_path, {"WP01": (), "WP02": ()})
    world.stand("WP02", "done")
    world.flags = evolve(world.flags, only=("WP01",))
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED


def test_what_somebody_else_called_done_under_an_agent_at_work_is_not_said_to_be_done(tmp_path: Path) -> None:
    world = make_world(tmp_path, {"WP01": (), "WP02": ()})

    def call_it_done() -> None:
        world.fake.wps["WP01"]["lane"] = "done"

    world.acts["WP01", "implementation"] = [Act(then=call_it_done)]
    world.flags = evolve(world.flags, only=("WP01",))
    end = world.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert end.lines[0] == f"mission {world.fake.slug} is not finished:"
    assert end.lines[1] == "  WP01 done: moved to done by someone else while we worked on it"


def test_what_was_asked_for_and_is_blocked_is_not_done(tmp_path: Path) -> None:
    world = make_world(tmp_path, {"WP01": (), "WP02": ()}).with_agents(max_retries=0)
    world.acts["WP01", "review"] = [reject("No.")]
    world.flags = evolve(world.flags, only=("WP01",))
    end = world.orchestrate()
    assert end.lines[0] == f"mission {world.fake.slug} is not finished:"
    assert world.lanes() == {"WP01": "blocked", "WP02": "planned"}
