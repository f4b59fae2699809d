"""A person sees what happened: lines, or a board where it can be redrawn; a file keeps it all."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from spec_kitty_orchestrator.report import events, run_events, wp_events
from spec_kitty_orchestrator.report.board import Board, open_display
from spec_kitty_orchestrator.report.lines import Lines
from spec_kitty_orchestrator.report.schema import KINDS
from spec_kitty_orchestrator.report.stream import EventStream, Records

HISTORY: list[events.Event] = [
    events.RunStarted(
        "run-1", "m-01", "me", {"WP01": "planned", "WP02": "planned", "WP03": "done"}, resumed=False
    ),
    wp_events.WpTakenUp("WP01"),
    wp_events.WaitingForLane("WP01", "waits for WP02, at work in lane-a"),
    wp_events.WpNamed("WP01", "Count the words", "lane-a"),
    events.LaneChanged("WP01", "in_progress"),
    events.AttemptStarted("WP01", "implementation", "codex", 1, "logs/a.log"),
    events.AttemptEnded("WP01", "implementation", "codex", 1, "crashed", "exit status 1", 12.34),
    wp_events.AttemptInVain("WP01", "implementation", "codex", 1, "handover_refused", "not committed"),
    events.Escalated("WP01", 2, ("codex:big",)),
    events.RetryPlanned("WP01", "implementation", "codex", 2.0, "exit status 1"),
    events.HandoverRefused("WP01", "subtasks are not complete"),
    events.CommandEnded("WP01", "check", "sh -c 'a\nb'", "exit status 1", 4.5, "logs/b.log"),
    events.FilesMovedAway("WP01", "pi", ("scratch.txt",), "logs/WP01-left"),
    events.SentBack("WP01", "the work is not committed"),
    events.ProcessesSwept("WP01", "codex", ("12 sleep", "13 node")),
    events.ProcessesLeft("WP01", "codex", ("14 sudo",)),
    run_events.MissionMerged("main", "squash", "0123456789abcdef", True),
    run_events.AgentDropped("codex", "not logged in"),
    run_events.AgentParked("pi", 30.0, "rate_limit", "too many requests"),
    events.WaitingForAgents("WP01", ("pi",), 30.0),
    events.VerdictGiven("WP01", "pi", "review/WP01/1-x", "changes_requested", "[bold] a.py:3", "0f" * 20),
    events.LaneChanged("WP02", "canceled", by_us=False),
    events.WpPutOff("WP02", "the host broke down", 2.0),
    events.WpLeft("WP02", "moved by someone else"),
    events.Notice("the host could not be asked"),
    events.RunEnded("stopped", 5, "mission m-01 is not finished"),
]


def test_lines_tell_every_event_in_one_line_each() -> None:
    stream = io.StringIO()
    with Lines(stream) as display:
        for event in HISTORY:
            display(event)
    printed = stream.getvalue().splitlines()
    assert len(printed) == len(HISTORY)
    assert [line[9:] for line in printed] == [event.line for event in HISTORY]
    assert printed[6].endswith("WP01 implementation 1: codex crashed after 12.3 s: exit status 1")


def test_a_reader_that_goes_away_does_not_end_the_run() -> None:
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    with Lines(Closed(), Closed()) as display:
        for event in HISTORY:
            display(event)
        display.notice("stopping")


def test_a_pipe_gets_lines() -> None:
    assert isinstance(open_display(io.StringIO()), Lines)


def test_a_board_shows_a_row_for_each_work_package_and_prints_the_rest() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=160, color_system=None)
    with Board(console) as board:
        for event in HISTORY:
            board(event)
    last = stream.getvalue()
    assert "m-01 · run run-1" in last
    assert "codex is out for this run: not logged in" in last
    rows = [line for line in last.splitlines() if "WP02" in line]
    assert "canceled" in rows[-1]
    assert "moved by someone else" in rows[-1]
    assert "done" in [line for line in last.splitlines() if "WP03" in line][-1]
    assert "[bold]" in last  # an agent's words are never markup


def test_every_kind_of_event_is_in_the_history() -> None:
    assert {type(event) for event in HISTORY} == {*KINDS.values()}


def test_the_stream_holds_every_event_with_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "run-1" / "events.jsonl"
    told: list[str] = []
    lines = Records(path, told.append)
    stream = EventStream(lines)
    for event in HISTORY:
        stream.emit(event)
    lines.close()
    assert told == []
    stored = [json.loads(line) for line in path.read_text().splitlines()]
    assert [each["event"] for each in stored] == [type(event).__name__ for event in HISTORY]
    assert stored[6]["outcome"] == "crashed"
    assert next(each for each in stored if "swept" in each)["swept"] == ["12 sleep", "13 node"]
    assert all(each["time"].endswith("+00:00") for each in stored)


@pytest.mark.parametrize("resumed", [True, False])
def test_a_run_that_goes_on_says_so(resumed: bool) -> None:
    line = events.RunStarted("r", "m", "me", {}, resumed).line
    assert ("goes on with" in line) is resumed
