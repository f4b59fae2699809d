"""The life of a work package in simulated time: verdicts, rework, failures, limits, and who is asked next."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest
from attrs import evolve
from conformance.fake.in_process import Fault
from tests.sim.world import Act, World, reject

from spec_kitty_orchestrator.agents import get_agent
from spec_kitty_orchestrator.agents.spec import AgentSettings
from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.processes.ending import EndedBy
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.processes.orphans import RUN_MARKER
from spec_kitty_orchestrator.report.events import Notice, VerdictGiven, WaitingForAgents
from spec_kitty_orchestrator.report.run_events import AgentDropped, AgentParked
from spec_kitty_orchestrator.run.state import RunStore

NewWorld = Callable[..., World]
TWO = ("claude-code", "codex")


def test_feedback_reaches_the_next_implementer_and_then_it_is_approved(single: World) -> None:
    single.acts["WP01", "review"] = [reject("mend a.py:3: it must say hello")]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    first, second = single.prompts("WP01", "implementation")
    assert "mend a.py:3: it must say hello" not in first
    assert "mend a.py:3: it must say hello" in second
    assert [event.verdict for event in single.said(VerdictGiven)] == ["changes_requested", "approved"]  # type: ignore[attr-defined]


def test_every_review_has_a_reference_of_its_own_and_the_host_gets_it(single: World) -> None:
    single.acts["WP01", "review"] = [reject("no"), Act(verdict=None)]
    single.orchestrate()
    references = [event.review_ref for event in single.said(VerdictGiven)]  # type: ignore[attr-defined]
    assert len(set(references)) == 2
    sent = [
        json.loads(argv[argv.index("--review-result-json") + 1])
        for argv in single.host.log
        if "--review-result-json" in argv
    ]
    assert [(each["verdict"], each["reference"]) for each in sent] == [
        ("changes_requested", references[0]),
        ("approved", references[1]),
    ]


SILENCES = {
    "silence": Act(verdict=None),
    "another word": Act(verdict="lgtm"),
    "changes without feedback": Act(verdict="changes_requested", feedback=" "),
}


@pytest.mark.parametrize("silence", SILENCES.values(), ids=SILENCES.keys())
def test_no_verdict_never_approves_however_often_it_comes(single: World, silence: Act) -> None:
    single.acts["WP01", "review"] = [silence] * 20
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert single.lanes() == {"WP01": "blocked"}
    assert single.asked("WP01", "review") == ["claude-code"] * 3
    assert "no_verdict" in end.lines[1]


def test_a_verdict_of_an_attempt_that_failed_does_not_count(single: World) -> None:
    single.acts["WP01", "review"] = [Act(returncode=1)] * 20
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    assert single.lanes() == {"WP01": "blocked"}


def test_the_next_reviewer_is_asked_when_the_first_gives_no_verdict(single: World) -> None:
    single.with_agents(review=("codex", "claude-code"))
    single.acts["WP01", "review"] = [Act(verdict=None)] * 3
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.asked("WP01", "review") == ["codex"] * 3 + ["claude-code"]


def test_a_reviewer_that_fails_is_no_rejection(single: World) -> None:
    single.acts["WP01", "review"] = [Act(returncode=1), Act(returncode=1)]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.asked("WP01", "implementation") == ["claude-code"]


def test_what_the_host_will_not_review_goes_back_with_the_hosts_words(single: World) -> None:
    single.acts["WP01", "implementation"] = [Act(mark=False)]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    first, second = single.prompts("WP01", "implementation")
    assert "The host said:" not in first
    assert "The host said:" in second
    assert "subtasks" in second.partition("The host said:")[2].partition("</feedback>")[0]


def test_a_reviewers_feedback_outlives_a_refused_handover(single: World) -> None:
    def unmark() -> None:
        single.fake.mark("WP01", done=False)

    single.acts["WP01", "review"] = [reject("mend a.py:3")]
    single.acts["WP01", "implementation"] = [Act(), Act(mark=False, then=unmark)]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    third = single.prompts("WP01", "implementation")[2]
    assert "mend a.py:3" in third
    assert "The host said:" in third


def test_an_implementer_that_never_commits_is_replaced_and_at_last_blocked(single: World) -> None:
    single.with_agents(implementation=TWO)
    single.acts["WP01", "implementation"] = [Act(commit=False)] * 20
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert single.lanes() == {"WP01": "blocked"}
    assert single.asked("WP01", "implementation") == ["claude-code"] * 3 + ["codex"] * 3
    assert "handover_refused" in end.lines[1]


def test_more_rejections_than_retries_block_with_the_last_feedback(single: World) -> None:
    single.acts["WP01", "review"] = [reject("one"), reject("two"), reject("three")]
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert single.lanes() == {"WP01": "blocked"}
    assert "three" in end.lines[1]
    (note,) = [argv[argv.index("--note") + 1] for argv in single.host.log if "blocked" in argv]
    assert "three" in note


@pytest.mark.parametrize(
    "ended_by", [EndedBy.TIMEOUT, EndedBy.IDLE, EndedBy.KEEPER_LOST], ids=lambda ended: ended.value
)
def test_an_attempt_that_had_to_be_stopped_is_tried_again(single: World, ended_by: EndedBy) -> None:
    single.acts["WP01", "implementation"] = [Act(ended_by=ended_by)]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert len(single.asked("WP01", "implementation")) == 2


def test_a_crash_is_followed_by_the_same_agent_and_then_by_the_next(single: World) -> None:
    single.with_agents(implementation=TWO)
    single.acts["WP01", "implementation"] = [Act(returncode=1)] * 3
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.asked("WP01", "implementation") == ["claude-code"] * 3 + ["codex"]


def test_the_host_is_told_of_retries_beside_the_work(single: World) -> None:
    single.acts["WP01", "implementation"] = [Act(returncode=1, commit=False), Act(commit=False)]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    notes = [argv[argv.index("--note") + 1] for argv in single.host.log if argv[1] == "append-history"]
    assert [note.partition(": ")[0] for note in notes] == ["implementation attempt failed"] * 2
    assert "crashed" in notes[0]
    assert "handover_refused" in notes[1]
    assert single.state is not None
    outcomes = [attempt.outcome for attempt in single.state.record("WP01").attempts]
    assert outcomes == ["crashed", "handover_refused", "succeeded", "succeeded"]


def test_a_note_that_the_host_does_not_take_stops_nothing(single: World) -> None:
    single.host.faults["append-history"] = [Fault.CRASH_BEFORE]
    single.acts["WP01", "implementation"] = [Act(returncode=1)]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.said(Notice)


def test_an_agent_that_is_logged_out_rests_and_is_asked_again_while_the_next_one_works(
    new_world: NewWorld,
) -> None:
    world = new_world("WP01", "WP02", "WP03").with_agents(implementation=TWO, review=("codex",))
    world.settings = evolve(world.settings, max_concurrent_wps=1)
    world.agent_acts["claude-code"] = [Act(fails="noauth")] * 2
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    implementers = [made.agent for made in world.attempts if made.role.value == "implementation"]
    assert implementers == ["claude-code", "codex", "claude-code", "codex", "codex"]
    assert world.said(AgentDropped) == []
    rests = [(event.agent, event.seconds, event.kind) for event in world.said(AgentParked)]  # type: ignore[attr-defined]
    assert rests == [("claude-code", 60.0, "auth"), ("claude-code", 900.0, "auth")]


def test_with_nobody_left_to_ask_everything_stays_resumable(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02")
    world.agent_acts["claude-code"] = [Act(fails="noauth")] * 9
    end = world.orchestrate()
    assert end.exit_code is ExitCode.NO_AGENT
    assert set(world.lanes().values()) == {"in_progress"}
    world.agent_acts.clear()
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED


def _records(world: World) -> list:  # type: ignore[type-arg]
    assert world.state is not None
    return list(world.state.work_packages.values())


def test_a_limit_parks_the_agent_for_all_and_spends_no_retry(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02")
    world.agent_acts["claude-code"] = [Act(seconds=1, fails="stream-json-429")] * 12
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert world.said(AgentParked)
    assert world.said(WaitingForAgents)
    assert all(not record.tallies for record in _records(world))
    gaps = [b.started - a.started for a, b in zip(world.attempts, world.attempts[1:], strict=False)]
    assert max(gaps) <= 15 * 60 + 10


def test_a_limit_of_one_agent_lets_the_next_one_work(single: World) -> None:
    single.with_agents(implementation=TWO)
    single.agent_acts["claude-code"] = [Act(seconds=1, fails="stream-json-429")]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.asked("WP01", "implementation") == ["claude-code", "codex"]


def test_one_that_waits_for_an_agent_does_not_hold_up_the_others(new_world: NewWorld) -> None:
    """With one slot, a reviewer at its limit must not keep a second work package from being implemented."""
    world = new_world("WP01", "WP02").with_agents(review=("codex",))
    world.settings = evolve(world.settings, max_concurrent_wps=1)
    world.agent_acts["codex"] = [Act(seconds=1, fails="http429")]
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    order = [(made.wp_id, made.role.value) for made in world.attempts]
    assert order[:3] == [("WP01", "implementation"), ("WP01", "review"), ("WP02", "implementation")]
    assert world.most_at_work == 1


def test_the_reviewer_is_another_agent_when_there_is_one(single: World) -> None:
    single.with_agents(implementation=("claude-code",), review=("claude-code", "codex"))
    single.orchestrate()
    assert single.asked("WP01", "review") == ["codex"]


def test_in_single_agent_mode_one_agent_does_all(single: World) -> None:
    single.with_agents(implementation=TWO, review=("codex",), single_agent_mode=True)
    single.orchestrate()
    assert {made.agent for made in single.attempts} == {"claude-code"}


def test_an_agent_that_is_not_installed_is_passed_over(single: World) -> None:
    single.with_agents(implementation=TWO)
    single.programs["claude-code"] = None
    single.with_agents(review=("codex",))
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.asked("WP01", "implementation") == ["codex"]


def test_an_attempts_files_are_never_overwritten(single: World) -> None:
    single.acts["WP01", "implementation"] = [Act(returncode=1)]
    single.orchestrate()
    folder = single.log_dir()
    prompts = sorted(path.name for path in folder.glob("*.prompt.md"))
    assert prompts == [
        "WP01-implementation-1.prompt.md",
        "WP01-implementation-2.prompt.md",
        "WP01-review-1.prompt.md",
    ]


def test_a_log_that_no_record_knows_of_is_left_alone(single: World) -> None:
    """A run was killed between its log and its record; its number is not given out again."""
    folder = single.log_dir()
    folder.mkdir(parents=True)
    (folder / "WP01-implementation-1.log").write_text("what it said last")
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert (folder / "WP01-implementation-1.log").read_text() == "what it said last"
    assert not (folder / "WP01-implementation-1.prompt.md").exists()
    assert (folder / "WP01-implementation-2.prompt.md").exists()


def test_the_policy_says_what_is_true_of_the_agent_that_a_call_is_about(single: World) -> None:
    single.with_agents(review=("codex",))
    single.orchestrate()
    said = [
        (argv[1], json.loads(argv[argv.index("--policy") + 1]))
        for argv in single.host.log
        if "--policy" in argv
    ]
    claude, codex = get_agent("claude-code").family, get_agent("codex").family
    assert claude != codex
    families = [(command, policy["agent_family"], policy["sandbox_mode"]) for command, policy in said]
    assert families == [
        ("start-implementation", claude, "none"),
        ("transition", claude, "none"),
        ("start-review", codex, "read_only"),
        ("transition", codex, "read_only"),
    ]
    assert {policy["orchestrator_id"] for _, policy in said} == {"spec-kitty-orchestrator"}
    others = {(policy["approval_mode"], policy["network_mode"]) for _, policy in said}
    assert others == {("full_auto", "open")}


def test_the_users_own_time_limit_for_an_agent_counts(single: World) -> None:
    single.with_agents(settings={"claude-code": AgentSettings(timeout_seconds=7.0)})
    seen: list[float] = []
    start = single.start

    async def note(command, log_file, limits, *rest):  # type: ignore[no-untyped-def]
        seen.append(limits.timeout)
        return await start(command, log_file, limits, *rest)

    single.start = note  # type: ignore[method-assign]
    single.orchestrate()
    assert seen == [7.0, 7.0]


def test_the_users_own_grace_counts_for_every_attempt(single: World) -> None:
    single.settings = evolve(single.settings, grace_seconds=3.0)
    seen: list[float] = []
    start = single.start

    async def note(command, *rest):  # type: ignore[no-untyped-def]
        seen.append(command.grace)
        return await start(command, *rest)

    single.start = note  # type: ignore[method-assign]
    single.orchestrate()
    assert seen == [3.0, 3.0]


def test_every_agent_carries_the_id_of_its_run_whatever_the_user_sets(single: World) -> None:
    single.with_agents(settings={"claude-code": AgentSettings(env={RUN_MARKER: "another", "KEPT": "yes"})})
    seen: list[tuple[str | None, str | None]] = []
    start = single.start

    async def note(command, *rest):  # type: ignore[no-untyped-def]
        seen.append((command.env.get(RUN_MARKER), command.env.get("KEPT")))
        return await start(command, *rest)

    single.start = note  # type: ignore[method-assign]
    single.orchestrate()
    assert single.state is not None
    assert seen == [(single.state.run_id, "yes")] * 2


def test_the_keeper_of_an_agent_at_work_stands_in_the_state_file(single: World) -> None:
    """Whoever comes after a crash can tell by it what may still run."""
    kept: list[tuple[ProcessIdentity | None, str | None]] = []

    def look() -> None:
        state = RunStore(single.root / ".kittify").load()
        assert state is not None
        last = state.record("WP01").attempts[-1]
        kept.append((last.keeper, last.outcome))

    single.acts["WP01", "implementation"] = [Act(then=look)]
    single.acts["WP01", "review"] = [Act(then=look)]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert kept == [(ProcessIdentity.of(os.getpid()), None)] * 2


def test_an_attempt_stands_in_the_state_file_before_its_agent_is_started(single: World) -> None:
    """A run that is killed right then has not forgotten whom it let loose."""
    kept: list[int] = []
    start = single.start

    async def look(*args):  # type: ignore[no-untyped-def]
        state = RunStore(single.root / ".kittify").load()
        assert state is not None
        kept.append(len(state.record("WP01").attempts))
        return await start(*args)

    single.start = look  # type: ignore[method-assign]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert kept == [1, 2]


def test_what_an_agent_failed_with_stands_in_the_state_file_while_it_tries_again(single: World) -> None:
    """`status` shows it from there."""
    kept: list[str | None] = []

    def look() -> None:
        state = RunStore(single.root / ".kittify").load()
        assert state is not None
        kept.append(state.record("WP01").last_error)

    single.acts["WP01", "implementation"] = [Act(returncode=1, then=look), Act(then=look)]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    first, second = kept
    assert first is None
    assert second is not None
    assert second.startswith("claude-code: crashed: ")
