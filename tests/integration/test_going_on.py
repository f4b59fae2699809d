"""`resume`, `retry` and `status` on the whole program: what is refused, what goes on, what is kept."""

from __future__ import annotations

import signal

import pytest

from spec_kitty_orchestrator.demo.project import PlannedWorkPackage, ProjectPlan, plan_mission
from spec_kitty_orchestrator.run.state import RunStore
from spec_kitty_orchestrator.run.taking_up import KEPT_NAME
from spec_kitty_orchestrator.settings.values import Flags

OUR_ACTOR = "spec-kitty-orchestrator"


def state_of(arena):
    state = RunStore(arena.root / ".kittify").load()
    assert state is not None
    return state


def stop_at_work_on(arena, wp_id):
    """A run of one at a time that is stopped while an agent of ours implements this."""
    process = arena.start("orchestrate", "--mission", arena.project.mission, "--max-concurrent", "1")
    arena.wait_for_prompt("claude", wp_id, "implementation")
    process.send_signal(signal.SIGINT)
    ended = arena.finish(process)
    assert ended.returncode == 130, ended.text


def by_a_person(arena, wp_id, lane):
    where = ("--mission", arena.project.mission, "--wp", wp_id, "--actor", "a person")
    arena.project.host_api("transition", *where, "--to", lane, "--note", "because")


@pytest.fixture
def other(arena):
    """Another mission in the arena's project."""
    wp = PlannedWorkPackage("WP01", "Write more", "Write it.", ("more.txt",))
    return plan_mission(arena.project, ProjectPlan("other", (wp,))).mission


@pytest.fixture
def half_way(arena):
    """WP01 is canceled, WP02 at work when the run was stopped."""
    arena.agent("claude", {"WP02": {"implementation": [{"sleep": 600}, {}]}})
    by_a_person(arena, "WP01", "canceled")
    stop_at_work_on(arena, "WP02")
    return arena


REFUSED = {
    "a work package that is not there": (["WP09"], "has no work package WP09 (it has WP01, WP02)"),
    "one that is canceled": (["WP02", "WP01"], "WP01 is canceled (take it back first"),
    "an unknown agent": (["WP02", "--agent", "codx"], "--agent: unknown agent 'codx'; did you mean 'codex'?"),
    "an agent that is not here": (["WP02", "--agent", "opencode"], "--agent: opencode is not installed"),
    "a flag that cannot be": (["WP02", "--max-concurrent", "0"], "--max-concurrent: max_concurrent_wps"),
    "a mission that was never run": (["WP02", "--mission", "nowhere"], "no run of mission nowhere"),
    "no work package": ([], "Missing argument 'WP...'"),
}


@pytest.mark.parametrize(("args", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_retried_is_told_in_a_line_and_nothing_is_changed(half_way, digest, args, words):
    before = digest(half_way.root / ".kittify")
    ended = half_way.run("retry", *args)
    assert ended.returncode == 2, ended.text
    assert words in ended.stderr
    assert digest(half_way.root / ".kittify") == before


def test_an_agent_that_breaks_the_policy_is_not_asked(half_way):
    half_way.agent("opencode", {})
    settings = {"agents": {"implementation": ["codex"], "review": ["codex"]}}
    half_way.settings({**settings, "policy": {"sandbox_mode": "workspace_write"}})
    ended = half_way.run("retry", "WP02", "--agent", "opencode")
    assert ended.returncode == 2, ended.text
    assert "--agent: with opencode, policy.sandbox_mode" in ended.stderr


def test_a_live_run_is_not_disturbed(arena):
    arena.agent("claude", {"default": {"implementation": [{"sleep": 600}]}})
    process = arena.start("orchestrate", "--mission", arena.project.mission)
    arena.wait_for_prompt("claude", "WP01", "implementation")
    told = arena.run("retry", "WP01")
    assert (told.returncode, "at work" in told.text) == (2, True), told.text
    assert arena.run("resume").returncode == 4
    process.send_signal(signal.SIGINT)
    assert arena.finish(process).returncode == 130


def test_after_exit_code_1_a_run_goes_on_and_retry_goes_on_with_what_a_person_blocked(half_way):
    by_a_person(half_way, "WP02", "blocked")
    ended = half_way.run("resume")
    assert ended.returncode == 1, ended.text
    ended = half_way.run("resume", "--retry-blocked")
    assert ended.returncode == 1, ended.text
    assert "WP02 was blocked by somebody else" in ended.stdout
    half_way.agent("opencode", {})
    words = ["--agent", "opencode", "--feedback", "Mind the umlauts."]
    ended = half_way.run("retry", "WP02", *words)
    assert ended.returncode == 1, ended.text  # WP01 is canceled
    assert half_way.lanes() == {"WP01": "canceled", "WP02": "done"}
    (prompt,) = half_way.prompts("opencode", "WP02", "implementation")
    assert "The person who runs this mission says: Mind the umlauts." in prompt


def test_flags_that_are_given_hold_for_the_next_time(half_way):
    assert state_of(half_way).flags == Flags(max_concurrent=1)
    by_a_person(half_way, "WP02", "blocked")
    assert half_way.run("resume", "--impl-agent", "codex", "--review-agent", "claude-code").returncode == 1
    assert half_way.run("resume", "--max-concurrent", "2").returncode == 1
    assert state_of(half_way).flags == Flags("codex", "claude-code", 2)


def test_a_flag_of_before_that_names_an_agent_no_longer_known_is_told_and_can_be_outranked(half_way):
    half_way.settings({"agents": {"custom": {"mine": {"command": {"implementation": ["claude"]}}}}})
    by_a_person(half_way, "WP02", "blocked")
    assert half_way.run("resume", "--impl-agent", "mine").returncode == 1
    half_way.settings({"agents": {"review": ["codex"]}})
    ended = half_way.run("resume")
    assert ended.returncode == 2, ended.text
    assert "--impl-agent: agents.implementation[0]: unknown agent 'mine'" in ended.stderr
    assert half_way.run("resume", "--impl-agent", "claude-code").returncode == 1


def test_what_was_aborted_is_gone_on_with_and_that_is_said(arena):
    arena.agent("claude", {"WP01": {"implementation": [{"sleep": 600}, {}]}})
    stop_at_work_on(arena, "WP01")
    assert arena.run("abort").returncode == 0
    ended = arena.run("resume")
    assert ended.returncode == 0, ended.text
    assert "was aborted by a person; going on with it" in ended.stdout
    ended = arena.run("resume")
    assert ended.returncode == 2, ended.text
    assert "has finished" in ended.stderr


def test_a_mission_goes_on_after_another_one_has_been_run(arena, other):
    arena.agent("claude", {"WP01": {"implementation": [{"sleep": 600}, {}]}})
    stop_at_work_on(arena, "WP01")
    first = state_of(arena)
    ended = arena.run("orchestrate", "--mission", other)
    assert ended.returncode == 0, ended.text
    command = f"resume --mission {first.mission} --actor {OUR_ACTOR}"
    assert command in ended.stdout
    assert command in arena.run("status").stdout
    assert first.run_id in arena.run("status", "--mission", first.mission).stdout

    ended = arena.run("resume", "--mission", first.mission.rpartition("-")[2])
    assert ended.returncode == 0, ended.text
    assert state_of(arena).run_id == first.run_id
    assert set(arena.lanes().values()) == {"done"}


def test_a_damaged_state_of_another_mission_is_in_nobodys_way(arena, other):
    arena.agent("claude", {"WP01": {"implementation": [{"sleep": 600}, {}]}})
    stop_at_work_on(arena, "WP01")
    assert arena.run("orchestrate", "--mission", other).returncode == 0
    (kept,) = arena.root.glob(f".kittify/logs/*/{KEPT_NAME}")
    whole = kept.read_text()
    kept.write_text("{")
    assert arena.run("status").returncode == 0
    assert arena.run("abort").returncode == 0
    ended = arena.orchestrate()
    assert ended.returncode == 0, ended.text
    assert f"{KEPT_NAME} is damaged" in ended.stdout

    kept.write_text(whole)
    state = arena.root / ".kittify" / "orchestrator-run-state.json"
    state.write_text("{")
    shown = arena.run("status", "--mission", arena.project.mission)
    assert [shown.returncode, "is damaged" in shown.stderr] == [0, True]
    assert "interrupted" in shown.stdout
    assert arena.run("status").returncode == 2
