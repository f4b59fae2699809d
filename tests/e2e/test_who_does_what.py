"""On the real host: agents for one work package, two reviewers for each commit, a part of a mission first."""

from __future__ import annotations

import json

import pytest

from spec_kitty_orchestrator.demo.project import PlannedWorkPackage, ProjectPlan

pytestmark = pytest.mark.e2e

AGENTS = {
    "implementation": ["claude-code"],
    "review": ["codex", "opencode"],
    "reviews_required": 2,
    "by_work_package": {"WP03": {"implementation": ["opencode"], "review": ["codex", "claude-code:haiku"]}},
    "escalate_after_rejections": {"after": 1, "to": ["claude-code:opus"]},
}
AFTER = {"WP01": (), "WP02": ("WP01",), "WP03": ()}


def _plan():
    def planned(wp_id, waits):
        name = wp_id.lower()
        return PlannedWorkPackage(
            wp_id, f"Write {name}", f"Write `{name}.txt`.", (f"{name}.txt",), ("Write it",), waits
        )

    return ProjectPlan("who", tuple(planned(wp_id, waits) for wp_id, waits in AFTER.items()))


def _asked(arena):
    """Who was asked for what, in order; with the models."""
    asked = {}
    for event in arena.events():
        if event["event"] == "AttemptStarted":
            asked.setdefault((event["wp_id"], event["role"]), []).append(event["agent"])
    return asked


def test_who_was_chosen_does_it_and_two_approve_each_commit(enter, trace, template):
    arena = enter(template(_plan()))
    arena.settings({"agents": AGENTS, "refresh_seconds": 3600})
    arena.agent("claude", {})
    arena.agent("codex", {})
    sends_back = [{"verdict": "changes_requested", "feedback": "mend wp01.txt:1"}, {}]
    arena.agent("opencode", {"WP01": {"review": sends_back}})

    ended = arena.orchestrate("--until", "WP01")

    assert ended.returncode == 1, ended.text
    assert "what was asked for is done: WP01; for the rest: " in ended.text
    assert arena.lanes() == {"WP01": "done", "WP02": "planned", "WP03": "planned"}
    calls = arena.host_calls()
    assert sum("start-review" in call for call in calls) == 2  # not once for each reviewer
    asked = _asked(arena)
    assert asked["WP01", "implementation"] == ["claude-code", "claude-code:opus"]
    assert asked["WP01", "review"] == ["codex", "opencode", "codex", "opencode"]
    verdicts = [event for event in arena.events() if event["event"] == "VerdictGiven"]
    said = [(each["verdict"], each["commit"]) for each in verdicts]
    judged = arena.project.git("rev-parse", f"kitty/mission-{arena.project.mission}-lane-a").strip()
    assert said[2:] == [("approved", judged)] * 2
    assert said[0][1] == said[1][1] != judged
    given = [json.loads(path.read_text())["argv"] for path in sorted(arena.state.glob("claude-WP01-*.json"))]
    assert ["--model" in argv for argv in given] == [False, True]
    assert given[1][given[1].index("--model") + 1] == "opus"

    ended = arena.run("resume", "--until", "")

    assert ended.returncode == 0, ended.text
    asked = _asked(arena)
    assert asked["WP03", "implementation"] == ["opencode"]
    assert asked["WP03", "review"] == ["codex", "claude-code:haiku"]
    assert asked["WP02", "review"] == ["codex", "opencode"]
    assert "approved by codex and claude-code:haiku" in ended.text
    assert trace.survivors() == []
