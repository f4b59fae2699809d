"""A run whose money is spent half-way, on the real host: what is begun is handed over; with more it ends."""

from __future__ import annotations

import shlex
import time

import pytest

pytestmark = pytest.mark.e2e

PATIENCE = 600.0
SPENT = "budget spent: at least 2.00 of 1.50 USD (max_cost_usd; 1 of 3 attempts told no cost)"


def _waits(arena, name):
    """What an agent does that goes on once there is a file with this name."""
    path = shlex.quote(str(arena.folder / name))
    return {"run": ["sh", "-c", f"until [ -e {path} ]; do sleep 0.05; done"]}


def _wait_for_event(arena, words):
    deadline = time.monotonic() + PATIENCE
    while not any(words in path.read_text() for path in arena.root.glob(".kittify/logs/*/events.jsonl")):
        assert time.monotonic() < deadline, f"nobody said {words}"
        time.sleep(0.05)


def test_money_that_is_spent_ends_the_run_and_more_of_it_makes_it_go_on(enter, trace, apart):
    """Two agents are at work when the first has cost a dollar; a reviewer begins, who tells no cost."""
    arena = enter(apart(3))
    arena.settings(
        {
            "max_cost_usd": 1.5,
            "max_concurrent_wps": 2,
            "grace_seconds": 2,
            "agents": {
                "implementation": ["claude-code"],
                "review": ["codex"],
                "settings": {"claude-code": {"env": {"COSTS_USD": "1.0"}, "max_cost_usd": 3}},
            },
        }
    )
    arena.agent("claude", {wp_id: {"implementation": [_waits(arena, wp_id)]} for wp_id in ("WP01", "WP02")})
    arena.agent("codex", {"WP01": {"review": [_waits(arena, "review")]}})
    process = arena.start("orchestrate", "--mission", arena.project.mission)
    for wp_id in ("WP01", "WP02"):
        arena.wait_for_prompt("claude", wp_id, "implementation")
    (arena.folder / "WP01").touch()
    arena.wait_for_prompt("codex", "WP01", "review")
    (arena.folder / "WP02").touch()
    _wait_for_event(arena, "budget spent")
    (arena.folder / "review").touch()
    ended = arena.finish(process)

    assert ended.returncode == 5, ended.text
    assert "max_cost_usd: no cost is told by codex: what they spend does not count" in ended.stdout
    assert f"{SPENT}; go on with: spec-kitty-orchestrator resume --max-cost-usd MORE" in ended.stdout
    assert "spent: 3 attempts, 600 tokens in, 120 out, at least 2.00 USD" in ended.stdout
    assert arena.lanes() == {"WP01": "done", "WP02": "for_review", "WP03": "planned"}
    totals = arena.events()[-1]["totals"]
    assert totals["by_agent"]["claude-code"]["cost_usd"] == 2.0
    assert totals["by_work_package"]["WP01"]["untold"] == 1

    calls = len(arena.host_calls())
    ended = arena.run("resume")
    assert ended.returncode == 5, ended.text
    assert SPENT in ended.stdout
    assert {call.split()[0] for call in arena.host_calls()[calls:]} <= {
        *("contract-version", "mission-state", "list-ready")
    }
    shown = arena.run("status", COLUMNS="200").stdout
    assert "  claude-code: 2 attempts, 400 tokens in, 80 out, 2.00 USD" in shown
    assert "  codex: 1 attempt, 200 tokens in, 40 out, cost not told" in shown
    assert "at least 1.00 USD" in shown

    ended = arena.run("resume", "--max-cost-usd", "10")
    assert ended.returncode == 0, ended.text
    assert set(arena.lanes().values()) == {"done"}
    for binary, role in (("claude", "implementation"), ("codex", "review")):
        assert [len(arena.prompts(binary, wp_id, role)) for wp_id in arena.project.wp_ids] == [1, 1, 1]
    assert trace.survivors() == []
