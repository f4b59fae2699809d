"""The demo, on the real host."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.collector import collector

GOLDEN = Path(__file__).with_name("golden")
CHANGES = {
    r"\d{8}-\d{6}-[0-9a-f]{4}": "YYYYMMDD-HHMMSS-0000",
    r"tally-01[0-9A-Z]{6}": "tally-01XXXXXX",
    r"\b[0-9a-f]{40}\b": "f" * 40,
    r"\b[0-9a-f]{12}\b": "f" * 12,
    r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00": "TIME",
    r"\d{4}-\d\d-\d\d \d\d:\d\d": "YYYY-MM-DD HH:MM",
    r'"seconds": [\d.]+': '"seconds": 0.0',
    r'"process": \d+': '"process": 1',
}

pytestmark = pytest.mark.e2e

DIFFERS = {
    r"\b\d\d:\d\d:\d\d\b": "TIME",
    r"\b[\d.]+ (?:min(?: \d+ s)?|s)\b": "SECONDS",
    r"\b[0-9a-f]{40}\b": "COMMIT",
    r"\b\d{8}-\d{6}-[0-9a-f]{4}\b": "RUN",
    r"\btally-\w+?(?=-lane)": "MISSION",
}
"""What is not the same in every run, and what stands for it."""


def what_happened(report: str) -> list[str]:
    """The chapters of a report, one for each work package.

    The tables before them are times, and the notices after them say what this machine lacks.
    """
    for pattern, word in DIFFERS.items():
        report = re.sub(pattern, word, report)
    lines = report.partition("\nNOTICES\n")[0].splitlines()
    return lines[lines.index("WP01 Split a text (done)") :]


def test_the_demo_builds_a_program_that_was_sent_back_once_and_shows_it_at_work(
    clean_environ, spec_kitty, tmp_path, trace
):
    environ = {**clean_environ, "SK_ORCH_HOST_BINARY": str(spec_kitty), **trace.environ}
    root = tmp_path / "demo"
    argv = [sys.executable, "-m", "spec_kitty_orchestrator", "demo", "--dir", str(root)]
    with collector() as received:
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = received.url
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=6000, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    shows_each_attempt_in_its_work_package(received)
    # Rejected by a check that really failed, and mended.
    assert "('elephant', 1)])] is [6, 9], not [9, 9]" in done.stdout + done.stderr
    # What it shows at the end is what the merged program prints.
    assert re.search(r"^fox   ### 3$", done.stdout, re.MULTILINE)
    tally = [sys.executable, "-B", "-m", "tally", "text.txt"]
    again = subprocess.run(tally, cwd=root, capture_output=True, text=True, check=True)
    assert again.stdout in done.stdout
    assert [path.name for path in root.glob(".kittify/logs/*/report.html")] == ["report.html"]
    report = [sys.executable, "-m", "spec_kitty_orchestrator", "report"]
    told = subprocess.run(report, cwd=root, env=environ, capture_output=True, text=True, check=True).stdout
    assert what_happened(told) == (GOLDEN / "report.txt").read_text(encoding="utf-8").splitlines()
    assert trace.survivors() == []
    for name, flags in (("status.txt", ()), ("status-live.txt", ("--live",)), ("status.json", ("--json",))):
        argv = [sys.executable, "-m", "spec_kitty_orchestrator", "status", *flags]
        shown = subprocess.run(argv, cwd=root, env=environ, capture_output=True, text=True, check=True)
        assert shown.stderr == ""
        assert without_what_changes(shown.stdout) == (GOLDEN / name).read_text(encoding="utf-8")
    # The project is left clean, but for the run's own state; kitty-specs/ is the host's affair.
    status = ["git", "status", "--short"]
    dirty = subprocess.run(status, cwd=root, env=environ, capture_output=True, text=True, check=True).stdout
    others = ("kitty-specs/", ".kittify/orchestrator-run-state.json")
    assert [line for line in dirty.splitlines() if not line[3:].startswith(others)] == []


def without_what_changes(text):
    """Of one run and the next: ids, commits, times, and what took how long."""
    for pattern, word in CHANGES.items():
        text = re.sub(pattern, word, text)
    return text


def shows_each_attempt_in_its_work_package(received):
    run = received.one("invoke_workflow")
    assert {each.trace for each in received.spans} == {run.trace}
    packages = received.named("work_package")
    assert [each.told["spec_kitty.lane"] for each in packages] == ["done"] * 4
    assert {each.parent for each in packages} == {run.id}
    made = [received.above(each).name for each in received.named("invoke_agent demo-agent")]
    assert sorted(made) == sorted(
        [f"work_package WP0{number}" for number in (1, 2, 4)] * 2 + ["work_package WP03"] * 4
    )
    assert len(received.named("check git")) == 5  # on each commit that was handed over
    claims = received.named("host start-implementation")
    assert sorted(received.above(each).name for each in claims) == sorted(each.name for each in packages)


def test_the_demo_refuses_a_folder_that_is_not_empty(clean_environ, spec_kitty, tmp_path):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    argv = [sys.executable, "-m", "spec_kitty_orchestrator", "demo", "--dir", str(tmp_path)]
    environ = {**clean_environ, "SK_ORCH_HOST_BINARY": str(spec_kitty)}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
