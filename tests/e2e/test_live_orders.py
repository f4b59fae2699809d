"""A live run on the real host: it waits for a person, is paused, told to try again, and goes on."""

from __future__ import annotations

import json
import time

import pytest

pytestmark = pytest.mark.e2e

HOLD = {"run": ["sh", "-c", "until [ -e ../../released ]; do sleep 0.05; done"]}
REJECT = {"verdict": "changes_requested", "feedback": "no prose"}
MINUTES = 600.0


def until(what):
    give_up_at = time.monotonic() + MINUTES
    while not what():
        assert time.monotonic() < give_up_at
        time.sleep(0.1)


def test_a_run_that_waits_for_people_is_paused_told_to_try_again_and_goes_on(enter, trace, apart):
    """WP01 is blocked, which a person is told; WP02 is handed over in the pause."""
    arena = enter(apart(2))
    root = arena.project.root
    tell = {name: [["sh", "-c", f"cat > {name}.json"]] for name in ("on_attention", "on_finish")}
    agents = {"implementation": ["claude-code"], "review": ["codex"], "max_retries": 0}
    arena.settings({"agents": agents, "grace_seconds": 2, "refresh_seconds": 5, **tell})
    arena.agent("claude", {"WP02": {"implementation": [HOLD]}})
    arena.agent("codex", {"WP01": {"review": [REJECT, {}]}})
    process = arena.start("orchestrate", "--mission", arena.project.mission, "--wait-for-people")
    until((root / "on_attention.json").exists)
    paused = arena.run("pause")
    assert paused.returncode == 0, paused.text
    (root / "released").touch()
    until(lambda: arena.lanes() == {"WP01": "blocked", "WP02": "for_review"})
    again = arena.run("retry", "WP01", "--feedback", "Prose is fine.")
    assert again.returncode == 0, again.text
    assert arena.lanes()["WP01"] == "in_progress"
    assert len(arena.prompts("claude", "WP01", "implementation")) == 1
    assert "PAUSED since" in arena.run("status").stdout
    assert arena.run("unpause").returncode == 0
    ended = arena.finish(process)
    assert ended.returncode == 0, ended.text
    assert set(arena.lanes().values()) == {"done"}
    assert "Prose is fine." in arena.prompts("claude", "WP01", "implementation")[1]
    attention = json.loads((root / "on_attention.json").read_text())
    assert [matter["wp_id"] for matter in attention["matters"]] == ["WP01"]
    finish = json.loads((root / "on_finish.json").read_text())
    assert [finish["exit_code"], finish["work_packages"]] == [0, {"WP01": "done", "WP02": "done"}]
    assert trace.survivors() == []
