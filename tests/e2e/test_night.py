"""What happens in a night on the real host, none of which costs a work package or pays an agent twice."""

from __future__ import annotations

import itertools
import json
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from spec_kitty_orchestrator.demo.project import POLICY, PlannedWorkPackage, ProjectPlan

pytestmark = pytest.mark.e2e

AGENTS = {"agents": {"implementation": ["claude-code"], "review": ["codex"]}, "grace_seconds": 2}
PATIENCE = 600.0
"""Seconds for anything that a test waits for on a slow machine; reached only when it never comes."""


@pytest.fixture
def patience():
    """What is set by default."""
    return "600"


def _wait_until(happened, run=None):
    """Returns once something has happened, at the latest before this run ends."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        assert run is None or run.poll() is None, run.communicate()
        time.sleep(0.1)


def _events(arena, kind, wp_id):
    """The events of one kind about one work package; half a line that is being written is none yet."""
    try:
        found = arena.events()
    except json.JSONDecodeError:
        return []
    return [event for event in found if event["event"] == kind and event["wp_id"] == wp_id]


def _asked(arena):
    """Who was at work on what, in order, without repetitions."""
    started = [event for event in arena.events() if event["event"] == "AttemptStarted"]
    return [wp_id for wp_id, _ in itertools.groupby(event["wp_id"] for event in started)]


def _call(arena, *words):
    """Where in the run a host call with these words came first."""
    return next(n for n, call in enumerate(arena.host_calls()) if all(word in call for word in words))


def _last_call(arena, *words):
    """Where in the run a host call with these words came last."""
    return max(n for n, call in enumerate(arena.host_calls()) if all(word in call for word in words))


def _judged(arena, wp_id):
    """The subjects of the commits that the last review of one was shown."""
    shown = arena.prompts("codex", wp_id, "review")[-1].partition("git diff --no-ext-diff ")[2]
    return arena.project.git("log", "--format=%s", shown.splitlines()[0]).splitlines()


# One lane.


@pytest.fixture
def lane(enter, template):
    """WP02 and WP03 do not need each other, and both own files that WP01 owns as well: one lane for all."""
    files = {"WP01": ("one.txt", "two.txt", "three.txt"), "WP02": ("two.txt",), "WP03": ("three.txt",)}
    wps = tuple(
        PlannedWorkPackage(
            wp_id,
            f"Write {wp_id}",
            "Write your files.",
            owned,
            dependencies=() if wp_id == "WP01" else ("WP01",),
        )
        for wp_id, owned in files.items()
    )
    arena = enter(template(ProjectPlan("one-lane", wps)))
    arena.settings({**AGENTS, "refresh_seconds": 3600})
    arena.agent("codex", {})
    return arena


def test_half_done_work_in_a_lane_is_gone_on_with_before_another_one_begins(lane, trace):
    """It is there when the run is killed, and again when the agent ends without a commit.

    Both may have been claimed before either began, as nobody knew yet that it is one lane.
    """
    half = {"run": ["sh", "-c", "echo half > two.txt; sleep 600"]}
    lane.agent("claude", {"WP02": {"implementation": [half, {"commit": False}, {}]}})
    process = lane.start("orchestrate", "--mission", lane.project.mission)
    lane.wait_for_prompt("claude", "WP02", "implementation")
    (workspace,) = (lane.root / ".worktrees").iterdir()
    _wait_until(lambda: (workspace / "two.txt").read_text() == "half\n")
    process.send_signal(signal.SIGKILL)
    assert lane.finish(process).returncode == -signal.SIGKILL
    _wait_until(lambda: trace.survivors() == [])

    ended = lane.run("resume")

    assert ended.returncode == 0, ended.text
    assert lane.lanes() == dict.fromkeys(lane.project.wp_ids, "done")
    assert _asked(lane) == ["WP01", "WP02", "WP03"]
    assert "- two.txt" in lane.prompts("claude", "WP02", "implementation")[2]
    last_of_wp02 = _call(lane, "transition", "--wp WP02", "--to done")
    assert _last_call(lane, "start-implementation", "--wp WP03") > last_of_wp02
    assert _judged(lane, "WP01") == ["WP01: attempt 1"]
    assert _judged(lane, "WP02") == ["WP02: attempt 3"]
    assert _judged(lane, "WP03") == ["WP03: attempt 1"]
    assert trace.survivors() == []


def test_a_persons_half_done_work_in_a_lane_is_waited_for(lane, trace):
    lane.agent("claude", {})
    project = lane.project
    of_wp01 = ("--mission", project.mission, "--wp", "WP01", "--actor", "somebody")
    policy = ("--policy", json.dumps(POLICY))
    said = project.host_api("start-implementation", *of_wp01, *policy)
    workspace = Path(str(said["workspace_path"]))
    project.git("-C", str(workspace), "commit", "-q", "--allow-empty", "-m", "Somebody's first")
    by_hand = ("--to", "approved", "--force", "--note", "by hand")
    project.host_api("transition", *of_wp01, *by_hand, *policy)
    (workspace / "one.txt").write_text("half\n", encoding="utf-8")

    process = lane.start("orchestrate", "--mission", project.mission)
    _wait_until(lambda: _events(lane, "WpPutOff", "WP02") or _events(lane, "WpPutOff", "WP03"), process)
    assert (workspace / "one.txt").read_text(encoding="utf-8") == "half\n"
    project.git("-C", str(workspace), "add", "one.txt")
    project.git("-C", str(workspace), "commit", "-q", "-m", "Somebody's second")
    ended = lane.finish(process)

    assert ended.returncode == 0, ended.text
    assert lane.lanes() == {"WP01": "approved", "WP02": "done", "WP03": "done"}
    assert _judged(lane, "WP02") == ["WP02: attempt 1"]
    assert _judged(lane, "WP03") == ["WP03: attempt 1"]
    assert trace.survivors() == []


# A host that breaks down.

MOMENTS = {
    "1-claim": "start-implementation",
    "2-hand-over": "--to for_review",
    "3-review": "start-review",
    "4-approve": "--to done",
    "5-accept": "accept-mission",
}
HELD_SECONDS = {"1-claim": 30.0}
"""How long the lock is held at least; elsewhere until a call has crashed on it."""

# An acceptance touches no index (3.2.7): it is made to crash.
HOST_AND_EDITOR = """
printf "%s\\0" "$*" >> {log}
for moment in {moments}/*; do
    if [ -e "$moment" ] && case "$*" in *"$(cat "$moment")"*) true ;; *) false ;; esac; then
        mv "$moment" {taken}/ && : > {lock}
        break
    fi
done
if [ -e {lock} ] && case "$*" in *accept-mission*) true ;; *) false ;; esac; then
    echo "$*" >> {crashed}
    exit 1
fi
{host} "$@"
status=$?
[ "$status" = 0 ] || [ ! -e {lock} ] || echo "$*" >> {crashed}
exit "$status"
"""


def test_a_lock_that_somebody_else_holds_costs_no_more_than_time(enter, trace, apart):
    """An editor in the middle of its own commit, say, at each move and at the acceptance."""
    arena = enter(apart(1))
    arena.settings({**AGENTS, "refresh_seconds": 3600})
    arena.agent("claude", {})
    arena.agent("codex", {})
    lock, crashed = arena.root / ".git" / "index.lock", arena.folder / "crashed"
    moments, taken = arena.folder / "moments", arena.folder / "taken"
    for folder in (moments, taken):
        folder.mkdir()
    for moment, words in MOMENTS.items():
        (moments / moment).write_text(words, encoding="utf-8")
    places = {
        "log": arena.folder / "host-calls",
        "host": arena.project.host,
        "moments": moments,
        "taken": taken,
        "lock": lock,
        "crashed": crashed,
    }
    command = HOST_AND_EDITOR.format(**{name: shlex.quote(str(path)) for name, path in places.items()})
    host = Path(arena.environ["SK_ORCH_HOST_BINARY"])
    host.write_text(f"#!/bin/sh\n{command}", encoding="utf-8")

    process = arena.start("orchestrate", "--mission", arena.project.mission)
    seen = {}
    while process.poll() is None:
        held = [moment.name for moment in taken.iterdir()]
        if held and crashed.exists() and lock.exists():
            time.sleep(HELD_SECONDS.get(held[0], 1.0))
            seen[held[0]] = crashed.read_text(encoding="utf-8").splitlines()
            (taken / held[0]).unlink()
            crashed.unlink()
            lock.unlink()
        time.sleep(0.1)
    ended = arena.finish(process)

    assert ended.returncode == 0, ended.text
    assert list(seen) == list(MOMENTS), ended.text
    assert arena.lanes() == {"WP01": "done"}
    assert len(arena.prompts("claude", "WP01", "implementation")) == 1
    assert len(arena.prompts("codex", "WP01", "review")) == 1
    assert all(event["by_us"] for event in _events(arena, "LaneChanged", "WP01"))
    assert trace.survivors() == []


# An agent that deletes the worktree that it is in.


def test_a_worktree_that_its_agent_deletes_is_made_anew_by_the_host_or_as_we_say(enter, trace, apart):
    """A claim makes it anew; while it is reviewed nobody does, until the command that we name is pasted."""
    arena = enter(apart(1))
    arena.settings({**AGENTS, "refresh_seconds": 3600})
    delete = {"run": ["sh", "-c", 'rm -rf "$PWD"'], "files": {}, "commit": False, "mark": False}
    arena.agent("claude", {"WP01": {"implementation": [delete, {}]}})
    arena.agent("codex", {"WP01": {"review": [delete, {}]}})

    process = arena.start("orchestrate", "--mission", arena.project.mission)
    arena.wait_for_prompt("codex", "WP01", "review")
    _wait_until(lambda: len(_events(arena, "WpPutOff", "WP01")) >= 2, process)
    said = _events(arena, "WpPutOff", "WP01")[-1]["reason"]
    repair = said.partition("then: ")[2].partition("; and run again")[0]
    subprocess.run(["sh", "-ec", repair], cwd=arena.root, env=arena.project.environ, check=True)
    ended = arena.finish(process)

    assert ended.returncode == 0, ended.text
    assert arena.lanes() == {"WP01": "done"}
    assert len(arena.prompts("claude", "WP01", "implementation")) == 2
    assert len(arena.prompts("codex", "WP01", "review")) == 2
    assert "cannot start" not in ended.text
    assert trace.survivors() == []


# People.


def test_what_a_person_blocks_is_gone_on_with_once_they_unblock_it_or_take_it_back(enter, trace, apart):
    """WP01 is unblocked; WP02 is taken back, with words that reach the next agent."""
    arena = enter(apart(2))
    arena.settings({**AGENTS, "refresh_seconds": 5})
    go = arena.folder / "go"
    until_told = {"run": ["sh", "-c", f"while [ ! -e {shlex.quote(str(go))} ]; do sleep 0.2; done"]}
    for_long = {"sleep": 600}
    arena.agent(
        "claude",
        {
            "WP01": {"implementation": [for_long, until_told]},
            "WP02": {"implementation": [for_long, {}]},
        },
    )
    arena.agent("codex", {})
    words = arena.folder / "why.md"
    words.write_text("Mind the umlauts.\n", encoding="utf-8")

    def move(wp_id, lane, *more):
        argv = (str(arena.project.host), "agent", "tasks", "move-task", wp_id, "--to", lane, *more)
        argv += ("--mission", arena.project.mission)
        subprocess.run(argv, cwd=arena.root, env=arena.project.environ, check=True, capture_output=True)

    process = arena.start("orchestrate", "--mission", arena.project.mission)
    for wp_id in ("WP01", "WP02"):
        arena.wait_for_prompt("claude", wp_id, "implementation")
        move(wp_id, "blocked")
        if wp_id == "WP01":
            _wait_until(lambda: _events(arena, "AttemptEnded", "WP01"), process)
            move("WP01", "in_progress")
            arena.wait_for_prompt("claude", "WP01", "implementation", 2)
    _wait_until(lambda: _events(arena, "AttemptEnded", "WP02"), process)
    move("WP02", "planned", "--force", "--review-feedback-file", str(words))
    arena.wait_for_prompt("claude", "WP02", "implementation", 2)
    go.touch()
    ended = arena.finish(process)

    assert ended.returncode == 0, ended.text
    assert arena.lanes() == {"WP01": "done", "WP02": "done"}
    for wp_id in ("WP01", "WP02"):
        assert _events(arena, "AttemptEnded", wp_id)[0]["outcome"] == "interrupted"
        assert len(arena.prompts("claude", wp_id, "implementation")) == 2
    second = arena.prompts("claude", "WP02", "implementation")[1]
    where = second.partition("files of their own: ")[2].splitlines()[0]
    (written,) = Path("/").glob(where.removeprefix("/"))
    assert "Mind the umlauts." in written.read_text(encoding="utf-8")
    assert trace.survivors() == []
