"""`--events -`, `report` and the page that every run leaves, on the whole program."""

from __future__ import annotations

import json

import pytest

from spec_kitty_orchestrator.report.events import Notice
from spec_kitty_orchestrator.report.schema import as_line


@pytest.fixture
def ran(arena):
    """A run with one rejection, whose events went to stdout; and what it said."""
    arena.agent("codex", {"WP01": {"review": [{"verdict": "changes_requested", "feedback": "no\ntest"}, {}]}})
    ended = arena.orchestrate("--events", "-")
    assert ended.returncode == 0, ended.text
    return arena, ended


def test_a_run_tells_its_events_on_stdout_and_is_reported_from_them_alone(ran, tmp_path):
    arena, ended = ran
    (file,) = (arena.root / ".kittify" / "logs").glob("*/events.jsonl")
    assert ended.stdout == file.read_text()
    kinds = [json.loads(line)["event"] for line in ended.stdout.splitlines()]
    assert (kinds[0], kinds[-1]) == ("RunStarted", "RunEnded")
    assert "WP01 → done" in ended.stderr  # what people read
    page = file.with_name("report.html")
    assert page.is_file()

    # From events alone: what else there is of the run is taken away.
    for other in file.parent.iterdir():
        if other not in (file, page):
            other.unlink() if other.is_file() else None
    (arena.root / ".kittify" / "orchestrator-run-state.json").unlink()
    told = arena.run("report", "--run", file.parent.name[-4:])
    assert (told.returncode, told.stderr) == (0, "")
    assert "finished (exit code 0)" in told.stdout
    assert "changes requested by codex" in told.stdout
    assert "      | no\n      | test\n" in told.stdout
    written = arena.run("report", "--html", str(tmp_path / "mine.html"))
    assert (written.returncode, written.text) == (0, "")
    assert (tmp_path / "mine.html").read_bytes() == page.read_bytes()
    assert arena.run("report", "--html", "-", "--mission", arena.project.mission).stdout == page.read_text()
    assert arena.run("report", "--markdown").stdout.startswith("# run ")


def test_a_run_that_went_on_is_one_story_with_two_starts(arena):
    arena.agent("claude", {"WP01": {"implementation": [{"sleep": 600}, {}]}})
    process = arena.start("orchestrate", "--mission", arena.project.mission, "--events", "-")
    arena.wait_for_prompt("claude", "WP01", "implementation")
    process.terminate()
    cut_short = arena.finish(process)
    assert cut_short.returncode == 143
    assert json.loads(cut_short.stdout.splitlines()[-1])["status"] == "interrupted"
    again = arena.run("resume", "--events", "-")
    assert again.returncode == 0, again.text
    (file,) = (arena.root / ".kittify" / "logs").glob("*/events.jsonl")
    assert cut_short.stdout + again.stdout == file.read_text()
    told = arena.run("report").stdout
    assert "in 2 starts" in told
    assert "interrupted" in told


REFUSED = {
    "a run that is not there": (["--run", "nothing"], "no run nothing has left events (there are: "),
    "a mission that was never run": (["--mission", "nowhere"], "no run of mission nowhere has left events"),
    "two forms": (["--markdown", "--html", "x.html"], "--markdown and --html are two forms of a report"),
    "a file that cannot be": (
        ["--html", "no/such/folder.html"],
        "--html no/such/folder.html: cannot be written",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_reported_is_said_in_one_line(arena, what):
    folder = arena.root / ".kittify" / "logs" / "20260101-000000-aaaa"
    folder.mkdir(parents=True)
    line = as_line("2026-01-01T00:00:00.000+00:00", Notice("hello"))
    (folder / "events.jsonl").write_text(json.dumps(line) + "\n")
    args, words = REFUSED[what]
    refused = arena.run("report", *args)
    assert refused.returncode == 2
    assert words in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert refused.stdout == ""


def test_events_of_which_nothing_can_be_read_are_said_so(arena):
    assert "no run has left events (start one with: " in arena.run("report").stderr
    folder = arena.root / ".kittify" / "logs" / "20260101-000000-aaaa"
    folder.mkdir(parents=True)
    (folder / "events.jsonl").write_bytes(b"\xff\xfe\n{\n")
    refused = arena.run("report")
    (folder / "events.jsonl").unlink()  # whatever is left is held to the schema
    assert refused.returncode == 2
    assert "run 20260101-000000-aaaa: no event can be read: " in refused.stderr
    assert "line 1 is no event" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_only_stdout_can_be_asked_for(arena):
    refused = arena.orchestrate("--events", "file.jsonl")
    assert refused.returncode == 2
    assert "'file.jsonl' is not '-'" in refused.stderr
