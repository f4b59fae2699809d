"""What a run does with work that it finds: its own from an interrupted run, and anybody's in any lane."""

from __future__ import annotations

import json
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spec_kitty_orchestrator.demo.project import POLICY

pytestmark = pytest.mark.e2e

OUR_ACTOR = "spec-kitty-orchestrator"
AGENTS = {"agents": {"implementation": ["claude-code"], "review": ["codex"]}}


def test_a_run_interrupted_while_implementing_and_while_reviewing_is_resumed_to_its_end(enter, trace, apart):
    arena = enter(apart(1))
    arena.settings({**AGENTS, "grace_seconds": 2})
    arena.agent("claude", {"WP01": {"implementation": [{"sleep": 600}, {}]}})
    arena.agent("codex", {"WP01": {"review": [{"sleep": 600}, {}]}})

    process = arena.start("orchestrate", "--mission", arena.project.mission)
    arena.wait_for_prompt("claude", "WP01", "implementation")
    process.send_signal(signal.SIGINT)
    ended = arena.finish(process)
    assert ended.returncode == 130, ended.text
    assert "spec-kitty-orchestrator resume" in ended.text
    assert trace.survivors() == []
    assert "interrupted" in arena.run("status").stdout

    process = arena.start("resume")
    arena.wait_for_prompt("codex", "WP01", "review")
    process.send_signal(signal.SIGTERM)
    ended = arena.finish(process)
    assert ended.returncode == 143, ended.text
    assert trace.survivors() == []

    ended = arena.run("resume")
    assert ended.returncode == 0, ended.text
    assert arena.lanes() == {"WP01": "done"}
    assert len(arena.prompts("claude", "WP01", "implementation")) == 2
    assert len(arena.prompts("codex", "WP01", "review")) == 2
    # Claiming it again tells whose it is by now; a review that was begun is taken up without force.
    calls = [call.split()[0] for call in arena.host_calls()]
    assert [calls.count(name) for name in ("start-implementation", "resolve-workspace", "start-review")] == [
        2,
        1,
        2,
    ]
    assert not any("--force" in call for call in arena.host_calls())
    assert calls[-1] == "accept-mission"
    assert trace.survivors() == []


def test_a_work_package_that_a_person_takes_back_is_begun_anew_with_what_they_wrote(enter, trace, apart):
    """Taken back while its agent works: that one is stopped, and the next is led to the person's words."""
    arena = enter(apart(1))
    arena.settings({**AGENTS, "grace_seconds": 2, "refresh_seconds": 2})
    arena.agent("claude", {"WP01": {"implementation": [{"sleep": 600}, {}]}})
    arena.agent("codex", {})
    process = arena.start("orchestrate", "--mission", arena.project.mission)
    arena.wait_for_prompt("claude", "WP01", "implementation")
    words = arena.folder / "why.md"
    words.write_text("Mind the umlauts.\n", encoding="utf-8")
    take_back = ["agent", "tasks", "move-task", "WP01", "--to", "planned", "--force"]
    why = ["--review-feedback-file", str(words), "--mission", arena.project.mission]
    subprocess.run(
        [str(arena.project.host), *take_back, *why], cwd=arena.root, env=arena.project.environ, check=True
    )
    ended = arena.finish(process)

    assert ended.returncode == 0, ended.text
    assert "WP01 → planned (by someone else)" in ended.text
    assert trace.survivors() == []
    second = arena.prompts("claude", "WP01", "implementation")[1]
    where = second.partition("files of their own: ")[2].splitlines()[0]
    (written,) = Path("/").glob(where.removeprefix("/"))
    assert "Mind the umlauts." in written.read_text(encoding="utf-8")


FOUND = {
    "WP01": ("planned", "done"),
    "WP02": ("in_progress by our actor, unrecorded", "done"),
    "WP03": ("in_progress by another", "in_progress"),
    "WP04": ("for_review", "done"),
    "WP05": ("in_review, unrecorded", "in_review"),
    "WP06": ("approved", "approved"),
    "WP07": ("canceled", "canceled"),
    "WP08": ("blocked", "blocked"),
    "WP09": ("claimed by our actor, unrecorded", "done"),
}


def test_each_lane_is_taken_up_as_the_table_of_the_design_says(enter, trace, apart):
    arena = enter(apart(len(FOUND)))
    arena.settings(AGENTS)
    arena.agent("claude", {})
    arena.agent("codex", {})
    _bring_into_their_lanes(arena.project)

    ended = arena.orchestrate()

    assert ended.returncode == 1, ended.text
    assert arena.lanes() == {wp_id: after for wp_id, (_, after) in FOUND.items()}, ended.text
    worked_on = {path.name.split("-")[1] for path in arena.state.glob("claude-*.md")}
    reviewed = {path.name.split("-")[1] for path in arena.state.glob("codex-*.md")}
    assert worked_on == {"WP01", "WP02", "WP09"}
    assert reviewed == {"WP01", "WP02", "WP04", "WP09"}
    for left in ("WP03", "WP05", "WP07", "WP08"):
        assert left in ended.text
    assert "someone" in ended.text  # who holds WP03
    assert trace.survivors() == []


def _bring_into_their_lanes(project):
    """Each on its own, two at a time: the host serializes what must be, and a call costs seconds."""
    policy = ("--policy", json.dumps(POLICY))

    def start(wp_id, actor):
        return project.host_api("start-implementation", *_for(project, wp_id, actor), *policy)

    def move(wp_id, lane, *more, actor="someone"):
        project.host_api("transition", *_for(project, wp_id, actor), "--to", lane, *policy, *more)

    def hand_over(wp_id):
        workspace = start(wp_id, "someone")["workspace_path"]
        project.git("-C", workspace, "commit", "-q", "--allow-empty", "-m", "Nothing to do")
        move(wp_id, "for_review", *force)

    force = ("--force", "--note", "set up by a test")
    steps = [
        lambda: start("WP03", "someone"),
        lambda: hand_over("WP04"),
        lambda: (start("WP05", "someone"), move("WP05", "in_review", *force)),
        lambda: move("WP06", "approved", *force),
        lambda: move("WP07", "canceled"),
        lambda: move("WP08", "blocked", *force),
        lambda: move("WP09", "claimed", actor=OUR_ACTOR),
    ]
    start("WP02", OUR_ACTOR)  # alone: the host makes the mission's branch, and two at once may collide there
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(step) for step in steps]:
            done.result()


def _for(project, wp_id, actor):
    return ("--mission", project.mission, "--wp", wp_id, "--actor", actor)
