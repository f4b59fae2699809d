"""Agents that cannot work, in the formats of the real CLIs; and what every agent finds around it."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path


def test_an_agent_that_is_logged_out_rests_and_the_next_one_works(arena, trace):
    arena.settings({"agents": {"implementation": ["claude-code", "opencode"], "review": ["codex"]}})
    arena.agent("claude", {"default": {"implementation": [{"fail": "auth"}]}})
    arena.agent("opencode", {})

    ended = arena.orchestrate("--max-concurrent", "1")

    assert ended.returncode == 0, ended.text
    asked = [arena.prompts("claude", wp_id, "implementation") for wp_id in ("WP01", "WP02")]
    assert sum(map(len, asked)) == 1
    assert ended.text.count("claude-code rests for 60 s (auth)") == 1
    assert trace.survivors() == []


def test_a_rate_limited_agent_gives_the_work_to_the_next_one_and_no_retry_is_spent(arena):
    arena.settings(
        {"agents": {"implementation": ["claude-code", "opencode"], "review": ["codex"], "max_retries": 0}}
    )
    arena.agent("claude", {"default": {"implementation": [{"fail": "rate_limit"}]}})
    arena.agent("opencode", {})

    ended = arena.orchestrate("--max-concurrent", "1")

    assert ended.returncode == 0, ended.text
    assert ended.text.count("claude-code rests for ") == 1
    assert "(rate_limit)" in ended.text
    assert arena.lanes() == {"WP01": "done", "WP02": "done"}


def test_a_limit_is_told_to_the_next_run_of_the_project(arena):
    arena.settings({"agents": {"implementation": ["claude-code", "opencode"], "review": ["codex"]}})
    arena.agent("claude", {})
    arena.agent("opencode", {})
    first = arena.orchestrate("--max-concurrent", "1", "--impl-agent", "opencode")
    assert first.returncode == 0, first.text
    path = arena.root / ".kittify" / "orchestrator-run-state.json"
    rest = {"until": time.time() + 3600, "kind": "rate_limit", "strikes": 1, "message": "too many requests"}
    state = {**json.loads(path.read_text()), "resting": {"claude-code": rest}}
    path.write_text(json.dumps(state))

    ended = arena.orchestrate()

    assert ended.returncode == 0, ended.text
    assert re.search(r"claude-code rests until \d\d:\d\d \S+: too many requests", ended.text)
    assert json.loads(path.read_text())["resting"] == {"claude-code": rest}


def test_when_no_agent_can_work_the_run_ends_resumable_with_nothing_blocked(arena, trace):
    codex = arena.folder / "bin" / "codex"
    codex.write_text("#!/nowhere/node\n")
    codex.chmod(0o755)

    ended = arena.orchestrate()

    assert ended.returncode == 5, ended.text
    tries = [
        event for event in arena.events() if event["event"] == "AttemptStarted" and event["agent"] == "codex"
    ]
    assert 3 <= len(tries) <= 4  # the first of both work packages may be side by side
    assert set(arena.lanes().values()) <= {"planned", "in_progress", "for_review", "in_review"}
    assert "codex" in ended.text

    arena.agent("codex", {})  # installed again
    ended = arena.run("resume")
    assert ended.returncode == 0, ended.text
    assert arena.lanes() == {"WP01": "done", "WP02": "done"}
    assert trace.survivors() == []


def test_the_only_agent_may_review_what_it_implemented(arena):
    arena.agent("claude", {})
    ended = arena.orchestrate("--impl-agent", "claude-code", "--review-agent", "claude-code")
    assert ended.returncode == 0, ended.text
    assert len(arena.prompts("claude", "WP01", "review")) == 1


def test_an_agent_finds_its_folder_the_host_and_nothing_of_ours_on_its_command_line(arena):
    arena.agent("opencode", {})
    arena.environ["PWD"] = "/"

    assert arena.orchestrate("--impl-agent", "opencode").returncode == 0

    found = json.loads((arena.state / "opencode-WP01-implementation-1.json").read_text(encoding="utf-8"))
    workspace = arena.root / ".worktrees" / f"{arena.project.mission}-lane-a"
    # opencode and kilocode take their folder from PWD, the others from the working directory.
    assert Path(found["cwd"]) == Path(found["pwd"]) == workspace
    assert found["host"] == arena.environ["SK_ORCH_HOST_BINARY"]
    prompt = arena.prompts("opencode", "WP01", "implementation")[0]
    assert not any(line in word for word in found["argv"] for line in prompt.splitlines() if len(line) > 20)


def test_a_reviewer_that_edits_is_still_only_heard_for_its_verdict(arena):
    arena.agent(
        "codex",
        {"default": {"review": [{"run": ["sh", "-c", "echo spoilt > extra.txt"], "verdict": None}, {}]}},
    )
    ended = arena.orchestrate()
    assert ended.returncode == 0, ended.text
    assert "codex tries again in" in ended.text
    assert "(no_verdict)" in ended.text
