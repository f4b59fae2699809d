"""Runs that go on: after another mission, and with what people blocked, took back or want tried again."""

from __future__ import annotations

import signal
import subprocess

import pytest
from attrs import evolve

from spec_kitty_orchestrator.demo.project import PlannedWorkPackage, ProjectPlan, plan_mission

pytestmark = pytest.mark.e2e

AGENTS = {"agents": {"implementation": ["claude-code"], "review": ["codex"]}, "grace_seconds": 2}


def move(arena, wp_id, *how):
    """A person's own command at the host."""
    argv = [str(arena.project.host), "agent", "tasks", "move-task", wp_id, *how]
    where = ["--mission", arena.project.mission]
    subprocess.run([*argv, *where], cwd=arena.root, env=arena.project.environ, check=True)


def test_a_mission_that_was_stopped_half_way_goes_on_after_another_one_was_run(enter, trace, apart):
    arena = enter(apart(2))
    wp = PlannedWorkPackage("WP01", "Write more", "Write `more.txt`.", ("more.txt",))
    second = plan_mission(arena.project, ProjectPlan("second", (wp,)))
    arena.settings(AGENTS)
    arena.agent("claude", {"WP02": {"implementation": [{"sleep": 600}, {}]}})
    arena.agent("codex", {"WP01": {"review": [{"sleep": 600}, {}]}})
    process = arena.start("orchestrate", "--mission", arena.project.mission)
    arena.wait_for_prompt("claude", "WP02", "implementation")
    arena.wait_for_prompt("codex", "WP01", "review")
    process.send_signal(signal.SIGINT)
    assert arena.finish(process).returncode == 130

    ended = arena.run("orchestrate", "--mission", second.mission)
    assert ended.returncode == 0, ended.text
    assert f"resume --mission {arena.project.mission}" in ended.text
    assert evolve(arena, project=second).lanes() == {"WP01": "done"}
    assert arena.lanes() == {"WP01": "in_review", "WP02": "in_progress"}

    ended = arena.run("resume", "--mission", arena.project.mission)
    assert ended.returncode == 0, ended.text
    assert arena.lanes() == {"WP01": "done", "WP02": "done"}
    assert not any("--force" in call for call in arena.host_calls())
    assert trace.survivors() == []


def test_what_a_person_blocks_takes_back_and_unblocks_is_gone_on_with(enter, trace, apart):
    """WP01 is blocked while an agent works on it, WP03 before anybody has; WP02 is taken back when done."""
    arena = enter(apart(3))
    arena.settings({**AGENTS, "refresh_seconds": 2})
    arena.agent("claude", {"WP01": {"implementation": [{"sleep": 600}, {}]}})
    arena.agent("codex", {})
    move(arena, "WP03", "--to", "blocked", "--note", "not yet")
    process = arena.start("orchestrate", "--mission", arena.project.mission)
    arena.wait_for_prompt("claude", "WP01", "implementation")
    move(arena, "WP01", "--to", "blocked", "--note", "wait")
    ended = arena.finish(process)
    assert ended.returncode == 1, ended.text
    assert arena.lanes() == {"WP01": "blocked", "WP02": "done", "WP03": "blocked"}

    ended = arena.run("retry", "WP02")
    assert ended.returncode == 2, ended.text
    assert "move-task WP02 --to planned --force" in ended.stderr
    words = arena.folder / "why.md"
    words.write_text("Mind the umlauts.\n", encoding="utf-8")
    move(arena, "WP02", "--to", "planned", "--force", "--review-feedback-file", str(words))
    ended = arena.run("resume", "--retry-blocked")
    assert ended.returncode == 1, ended.text
    assert "retry WP01" in ended.text
    assert "retry WP03" in ended.text
    assert arena.lanes() == {"WP01": "blocked", "WP02": "done", "WP03": "blocked"}
    assert len(arena.prompts("claude", "WP02", "implementation")) == 2

    ended = arena.run("retry", "WP01", "WP03")
    assert ended.returncode == 0, ended.text
    assert set(arena.lanes().values()) == {"done"}
    assert trace.survivors() == []


def test_what_was_sent_back_too_often_is_tried_again_with_a_persons_words(enter, trace, apart):
    arena = enter(apart(1))
    agents = {**AGENTS["agents"], "max_retries": 0}
    arena.settings({**AGENTS, "agents": agents})
    arena.agent("claude", {})
    arena.agent("opencode", {})
    arena.agent("codex", {"WP01": {"review": [{"verdict": "changes_requested", "feedback": "no prose"}, {}]}})
    ended = arena.orchestrate()
    assert ended.returncode == 1, ended.text
    assert arena.lanes() == {"WP01": "blocked"}

    ended = arena.run("retry", "WP01", "--feedback", "Prose is wanted.", "--agent", "opencode")
    assert ended.returncode == 0, ended.text
    assert arena.lanes() == {"WP01": "done"}
    (prompt,) = arena.prompts("opencode", "WP01", "implementation")
    assert "no prose" in prompt
    assert "The person who runs this mission says: Prose is wanted." in prompt
    assert "Prose is wanted." in arena.prompts("codex", "WP01", "review")[1]
    assert not any("--force" in call for call in arena.host_calls())
    assert trace.survivors() == []
