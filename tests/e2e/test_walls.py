"""On the real host, with bwrap around the agents: a mission is done as ever, and what is told of it is so."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from spec_kitty_orchestrator.demo.project import PlannedWorkPackage, ProjectPlan

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        shutil.which("bwrap") is None, reason="bwrap is not installed: apt-get install bubblewrap"
    ),
]
PLAN = ProjectPlan(
    "walls",
    (
        PlannedWorkPackage("WP01", "One", "Write `one.txt`.", ("one.txt",), ("Write it", "Check it")),
        PlannedWorkPackage("WP02", "Two", "Write `two.txt`.", ("two.txt",), ("Write it",), ("WP01",)),
    ),
)
TRIES = "for at in {root}/README.md {root}/.git/config {root}/.git/HEAD .git; do echo evil >> $at; done; true"


def test_a_mission_ends_accepted_behind_walls(enter, trace, template):
    arena = enter(template(PLAN))
    home = arena.folder / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_rsa").write_text("secret\n")
    (home / ".gitconfig").write_text("[user]\nname = Person\nemail = person@example.invalid\n")
    arena.environ["HOME"] = str(home)
    # The agents' interpreter; below /tmp, which is private inside, only what is on PATH is shown.
    arena.environ["PATH"] += os.pathsep + str(Path(sys.executable).parent)
    arena.settings(
        {
            "agents": {"implementation": ["claude-code"], "review": ["opencode"], "max_retries": 2},
            "sandbox": {"use": "bwrap", "writable": [str(arena.state)]},
            "policy": {"sandbox_mode": "workspace_write"},
            "refresh_seconds": 3600,
        }
    )
    arena.state.mkdir(exist_ok=True)
    tries = ["sh", "-c", TRIES.format(root=arena.root)]
    stolen = ["sh", "-c", f"cp {home}/.ssh/id_rsa {arena.state}/stolen; true"]
    meddles = ["sh", "-c", "echo evil > new.txt; echo evil >> one.txt; git commit -qam Evil; true"]
    arena.agent(
        "claude",
        {"WP01": {"implementation": [{"run": tries}]}, "WP02": {"implementation": [{"run": stolen}]}},
    )
    sent_back = [
        {"verdict": "changes_requested", "feedback": "mend one.txt:1", "run": meddles},
        {"run": meddles},
    ]
    arena.agent("opencode", {"state": str(home / ".local/share/opencode"), "WP01": {"review": sent_back}})
    config = (arena.root / ".git" / "config").read_text()

    ended = arena.orchestrate()

    assert ended.returncode == 0, ended.text
    assert arena.lanes() == {"WP01": "done", "WP02": "done"}
    assert (arena.root / ".git" / "config").read_text() == config
    assert "evil" not in (arena.root / "README.md").read_text()
    assert not (arena.state / "stolen").exists()
    assert not [
        event
        for event in arena.events()
        if event["event"] in ("SentBack", "AttemptEnded") and event.get("outcome") not in ("succeeded", None)
    ]
    starts = [call for call in arena.host_calls() if "start-implementation" in call or "start-review" in call]
    told = [re.findall(r'"(?:sandbox|network)_mode": "(\w+)"', call) for call in starts]
    work, review = ["workspace_write", "open"], ["read_only", "open"]
    assert told == [work, review, review, work, review]  # the second review is of the work that was sent back
    status = (arena.project.planning_dir / "status.json").read_text()
    assert '"T001": "done"' in status
    assert trace.survivors() == []


def test_what_was_asked_for_and_cannot_be_had_refuses_to_start(enter, template, tmp_path):
    arena = enter(template(PLAN))
    arena.agent("claude", {})
    arena.settings({"sandbox": {"use": "srt"}})
    ended = arena.orchestrate()
    assert ended.returncode == 2, ended.text
    assert "sandbox: srt needs srt" in ended.text
    assert "npm install -g @anthropic-ai/sandbox-runtime" in ended.text
    arena.settings({"sandbox": {"use": "bwrap", "writable": ["/nowhere/at/all"], "hidden": ["/"]}})
    ended = arena.orchestrate()
    assert ended.returncode == 2, ended.text
    assert "sandbox.writable: /nowhere/at/all is no folder here" in ended.text
    assert "sandbox.hidden: / holds" in ended.text
    assert arena.host_calls() == []
