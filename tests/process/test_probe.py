"""`agents`: what is installed, asked side by side and without ever hanging."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner
from tests.process.stage import PATIENCE

from spec_kitty_orchestrator.agents import probe
from spec_kitty_orchestrator.agents.catalog import ALL
from spec_kitty_orchestrator.cli.agents import agents_command


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), "/usr/bin", "/bin"]))
    monkeypatch.setattr(probe, "PROBE_SECONDS", PATIENCE)
    return folder


def install(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def listed(*args: str) -> dict[str, dict[str, object]]:
    result = CliRunner().invoke(agents_command, ["--json", *args], catch_exceptions=False)
    return {each["id"]: each for each in json.loads(result.stdout)["agents"]}


def test_a_version_is_what_the_program_says(programs: Path) -> None:
    install(programs, "claude", 'echo "2.1.330 (Claude Code)"')
    install(programs, "codex", "echo warning >&2; echo codex-cli 0.169.0-beta.1")
    install(programs, "pi", "exit 3")
    found = listed()
    assert found["claude-code"]["version"] == "2.1.330"
    assert found["claude-code"]["age"] is None
    assert found["codex"]["age"] is None
    assert found["codex"]["version"] == "0.169.0-beta.1"
    assert found["pi"]["installed"] is True
    assert found["pi"]["version"] is None
    assert found["gemini"]["installed"] is False
    assert len(found) == 11


def test_the_version_of_an_npm_package_is_read_without_running_it(programs: Path, tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "@google" / "gemini-cli"
    (package / "bundle").mkdir(parents=True)
    (package / "package.json").write_text('{"version": "0.61.0", "bin": {"gemini": "bundle/gemini.js"}}')
    install(package / "bundle", "gemini.js", f"touch {tmp_path}/was-run")
    (programs / "gemini").symlink_to(package / "bundle" / "gemini.js")
    assert listed()["gemini"]["version"] == "0.61.0"
    assert not (tmp_path / "was-run").exists()


def test_programs_that_hang_are_ended_with_all_that_they_started(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "PROBE_SECONDS", 8.0)  # until the one that answers has, on a busy machine
    nap = "sleep 61.7"
    install(programs, "claude", f"trap '' TERM INT; setsid {nap} & {nap}; {nap}")
    install(programs, "opencode", f"echo 1.18.33; {nap}")
    found = listed()
    assert found["claude-code"]["version"] is None
    assert found["opencode"]["version"] == "1.18.33"
    assert not [each for each in psutil.process_iter(["cmdline"]) if "61.7" in (each.info["cmdline"] or ())]


def test_the_list_fits_a_terminal_and_breaks_no_word(programs: Path) -> None:
    install(programs, "cursor-agent", "echo 2026.1.2")
    install(programs, "claude", "echo 2.1.400")
    install(programs, "pi", "echo 0.80.0")
    result = CliRunner().invoke(agents_command, catch_exceptions=False)
    lines = result.stdout.splitlines()
    assert max(len(line) for line in lines if str(programs) not in line) < 80
    assert "claude-code 2.1.400 (newer than 2.1.330, which is verified)" in lines
    assert "pi 0.80.0 (older than 0.87.1, which is verified)" in lines
    assert "cursor 2026.1.2 (never run by us: known from its documentation)" in lines
    missing = " ".join(lines).partition("not installed: ")[2].split(", ")
    assert missing == ["codex", "copilot", "gemini", "qwen", "opencode", "kilocode", "augment", "letta"]
    notes = " ".join(result.stdout.split())
    assert all(spec.note in notes for spec in ALL if spec.agent_id in ("cursor", "claude-code", "pi"))
