"""What doctor says of a real project after a real run, and of the same one when it is broken."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "doctor.txt"
SETTINGS = {"agents": {"implementation": ["claude-code"], "review": ["codex"]}, "refresh_seconds": 3600}

OF_THE_MACHINE = [
    (r"^  warning  (container|systemd unit):.*\n.*\n", ""),
    (r"^  ok       sleep:.*\n", ""),
    (r"limit \d+, can be raised to (\d+|any number)", "limit N, can be raised to N"),
    (r"[\d.]+ [GM]iB free", "N GiB free"),
    (r"\(\d+\.\d s\)", "(N s)"),
    (r"version [\d.]+, contract [\d.]+", "version N, contract N"),
    (r"\d{8}-\d{6}-[0-9a-f]{4}", "RUN"),
    (r"apart-1-\w{8}", "apart-1-ID"),
    (r"(\d+ warnings?|all is well)(?=: see above$|$)", "N warnings"),
]


def normalised(arena, text):
    """Without what is the machine's, the host's or the moment's own."""
    text = text.replace(str(arena.root), "/project").replace(str(arena.folder), "/world")
    for pattern, instead in OF_THE_MACHINE:
        text = re.sub(pattern, instead, text, flags=re.MULTILINE)
    return text


def test_it_says_what_it_said_of_a_project_that_was_finished_and_what_is_broken_since(enter, trace, apart):
    arena = enter(apart(1))
    arena.settings(SETTINGS)
    arena.agent("claude", {})
    arena.agent("codex", {})
    mission = arena.project.mission
    ended = arena.orchestrate()
    assert ended.returncode == 0, ended.text

    doctor = arena.run("doctor", "--mission", mission)
    assert (doctor.returncode, doctor.stderr) == (0, ""), doctor.text
    told = normalised(arena, doctor.stdout)
    if os.environ.get("SK_ORCH_WRITE_GOLDEN"):
        GOLDEN.write_text(told, encoding="utf-8")
    assert told == GOLDEN.read_text(encoding="utf-8")

    lock, folder = arena.root / ".git" / "index.lock", arena.root / ".worktrees" / "mine"
    lock.touch()
    os.utime(lock, (0, 0))
    folder.mkdir()
    arena.settings({**SETTINGS, "max_concurrent_wps": 65})
    broken = arena.run("doctor", "--json")
    assert (broken.returncode, broken.stderr) == (1, ""), broken.text
    errors = {
        each["what"]: each for each in json.loads(broken.stdout)["findings"] if each["level"] == "error"
    }
    assert {*errors} == {"settings", "worktrees", "index.lock"}
    assert errors["index.lock"]["remedy"].endswith(f"rm '{lock}'")
    assert "max_concurrent_wps" in errors["settings"]["found"]
    assert trace.survivors() == []
