"""The scripted agent reads the prompts that we write, and is read as the real CLIs are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

from spec_kitty_orchestrator.agents import get_agent
from spec_kitty_orchestrator.agents.failure import classify
from spec_kitty_orchestrator.agents.spec import FailureKind
from spec_kitty_orchestrator.agents.transcript import open_reader
from spec_kitty_orchestrator.demo import scripted_agent
from spec_kitty_orchestrator.host.workspace import Workspace
from spec_kitty_orchestrator.mission import prompts
from spec_kitty_orchestrator.mission.verdict import read_verdict
from spec_kitty_orchestrator.processes.ending import EndedBy

VOICE = Path(__file__).parents[1] / "speaking_agent.py"
REF = "review/WP01/1-0f0f0f0f"
WP_TEXT = """\
---
work_package_id: WP01
subtasks:
- T001
- T002
owned_files:
- src/one.txt
---

# WP01
"""


@frozen
class Ended:
    returncode: int
    signal: int | None = None
    ended_by: EndedBy = EndedBy.EXITED


@frozen
class Bench:
    """A git folder as workspace, and a host that writes down what it is asked."""

    folder: Path
    assignment: prompts.Assignment

    def ask(self, prompt: str, act: dict, speak: str = "", *given: str) -> subprocess.CompletedProcess[str]:
        script = self.folder / "script.json"
        script.write_text(
            json.dumps({"default": {"implementation": [act], "review": [act]}}), encoding="utf-8"
        )
        voice = [str(VOICE), speak] if speak else []
        argv = [sys.executable, "-I", "-S", *voice, scripted_agent.__file__, "--script", str(script)]
        return subprocess.run(
            [*argv, "--", *given],
            cwd=self.assignment.workspace.path,
            input=prompt,
            capture_output=True,
            text=True,
            check=False,
        )

    def marked(self) -> list[str]:
        asked = self.folder / "asked"
        return asked.read_text(encoding="utf-8").splitlines() if asked.exists() else []

    def commits(self) -> int:
        argv = ["git", "rev-list", "--all", "--count"]
        done = subprocess.run(
            argv, cwd=self.assignment.workspace.path, capture_output=True, text=True, check=True
        )
        return int(done.stdout)


@pytest.fixture
def bench(tmp_path: Path, clean_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Bench:
    for name, value in clean_environ.items():
        monkeypatch.setenv(name, value)
    workspace = tmp_path / "work space"
    workspace.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "lane-a"], cwd=workspace, check=True)
    host = tmp_path / "the host's tools" / "spec-kitty"
    host.parent.mkdir()
    host.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/asked"\n', encoding="utf-8")
    host.chmod(0o755)
    git_dir = workspace / ".git"
    place = Workspace(workspace, git_dir, git_dir, "lane-a", "main", tmp_path / "tasks" / "WP01.md")
    assignment = prompts.Assignment("lab-01", "WP01", WP_TEXT, place, host)
    return Bench(tmp_path, assignment)


def test_it_writes_the_owned_files_commits_and_marks_every_subtask_in_one_call(bench: Bench) -> None:
    assert bench.ask(prompts.work_prompt(bench.assignment), {}).returncode == 0
    assert (bench.assignment.workspace.path / "src" / "one.txt").read_text(
        encoding="utf-8"
    ) == "WP01, attempt 1\n"
    assert bench.commits() == 1
    assert bench.marked() == ["agent tasks mark-status T001 T002 --status done --mission lab-01 --json"]


@pytest.mark.parametrize(
    ("act", "commits", "calls"),
    [({"commit": False}, 0, 1), ({"mark": False}, 1, 0), ({"mark": "each"}, 1, 2), ({"silent": True}, 1, 1)],
)
def test_it_leaves_out_what_the_script_says(bench: Bench, act: dict, commits: int, calls: int) -> None:
    done = bench.ask(prompts.work_prompt(bench.assignment), act)
    assert (done.returncode, bench.commits(), len(bench.marked())) == (0, commits, calls)
    assert (done.stdout == "") == bool(act.get("silent"))


def test_it_keeps_every_prompt(bench: Bench) -> None:
    rework = prompts.work_prompt(bench.assignment, "line 3 is wrong")
    bench.ask(prompts.work_prompt(bench.assignment), {})
    bench.ask(rework, {})
    kept = bench.folder / "script.json.state" / "agent-WP01-implementation-2.prompt.md"
    assert kept.read_text(encoding="utf-8") == rework


REVIEWS = [
    ({}, ("approved", "")),
    ({"verdict": "changes_requested", "feedback": "no"}, ("changes_requested", "no")),
    ({"check": ["sh", "-c", "echo broken; exit 1"]}, ("changes_requested", "broken")),
    ({"check": ["true"]}, ("approved", "")),
    ({"verdict": None}, None),
    ({"reference": "review/WP01/9-x"}, None),
    ({"silent": True}, None),
]


@pytest.mark.parametrize(("act", "wanted"), REVIEWS)
def test_its_verdict_is_the_one_that_the_script_says(
    bench: Bench, act: dict, wanted: tuple[str, str] | None
) -> None:
    verdict = read_verdict(bench.ask(prompts.review_prompt(bench.assignment, REF), act).stdout, REF)
    assert (verdict and (verdict.word, verdict.feedback)) == wanted
    assert bench.commits() == 0


SPOKEN = [
    ("claude-code", "claude", ("-p", "--output-format", "stream-json")),
    ("codex", "codex", ("exec", "--json")),
    ("opencode", "opencode", ("run",)),
    ("gemini", "gemini", ()),
]
OUTCOMES = [("ok", None), ("rate_limit", FailureKind.RATE_LIMIT), ("auth", FailureKind.AUTH)]


@pytest.mark.parametrize(("agent_id", "speak", "given"), SPOKEN)
@pytest.mark.parametrize(("outcome", "kind"), OUTCOMES)
def test_what_it_says_is_read_as_the_words_of_the_real_cli(
    bench: Bench, agent_id: str, speak: str, given: tuple[str, ...], outcome: str, kind: FailureKind | None
) -> None:
    act = {"say": "All done."} if outcome == "ok" else {"fail": outcome}
    done = bench.ask(prompts.work_prompt(bench.assignment), act, speak, *given)
    spec = get_agent(agent_id)
    reader = open_reader(spec)
    reader.feed_stdout(done.stdout.encode())
    reader.feed_stderr(done.stderr.encode())
    transcript = reader.finish()
    failure = classify(spec, Ended(done.returncode), transcript)
    assert (failure and failure.kind) == kind
    assert failure or transcript.final_text == "All done."


def test_it_ends_by_a_signal_when_told_to(bench: Bench) -> None:
    done = bench.ask(prompts.work_prompt(bench.assignment), {"signal": "SIGSEGV"})
    assert done.returncode == -11
