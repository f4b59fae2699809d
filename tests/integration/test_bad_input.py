"""What cannot be worked with gives one clear error, the right exit code, and changes nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.report.times import utc_now
from spec_kitty_orchestrator.run.state import RunState, RunStatus, RunStore

STATE = ".kittify/orchestrator-run-state.json"


def _settings(text):
    return lambda arena: arena.settings(text)


def _agents(**agents):
    return _settings({"agents": {"implementation": ["claude-code"], "review": ["codex"], **agents}})


def _state(text):
    return lambda arena: (arena.root / STATE).write_text(text, encoding="utf-8")


def _host(script):
    """A host that does nothing but what the script says."""

    def change(arena):
        (arena.folder / "host" / "spec-kitty").write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")

    return change


def _envelope(**data):
    reply = {"contract_version": "1.0.0", "command": "orchestrator-api.contract-version", "timestamp": "now"}
    rest = {"correlation_id": "x", "success": True, "error_code": None, "data": data}
    return json.dumps({**reply, **rest})


def _nothing(arena):
    pass


USAGE, HOST, NO_AGENT = ExitCode.USAGE, ExitCode.HOST, ExitCode.NO_AGENT
CASES = {
    "a mission that does not exist": (_nothing, ("--mission", "nosuch"), USAGE, "nosuch"),
    "a mission selector that the host would choke on": (_nothing, ("--mission", "../up"), USAGE, "../up"),
    "an empty mission": (_nothing, ("--mission", ""), USAGE, "mission"),
    "the primary checkout on another branch": (
        lambda arena: arena.project.git("checkout", "-q", "main"), (), USAGE, "branch",
    ),
    "no git repository": (
        lambda arena: shutil.move(arena.root / ".git", arena.folder / "git"), (), USAGE, "git init",
    ),
    "no project": (_nothing, ("--repo-root", "/"), USAGE, "no spec-kitty project"),
    "no work packages at once": (_nothing, ("--max-concurrent", "0"), USAGE, "--max-concurrent"),
    "half a work package at once": (_nothing, ("--max-concurrent", "0.5"), USAGE, "--max-concurrent"),
    "an unknown flag": (_nothing, ("--fast",), USAGE, "--fast"),
    "a file that is no YAML": (_settings("agents: [claude-code"), (), USAGE, "orchestrator.yaml:"),
    "a setting of the wrong type": (
        _settings('max_concurrent_wps: "four"'), (), USAGE, "orchestrator.yaml:1:1: ",
    ),
    "a setting that does not exist": (
        _settings("agent:\n  review: [codex]"), (), USAGE, "orchestrator.yaml:1:1: ",
    ),
    "a file that is a list": (_settings("- codex"), (), USAGE, "orchestrator.yaml:1:1: "),
    "an unknown agent in the file": (_agents(review=["codx"]), (), USAGE, "did you mean 'codex'"),
    "an unknown agent in a flag": (_nothing, ("--impl-agent", "gemni"), USAGE, "did you mean 'gemini'"),
    "an agent that is not installed": (_agents(review=["cursor"]), (), NO_AGENT, "cursor"),
    "a word that the host bans from the policy": (
        _settings({"policy": {"approval_mode": "yolo"}}), (), USAGE, "policy.approval_mode",
    ),
    "a damaged state file": (_state('{"run_id": '), (), USAGE, "damaged"),
    "a state file that is something else": (_state('{"run_id": 7}'), (), USAGE, "damaged"),
    "a state file of a newer version": (_state('{"schema_version": 99}'), (), USAGE, "newer"),
    "a place for logs that is a file": (
        lambda arena: (arena.root / ".kittify" / "logs").write_text("mine"), (), USAGE, "logs",
    ),
    "a host that is not there": (
        lambda arena: (arena.folder / "host" / "spec-kitty").unlink(), (), HOST, "pip install",
    ),
    "a host that is too old": (
        _host(f"echo '{_envelope(api_version='1.0.0', min_supported_provider_version='0.1.0')}'"), (), HOST,
        "pip install",
    ),
    "a host that crashes": (
        _host("echo 'Traceback:' >&2; echo 'KeyError: x' >&2; exit 1"), (), HOST, "KeyError",
    ),
    "a host that talks nonsense": (_host("echo hello"), (), HOST, "hello"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dry", [False, True], ids=["run", "dry run"])
def test_it_is_told_in_one_error_and_nothing_is_changed(arena, trace, digest, case, dry):
    change, args, code, word = CASES[case]
    change(arena)
    before = digest(arena.root)

    ended = arena.orchestrate(*args, *(["--dry-run"] if dry else []))

    if dry and case == "a place for logs that is a file":
        assert ended.returncode == 0  # a dry run writes no logs
        return
    assert ended.returncode == code, ended.text
    assert word in ended.stderr
    assert "Traceback (most recent call last)" not in ended.text
    assert len(re.findall("^[Ee]rror: ", ended.stderr, re.MULTILINE)) == 1, ended.stderr
    assert digest(arena.root) == before
    assert not arena.state.exists()
    assert trace.survivors() == []


def test_all_that_is_wrong_in_the_settings_is_told_at_once(arena):
    arena.settings("max_concurrent_wps: 0\nagents:\n  review: [codx]\n  max_retries: many\nspeed: 9")
    ended = arena.orchestrate()
    assert ended.returncode == 2
    for place in (":1:1: ", ":3:12: ", ":4:3: ", ":5:1: "):
        assert f"orchestrator.yaml{place}" in ended.stderr


def test_a_folder_of_ours_that_cannot_be_written(arena, digest, not_as_root):
    kittify = arena.root / ".kittify"
    kittify.chmod(0o555)
    before = digest(arena.root)
    ended = arena.orchestrate()
    kittify.chmod(0o755)
    assert ended.returncode == 2, ended.text
    assert "writable" in ended.stderr
    assert digest(arena.root).keys() == before.keys()


def test_windows_is_refused(arena):
    code = "import sys; from spec_kitty_orchestrator.cli.main import run; sys.platform = 'win32'; run()"
    argv = [sys.executable, "-c", code, "status"]
    done = subprocess.run(
        argv, cwd=arena.root, env=arena.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "Windows is not supported" in done.stderr


def test_a_work_package_whose_prompt_file_is_missing_is_left_and_the_others_go_on(arena, trace):
    next((arena.project.planning_dir / "tasks").glob("WP01*.md")).unlink()
    ended = arena.orchestrate()
    assert ended.returncode == 1, ended.text
    assert "prompt file" in ended.text
    assert arena.lanes() == {"WP01": "in_progress", "WP02": "done"}
    assert arena.prompts("claude", "WP01", "implementation") == []
    assert trace.survivors() == []


def test_no_agent_is_let_loose_in_a_plain_folder_that_only_looks_like_the_worktree(arena, digest):
    folder = arena.root / ".worktrees" / f"{arena.project.mission}-lane-a"
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("mine", encoding="utf-8")
    head = arena.project.git("rev-parse", "HEAD")

    ended = arena.orchestrate()

    assert ended.returncode == 1, ended.text
    assert "not a worktree" in ended.text
    assert "git worktree prune" in ended.text
    assert arena.prompts("claude", "WP01", "implementation") == []
    assert arena.lanes()["WP02"] == "done"
    assert list(digest(folder)) == ["mine.txt"]
    assert arena.project.git("rev-parse", "HEAD") == head


def test_a_second_run_in_the_same_repository_is_refused_and_the_first_goes_on(arena, trace):
    arena.agent("claude", {"default": {"implementation": [{"sleep": 600}]}})
    first = arena.start("orchestrate", "--mission", arena.project.mission)
    arena.wait_for_prompt("claude", "WP01", "implementation")
    arena.wait_for_prompt("claude", "WP02", "implementation")

    for command in (["orchestrate", "--mission", arena.project.mission], ["resume"]):
        second = arena.run(*command)
        assert second.returncode == 4, second.text
        assert second.stderr.count("error: ") == 1
        assert "abort" in second.stderr
    assert first.poll() is None
    assert "running" in arena.run("status").stdout

    first.send_signal(signal.SIGINT)
    assert arena.finish(first).returncode == 130
    assert trace.survivors() == []


def test_abort_ends_a_live_run_and_records_it(arena, trace):
    arena.agent("claude", {"default": {"implementation": [{"sleep": 600}]}})
    live = arena.start("orchestrate", "--mission", arena.project.mission)
    arena.wait_for_prompt("claude", "WP01", "implementation")

    aborted = arena.run("abort")

    assert aborted.returncode == 0, aborted.text
    assert arena.finish(live).returncode == 143
    assert "aborted" in arena.run("status").stdout
    assert trace.survivors() == []
    assert arena.run("abort", "--cleanup-worktrees").returncode == 0
    assert not (arena.root / STATE).exists()
    assert (arena.root / ".worktrees").exists()  # the workspaces belong to the host


def _in_its_place(arena, make):
    path = arena.root / ".kittify" / "orchestrator.yaml"
    path.unlink()
    make(path)


BROKEN = {
    "no YAML": (_settings("agents: ["), "orchestrator.yaml:2:1: not YAML: "),
    "a wrong value": (_settings("grace_seconds: .inf"), "orchestrator.yaml:1:1: grace_seconds: expected"),
    "a NUL": (_settings('host: {binary: "\\0"}'), "orchestrator.yaml:1:16: it holds a NUL"),
    "an alias of itself": (_settings("checks: &a [*a]"), "orchestrator.yaml:1:9: it holds itself"),
    "a folder": (
        lambda arena: _in_its_place(arena, Path.mkdir),
        "orchestrator.yaml cannot be read: not a file",
    ),
    "a pipe": (lambda arena: _in_its_place(arena, os.mkfifo), "orchestrator.yaml cannot be read: not a file"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_with_a_broken_configuration_a_run_can_be_seen_and_stopped_and_doctor_says_what_is_wrong(
    arena, trace, case
):
    arena.agent("claude", {"default": {"implementation": [{"sleep": 600}]}})
    live = arena.start("orchestrate", "--mission", arena.project.mission)
    arena.wait_for_prompt("claude", "WP01", "implementation")
    change, said = BROKEN[case]
    change(arena)

    doctor = arena.run("doctor")
    assert doctor.returncode == 1, doctor.text
    assert "error    settings: " in doctor.stdout
    assert said in doctor.stdout
    assert "running" in arena.run("status").stdout
    aborted = arena.run("abort")
    assert aborted.returncode == 0, aborted.text
    assert arena.finish(live).returncode == 143
    assert "aborted" in arena.run("status").stdout
    for command in (["resume"], ["orchestrate", "--mission", arena.project.mission]):
        refused = arena.run(*command)
        assert refused.returncode == 2, refused.text
        assert said in refused.stderr
        assert refused.stderr.count("\n") == 1, refused.stderr
    assert trace.survivors() == []


def test_a_variable_that_is_broken_is_one_line_too_and_keeps_nobody_from_stopping_a_run(arena, trace):
    arena.agent("claude", {"default": {"implementation": [{"sleep": 600}]}})
    live = arena.start("orchestrate", "--mission", arena.project.mission)
    arena.wait_for_prompt("claude", "WP01", "implementation")
    broken = {"SK_ORCH_GRACE_SECONDS": "soon"}
    doctor = arena.run("doctor", **broken)
    assert doctor.returncode == 1, doctor.text
    assert "SK_ORCH_GRACE_SECONDS: grace_seconds: expected a number" in doctor.stdout
    assert "running" in arena.run("status", **broken).stdout
    assert arena.run("abort", **broken).returncode == 0
    assert arena.finish(live).returncode == 143
    undecodable = arena.run("resume", SK_ORCH_GRACE_SECONDS=os.fsdecode(b"\xff"))
    assert undecodable.returncode == 2
    assert undecodable.stderr == "error: SK_ORCH_GRACE_SECONDS: grace_seconds: its bytes are no UTF-8\n"
    assert trace.survivors() == []


@pytest.mark.parametrize("command", ["resume", "abort", "status"])
def test_without_a_run_there_is_nothing_to_go_on_with(arena, command):
    ended = arena.run(command)
    assert ended.returncode in (0, 2), ended.text
    assert "no run" in ended.text.lower()


def test_a_run_whose_mission_was_accepted_is_not_gone_on_with(arena, digest):
    mission, me = arena.project.mission, ProcessIdentity.of(os.getpid())
    finished = RunState("run-1", mission, "me", utc_now(), me, status=RunStatus.FINISHED, reason="all done")
    finished.accepted = True
    RunStore(arena.root / ".kittify").save(finished)
    before = digest(arena.root)

    ended = arena.run("resume")

    assert ended.returncode == 2, ended.text
    assert f"run run-1 of mission {mission} has finished: all done" in ended.stderr
    assert f"orchestrate --mission {mission}" in ended.stderr
    assert arena.host_calls() == []
    assert digest(arena.root) == before
