"""A mission on the real host, from planned to its end, with agents under the names of the real ones."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.e2e

AGENTS = {"implementation": ["claude-code"], "review": ["codex"]}
CALLS_PER_WP = 4  # start-implementation, for_review, start-review, done
CALLS_OF_A_RUN = 3  # contract-version, mission-state, accept-mission


def test_a_diamond_of_four_goes_from_planned_to_accepted(enter, trace, diamond):
    arena = enter(diamond)
    # No look at what people did meanwhile: on a slow machine that would be one call more every 30 s.
    arena.settings({"agents": AGENTS, "refresh_seconds": 3600})
    arena.agent("claude", {})
    arena.agent("codex", {})

    ended = arena.orchestrate()

    assert ended.returncode == 0, ended.text
    assert arena.lanes() == dict.fromkeys(diamond.wp_ids, "done")
    calls = arena.host_calls()
    assert len(calls) <= CALLS_PER_WP * len(diamond.wp_ids) + CALLS_OF_A_RUN, calls
    assert [call.split()[0] for call in calls[-1:]] == ["accept-mission"]
    assert trace.survivors() == []
    order = [event["wp_id"] for event in arena.events() if event["event"] == "AttemptStarted"]
    assert order[:2] == ["WP01", "WP01"]
    assert order[-2:] == ["WP04", "WP04"]
    # What WP04 depends on is there to build upon.
    at_the_top = arena.project.git("ls-tree", "--name-only", _branch_of(arena, "WP04")).split()
    assert {f"wp0{n}.txt" for n in (1, 2, 3, 4)} <= set(at_the_top)


def _branch_of(arena, wp_id):
    prompt = arena.prompts("claude", wp_id, "implementation")[0]
    return prompt.partition("Your branch: ")[2].partition(",")[0]


FEEDBACK = "the last line must say 'done'"


def test_each_work_package_meets_its_own_trouble(enter, trace, apart):
    arena = enter(apart(5))
    arena.settings({"agents": {**AGENTS, "implementation": ["claude-code", "opencode"], "max_retries": 1}})
    rejected_once = [{"verdict": "changes_requested", "feedback": FEEDBACK}, {}]
    arena.agent(
        "claude",
        {
            "WP03": {"implementation": [{"commit": False, "mark": False}, {"mark": False}]},
            "WP05": {"implementation": [{"signal": "SIGKILL"}]},
        },
    )
    arena.agent(
        "codex",
        {
            "WP01": {"review": rejected_once},
            "WP02": {"review": [{"silent": True}, {"say": "approved", "verdict": None}]},
            "WP04": {"review": [{"verdict": "changes_requested", "feedback": "still wrong"}]},
        },
    )
    arena.agent("opencode", {})

    ended = arena.orchestrate()

    assert ended.returncode == 1, ended.text
    lanes = {**dict.fromkeys(arena.project.wp_ids, "done"), "WP02": "blocked", "WP04": "blocked"}
    assert arena.lanes() == lanes, ended.text
    assert trace.survivors() == []

    # A rejection's feedback reaches the next implementation prompt.
    first, second = arena.prompts("claude", "WP01", "implementation")
    assert FEEDBACK not in first
    assert FEEDBACK in second
    # A reviewer that exits 0 without a verdict, or just says the word, never approves.
    assert len(arena.prompts("codex", "WP02", "review")) == 2
    # Work without a commit, or with unmarked subtasks, comes back with what is wrong; that reaches the next
    # agent too, when the first has used up its retries.
    assert "- wp03.txt" in _feedback(arena.prompts("claude", "WP03", "implementation")[1])
    assert "subtasks" in _feedback(arena.prompts("opencode", "WP03", "implementation")[0])
    # The limit of rework: max_retries rejections are worked on, one more is the end.
    assert len(arena.prompts("claude", "WP04", "implementation")) == 2
    assert "still wrong" in ended.text
    # An agent that keeps crashing gives way to the next one.
    assert len(arena.prompts("claude", "WP05", "implementation")) == 2
    assert len(arena.prompts("opencode", "WP05", "implementation")) == 1
    # All that is reported by name.
    assert "WP02" in ended.text


def _feedback(prompt):
    return prompt.partition("\n<feedback-")[2].partition("</feedback-")[0]


def test_a_dry_run_shows_the_plan_and_leaves_no_trace(enter, diamond, digest):
    arena = enter(diamond)
    arena.settings({"agents": AGENTS})
    arena.agent("claude", {})
    arena.agent("codex", {})
    before = digest(arena.root)

    ended = arena.orchestrate("--dry-run")

    assert ended.returncode == 0, ended.text
    assert digest(arena.root) == before
    for shown in (*diamond.wp_ids, "claude-code", "codex", "stream-json"):
        assert shown in ended.stdout
    assert not arena.state.exists()
    assert {call.split()[0] for call in arena.host_calls()} <= {
        "contract-version",
        "mission-state",
        "list-ready",
    }
