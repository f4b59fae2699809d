"""Done means: this commit was judged, on its branch, by somebody who changed nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import evolve
from conformance.fake.workspaces import PaperWorkspaces
from tests.sim.world import GOOD, Act, PaperRepository, Stopped, World, reject

from spec_kitty_orchestrator.agents.spec import Role
from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.host.workspace import Workspace
from spec_kitty_orchestrator.mission.evidence import Evidence
from spec_kitty_orchestrator.processes.agent_process import OutputSink
from spec_kitty_orchestrator.processes.ending import Ending
from spec_kitty_orchestrator.processes.keeper import Command
from spec_kitty_orchestrator.processes.starting import CommandNotStarted, ProgramMissing
from spec_kitty_orchestrator.report.events import (
    CommandEnded,
    FilesMovedAway,
    HandoverRefused,
    SentBack,
    VerdictGiven,
)

NewWorld = Callable[..., World]
TWO = ("claude-code", "codex")


def paper(world: World) -> PaperWorkspaces:
    assert isinstance(world.fake.workspaces, PaperWorkspaces)
    return world.fake.workspaces


def branch(world: World, wp_id: str = "WP01") -> str:
    return world.fake.branch(world.fake.missions[world.fake.slug], world.fake.wps[wp_id])


def workspace(world: World, wp_id: str = "WP01") -> Path:
    return world.fake.workspace(world.fake.missions[world.fake.slug], world.fake.wps[wp_id])


def head(world: World, wp_id: str = "WP01") -> str:
    return paper(world).commits[branch(world, wp_id)][-1]


def sent(world: World, to: str) -> list[dict[str, Any]]:
    """The options of each transition to a lane, as the host was sent them."""
    calls = [argv for argv in world.host.log if argv[1] == "transition"]
    every = [dict(zip(argv[2::2], argv[3::2], strict=False)) for argv in calls]
    return [options for options in every if options["--to"] == to]


def test_the_judged_commit_goes_to_the_host_the_events_the_state_and_the_summary(single: World) -> None:
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ACCEPTED
    (approval,) = sent(single, "done")
    evidence = json.loads(approval["--evidence-json"])
    assert evidence["repos"] == [{"repo": single.root.name, "branch": branch(single), "commit": head(single)}]
    assert head(single) in approval["--note"]
    (verdict,) = single.said(VerdictGiven)
    assert (verdict.commit, verdict.own_work) == (head(single), True)  # type: ignore[attr-defined]
    record = single.remember().record("WP01")
    assert (record.approved_commit, record.branch) == (head(single), branch(single))
    assert record.claimed_commit == paper(single).commits[branch(single)][-2]
    own = "reviewed by its own implementer, claude-code"
    assert end.lines[1] == f"  WP01 {head(single)[:12]} on {branch(single)}, {own}"


def test_work_that_is_not_committed_goes_back_with_the_list_of_its_files(single: World) -> None:
    def forget() -> None:
        single.fake.commit("WP01")
        single.fake.change("WP01", "src/a.py")
        paper(single).untracked[workspace(single)] = {"notes/", "b.txt"}

    single.acts["WP01", "implementation"] = [Act(commit=False, then=forget), GOOD]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    (refused,) = single.said(HandoverRefused)
    assert "src/a.py" in refused.line
    second = single.prompts("WP01", "implementation")[1]
    assert all(f"- {name}" in second for name in ("src/a.py", "notes/", "b.txt"))
    assert len(sent(single, "for_review")) == 1


def test_a_rework_that_was_never_committed_is_not_reviewed_again(single: World) -> None:
    single.acts["WP01", "review"] = [reject("mend a.py:3")]
    single.acts["WP01", "implementation"] = [GOOD, Act(commit=False), GOOD]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert len(single.asked("WP01", "review")) == 2
    third = single.prompts("WP01", "implementation")[2]
    assert "There is no new commit" in third
    assert "mend a.py:3" in third


def test_a_dependent_that_commits_nothing_is_never_done(new_world: NewWorld) -> None:
    """Its lane holds its dependency's commits; they are not its own."""
    world = new_world(WP01=[], WP02=["WP01"])
    world.acts["WP02", "implementation"] = [Act(commit=False)] * 3
    assert world.orchestrate().exit_code is ExitCode.ATTENTION
    assert world.lanes() == {"WP01": "done", "WP02": "blocked"}
    assert world.asked("WP02", "review") == []


def test_one_that_shares_a_lane_and_commits_nothing_is_never_done(new_world: NewWorld) -> None:
    """It is claimed while the other retries, and waits for the lane, which then gains the other's commit."""
    world = new_world("WP01", "WP02", lanes={"WP02": "lane-a"})
    world.settings = evolve(world.settings, max_concurrent_wps=1)
    world.acts["WP01", "implementation"] = [Act(returncode=1, commit=False), GOOD]
    world.acts["WP02", "implementation"] = [Act(commit=False)] * 3
    assert world.orchestrate().exit_code is ExitCode.ATTENTION
    assert world.lanes() == {"WP01": "done", "WP02": "blocked"}
    assert world.asked("WP02", "review") == []


def test_stopped_at_its_claim_a_dependent_that_commits_nothing_is_never_done(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim is made, and where its work begins was not read yet."""
    world = new_world(WP01=[], WP02=["WP01"])
    world.acts["WP02", "implementation"] = [Act(commit=False)] * 3
    look = PaperRepository.look

    async def that_hangs(self: PaperRepository, place: Workspace, since: str | None = None) -> Evidence:
        if world.fake.lane("WP02") == "in_progress":
            await trio.sleep_forever()
        return await look(self, place, since)

    with monkeypatch.context() as patched:
        patched.setattr(PaperRepository, "look", that_hangs)
        with pytest.raises(Stopped):
            world.orchestrate(stop_after=1000)
    assert world.asked("WP02", "implementation") == []
    assert world.orchestrate().exit_code is ExitCode.ATTENTION
    assert world.asked("WP02", "review") == []


def test_work_on_another_branch_is_not_handed_over_and_the_agent_is_told(single: World) -> None:
    def switch() -> None:
        paper(single).commits["mine"] = list(paper(single).commits[branch(single)])
        paper(single).switched[workspace(single)] = "mine"

    def back() -> None:
        del paper(single).switched[workspace(single)]

    single.acts["WP01", "implementation"] = [Act(then=switch), Act(then=back)]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    second = single.prompts("WP01", "implementation")[1]
    assert f"the branch mine is checked out, not {branch(single)}" in second
    assert head(single) != paper(single).commits["mine"][-1]


def test_a_review_of_another_branch_is_not_begun(single: World) -> None:
    single.stand("WP01", "for_review")
    single.fake.commit("WP01")
    single.fake.mark("WP01")
    paper(single).commits["mine"] = []
    paper(single).commit("mine")
    paper(single).switched[workspace(single)] = "mine"
    single.acts["WP01", "implementation"] = [Act(then=lambda: paper(single).switched.clear())]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert [made.role for made in single.attempts] == [Role.IMPLEMENTATION, Role.REVIEW]
    (back,) = sent(single, "in_progress")
    result = json.loads(back["--review-result-json"])
    assert (result["reviewer"], result["verdict"]) == ("the-run", "changes_requested")


COMMITS = "commits"
CHANGES = "changes"


@pytest.mark.parametrize("how", [COMMITS, CHANGES])
def test_the_verdict_of_a_reviewer_that_changed_the_work_is_void(single: World, how: str) -> None:
    """Its change goes to the implementer as words, and another reviewer is asked first from then on."""
    single.with_agents(implementation=TWO, review=("codex", "claude-code"))
    change = single.fake.commit if how == COMMITS else single.fake.change
    single.acts["WP01", "review"] = [Act(then=lambda: change("WP01")), GOOD]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.asked("WP01", "review") == ["codex", "claude-code"]
    assert len(single.said(VerdictGiven)) == 1
    assert len(single.said(SentBack)) == 1
    second = single.prompts("WP01", "implementation")[1]
    assert "A reviewer changed the work that it was to judge" in second
    assert ("HEAD was" in second) is (how == COMMITS)
    assert ("- work.txt" in second) is (how == CHANGES)
    assert single.remember().record("WP01").approved_commit == head(single)


def test_a_reviewer_that_always_changes_the_work_ends_in_a_blocked_work_package(single: World) -> None:
    single.acts["WP01", "review"] = [Act(then=lambda: single.fake.commit("WP01"))] * 9
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    assert single.lanes() == {"WP01": "blocked"}
    assert single.said(VerdictGiven) == []


def test_what_a_reviewer_leaves_beside_the_work_is_moved_away_and_its_verdict_stands(
    single: World, moves: list[tuple[str, ...]]
) -> None:
    def leave() -> None:
        paper(single).untracked[workspace(single)] = {"scratch.txt"}

    single.acts["WP01", "review"] = [Act(then=leave)]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert moves == [("scratch.txt",)]
    (moved,) = single.said(FilesMovedAway)
    assert moved.line.startswith("WP01 moved away what claude-code left, to .kittify/logs/")


def test_what_an_interrupted_reviewer_left_is_moved_away_and_the_review_made_again(
    single: World, moves: list[tuple[str, ...]]
) -> None:
    single.acts["WP01", "review"] = [Act(seconds=1000)]
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=300)
    paper(single).untracked[workspace(single)] = {"scratch.txt"}
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert moves == [("scratch.txt",)]
    assert len(single.asked("WP01", "implementation")) == 1


def test_what_an_interrupted_reviewer_left_voids_no_approval_of_another(
    single: World, moves: list[tuple[str, ...]]
) -> None:
    single.with_agents(review=("codex", "claude-code"), reviews_required=2)
    single.agent_acts["claude-code"] = [Act(), Act(seconds=1000)]
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=600)
    paper(single).untracked[workspace(single)] = {"scratch.txt"}
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert moves == [("scratch.txt",)]
    assert single.asked("WP01", "review") == ["codex", "claude-code", "claude-code"]


def test_a_commit_made_in_an_interrupted_review_goes_to_the_implementer(single: World) -> None:
    single.acts["WP01", "review"] = [Act(seconds=1000)]
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=300)
    single.fake.commit("WP01")
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert "HEAD was moved to" in single.prompts("WP01", "implementation")[1]


def test_litter_of_an_agents_own_program_is_moved_away(
    single: World, moves: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    litter = {".litter/", "kept.txt"}
    agents = single._agents()
    spec = evolve(agents["claude-code"].spec, litter=(".litter/",))
    monkeypatch.setattr(single, "_agents", lambda: {"claude-code": evolve(agents["claude-code"], spec=spec)})

    def leave() -> None:
        single.fake.commit("WP01")
        paper(single).untracked[workspace(single)] = set(litter)

    single.acts["WP01", "implementation"] = [Act(commit=False, then=leave), GOOD]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert moves[0] == (".litter/",)
    second = single.prompts("WP01", "implementation")[1]
    assert "- kept.txt" in second
    assert ".litter" not in second


def test_a_commit_that_has_gone_from_its_branch_is_no_reason_to_accept(single: World) -> None:
    """Approved, and then somebody reset the lane's branch."""
    respond = single.host.respond

    def reset(argv: Any) -> Any:
        said = respond(argv)
        if argv[1] == "transition" and "done" in argv:
            paper(single).commits[branch(single)].pop()
        return said

    single.host.respond = reset
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert f"is not in {branch(single)}" in end.lines[1]
    assert "accept-mission" not in single.host.commands()


def test_a_mission_that_was_merged_already_is_accepted_again(diamond: World) -> None:
    assert diamond.orchestrate().exit_code is ExitCode.ACCEPTED
    lanes = list(dict.fromkeys((workspace(diamond, wp), branch(diamond, wp)) for wp in diamond.fake.wps))
    paper(diamond).merge("feat/work", lanes)
    assert diamond.orchestrate().exit_code is ExitCode.ACCEPTED


# The project's own commands.


def checked(world: World, *commands: tuple[str, ...], setup: tuple[tuple[str, ...], ...] = ()) -> World:
    world.settings = evolve(world.settings, checks=commands, setup=setup)
    return world


def test_a_red_check_goes_back_to_the_implementer_with_the_end_of_its_output(single: World) -> None:
    checked(single, ("pytest", "-q"), ("ruff", "check"))
    single.command_acts = [(1, "E   assert 1 == 2", lambda: None)]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.commands == [("pytest", "-q"), ("pytest", "-q"), ("ruff", "check")]
    second = single.prompts("WP01", "implementation")[1]
    assert "check `pytest -q` failed (exit status 1)" in second
    assert "E   assert 1 == 2" in second
    outcomes = [event.outcome for event in single.said(CommandEnded)]  # type: ignore[attr-defined]
    assert outcomes == ["exit status 1", "succeeded", "succeeded"]
    assert len(sent(single, "for_review")) == 1


def test_green_checks_are_told_to_the_host(single: World) -> None:
    checked(single, ("pytest", "-q"))
    single.orchestrate()
    evidence = json.loads(sent(single, "done")[0]["--evidence-json"])
    assert [(each["command"], each["result"]) for each in evidence["verification"]] == [("pytest -q", "pass")]


def test_a_check_that_stays_red_blocks_the_work_package(single: World) -> None:
    checked(single, ("pytest",))
    single.command_acts = [(1, "no", lambda: None)] * 3
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert single.lanes() == {"WP01": "blocked"}
    assert single.asked("WP01", "review") == []


def test_work_that_is_found_for_review_is_checked_before_it_is_judged(single: World) -> None:
    checked(single, ("pytest",))
    single.stand("WP01", "for_review")
    single.fake.commit("WP01")
    single.fake.mark("WP01")
    single.command_acts = [(1, "it is red", lambda: None)]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert [made.role for made in single.attempts] == [Role.IMPLEMENTATION, Role.REVIEW]
    assert "it is red" in single.prompts("WP01", "implementation")[0]


def test_checks_of_other_words_are_run_again(single: World) -> None:
    checked(single, ("pytest",))
    single.acts["WP01", "review"] = [Act(seconds=1000)]
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=300)
    checked(single, ("pytest", "--strict"))
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.commands == [("pytest",), ("pytest", "--strict")]


def test_a_check_that_changes_the_work_is_red(single: World) -> None:
    checked(single, ("format",))
    single.command_acts = [(0, "", lambda: single.fake.change("WP01", "a.py"))]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert "checks change files of the repository: a.py" in single.prompts("WP01", "implementation")[1]


def test_a_check_that_commits_is_red(single: World) -> None:
    """What it made was checked by nobody."""
    checked(single, ("format-and-commit",))
    single.command_acts = [(0, "", lambda: single.fake.commit("WP01"))]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert "checks move HEAD" in single.prompts("WP01", "implementation")[1]
    assert single.remember().record("WP01").checked_commit == head(single)


def test_setup_is_run_once_in_each_workspace_before_any_agent(new_world: NewWorld) -> None:
    world = checked(new_world("WP01", "WP02", "WP03", lanes={"WP01": "lane-a", "WP03": "lane-a"}))
    world.settings = evolve(world.settings, setup=(("npm", "ci"),))
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert world.commands == [("npm", "ci")] * 2


def test_a_setup_that_fails_leaves_the_work_package_and_says_why(single: World) -> None:
    checked(single, setup=(("npm", "ci"),))
    single.command_acts = [(1, "no network", lambda: None)] * 100
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert "the setup command `npm ci` failed (exit status 1): no network" in end.lines[1]
    assert single.attempts == []


def test_a_setup_that_leaves_what_git_sees_says_so(single: World) -> None:
    checked(single, setup=(("npm", "ci"),))

    def leave() -> None:
        paper(single).untracked[workspace(single)] = {"node_modules/"}

    single.command_acts = [(0, "", leave)] * 100
    assert "node_modules/" in single.orchestrate().lines[1]


@pytest.fixture
def moves(single: World, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What was moved away, in order; on paper."""
    made: list[tuple[str, ...]] = []

    def move(_: Any, paths: Any, __: Path) -> tuple[str, ...]:
        made.append(tuple(sorted(paths)))
        for untracked in paper(single).untracked.values():
            untracked.difference_update(made[-1])
        return made[-1]

    monkeypatch.setattr("spec_kitty_orchestrator.mission.workbench.move_away", move)
    return made


def not_to_be_started(world: World, problem: CommandNotStarted) -> None:
    """None of the project's own commands."""

    async def raises(command: Command, sink: OutputSink) -> Ending:
        raise problem

    world._run_command = raises  # type: ignore[method-assign]


@pytest.mark.parametrize("setting", ["setup", "checks"])
def test_a_command_that_is_not_installed_costs_no_further_attempt_and_blocks_nothing(
    single: World, setting: str
) -> None:
    single.settings = evolve(single.settings, **{setting: (("pytset", "-q"),)})
    not_to_be_started(single, ProgramMissing("cannot start pytset: No such file or directory"))
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert single.lanes() == {"WP01": "in_progress"}
    assert len(single.attempts) == (1 if setting == "checks" else 0)
    assert "the command in .kittify/orchestrator.yaml" in end.lines[1]


def test_a_check_that_the_machine_cannot_start_blames_no_agent(single: World) -> None:
    single.settings = evolve(single.settings, checks=(("pytest", "-q"),))
    not_to_be_started(single, CommandNotStarted("cannot start pytest: Resource temporarily unavailable"))
    end = single.orchestrate()
    assert single.lanes() == {"WP01": "in_progress"}
    assert len(single.attempts) == 1
    assert "Resource temporarily unavailable" in end.lines[1]


def test_a_check_of_the_repositorys_own_that_is_gone_goes_back_to_the_implementer(single: World) -> None:
    single.settings = evolve(single.settings, checks=(("./check.sh",),))
    not_to_be_started(single, ProgramMissing("cannot start ./check.sh: No such file or directory"))
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    assert "cannot start ./check.sh" in single.prompts("WP01", "implementation")[1]


def test_a_log_of_a_command_that_cannot_be_made_leaves_the_work_package(single: World) -> None:
    single.settings = evolve(single.settings, setup=(("make", "venv"),))
    single.log_dir().parent.mkdir(parents=True)
    single.log_dir().write_text("in the way")
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert f"cannot make {single.log_dir()}: File exists" in end.lines[1]


def test_what_cannot_be_moved_away_leaves_the_work_package_and_is_no_internal_error(single: World) -> None:
    def leave_and_be_in_the_way() -> None:
        place = workspace(single)
        (place / "notes").write_text("of mine")
        paper(single).untracked[place] = {"notes"}
        (single.log_dir() / "WP01-left").write_text("in the way")

    single.acts["WP01", "review"] = [Act(then=leave_and_be_in_the_way)]
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert single.lanes() == {"WP01": "in_review"}
    assert "cannot be moved to" in end.lines[1]
