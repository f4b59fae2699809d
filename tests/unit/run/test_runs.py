"""The run that a person means is found among those that have left events."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from spec_kitty_orchestrator.errors import UsageError
from spec_kitty_orchestrator.report.events import RunStarted
from spec_kitty_orchestrator.report.schema import as_line
from spec_kitty_orchestrator.run.runs import find_past_run, past_runs

RUNS = {  # as they were active, the last one at first
    "20260103-120000-cccc": "mission-01AAA",
    "20260101-120000-aaaa": "mission-01BBB",
    "20260102-120000-bbbb": "mission-01AAA",
    "20260102-120000-bbbb2": "",
}


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    for age, (run_id, mission) in enumerate(RUNS.items()):
        path = tmp_path / run_id / "events.jsonl"
        path.parent.mkdir()
        started = as_line("2026-01-01T12:00:00.000+00:00", RunStarted(run_id, mission, "me", {}, False))
        path.write_text((json.dumps(started) if mission else "damaged") + "\n")
        os.utime(path, (10_000 - age, 10_000 - age))
    (tmp_path / "20260104-120000-dddd").mkdir()  # has left none
    return tmp_path


def test_the_one_that_was_active_last_comes_first_whatever_its_id(logs: Path) -> None:
    assert [(past.run_id, past.mission) for past in past_runs(logs)] == [*RUNS.items()]


@pytest.mark.parametrize(
    ("run", "mission", "found"),
    [
        (None, None, "20260103-120000-cccc"),
        ("aaaa", None, "20260101-120000-aaaa"),
        ("20260101", None, "20260101-120000-aaaa"),
        ("20260102-120000-bbbb", None, "20260102-120000-bbbb"),  # the other one begins so, too
        (None, "mission-01BBB", "20260101-120000-aaaa"),
        (None, "01AAA", "20260103-120000-cccc"),
        ("20260102", "01AAA", "20260102-120000-bbbb"),
    ],
)
def test_it_is_found_by_a_part_of_its_id_or_by_its_mission(
    logs: Path, run: str | None, mission: str | None, found: str
) -> None:
    assert find_past_run(logs, run, mission).run_id == found


@pytest.mark.parametrize(
    ("run", "mission", "words"),
    [
        ("202601", None, "4 runs are called so"),
        ("aaa", None, "no run aaa has left events (there are: 20260103-120000-cccc, "),
        (None, "AAA", "no run of mission AAA has left events"),
        ("aaaa", "01AAA", "no run aaaa has left events"),
    ],
)
def test_what_is_not_there_or_not_clear_is_said_with_what_there_is(
    logs: Path, run: str | None, mission: str | None, words: str
) -> None:
    with pytest.raises(UsageError) as refused:
        find_past_run(logs, run, mission)
    assert words in str(refused.value)
