"""A person sees what happened: lines, or a board where it can be redrawn; a file keeps it all."""

from __future__ import annotations

import io
import json
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest
from rich.console import Console

from spec_kitty_orchestrator.report import board as board_module
from spec_kitty_orchestrator.report import events, run_events, wp_events
from spec_kitty_orchestrator.report.board import Board, open_display
from spec_kitty_orchestrator.report.lines import Lines
from spec_kitty_orchestrator.report.overheard import Overheard
from spec_kitty_orchestrator.report.reading import TimedEvent
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
    wp_events.WaitingForPlace("WP01", "implementation", "codex", 1, "slurm", "sko-1"),
    wp_events.PlaceFound("WP01", "implementation", "codex", 1, "node1 (job 7)", 3.5),
    run_events.MissionMerged("main", "squash", "0123456789abcdef", True),
    run_events.AgentDropped("codex", "not logged in"),
    run_events.AgentParked("pi", 30.0, "rate_limit", "too many requests"),
    run_events.RunPaused("2026-01-01T00:00:00+00:00"),
    run_events.RunUnpaused(30.0),
    run_events.EndOrdered(),
    run_events.BudgetUsedUp("budget spent: 7.00 of 5.00 USD (max_cost_usd)"),
    run_events.AgentsNeedAPerson({"pi": "not logged in"}),
    run_events.WaitingForPeople(("  WP01 blocked: no agent is left", "  WP02 planned: waits for WP01")),
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
    assert [line.partition(" ")[2] for line in printed] == [event.line for event in HISTORY]
    assert printed[6].endswith("WP01 implementation 1: codex crashed after 12.3 s: exit status 1")


@pytest.mark.parametrize(
    ("zone", "when"), [("UTC", "23:30:59+00:00"), ("IST-05:30", "05:00:59+05:30"), ("EST5", "18:30:59-05:00")]
)
def test_lines_tell_the_time_where_we_are_and_how_far_that_is_from_utc(
    monkeypatch: pytest.MonkeyPatch, zone: str, when: str
) -> None:
    at = datetime(2026, 1, 31, 23, 30, 59, 900000, tzinfo=timezone.utc).timestamp()
    stream = io.StringIO()
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        with Lines(stream) as display:
            display.tell(TimedEvent(at, events.Notice("something")))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert stream.getvalue() == f"{when} something\n"


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_lines_have_colours_where_somebody_wants_them(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], coloured: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()
    with Lines(stream) as display:
        display(events.WpLeft("WP01", "moved [bold] by someone else"))
    assert "WP01 left as it is: moved [bold] by someone else" in stream.getvalue()
    assert ("\x1b[31m" in stream.getvalue()) is coloured
    assert ("\x1b" in stream.getvalue()) is coloured
    assert len(stream.getvalue().splitlines()) == 1


def test_a_reader_that_goes_away_does_not_end_the_run() -> None:
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    with Lines(Closed(), Closed()) as display:
        for event in HISTORY:
            display(event)
        display.notice("stopping")


class Terminal(io.StringIO):
    """What is written to it, and that it is one."""

    def isatty(self) -> bool:
        return True


def a_board(stream: io.StringIO, overheard: Overheard | None = None) -> Board:
    console = Console(file=stream, force_terminal=True, width=160, height=40, color_system=None)
    return Board(console, overheard)


@pytest.mark.parametrize(
    ("stream", "term", "ci", "plain", "display"),
    [
        (Terminal, "xterm", None, False, Board),
        (Terminal, "xterm", "", False, Board),
        (Terminal, "xterm", "false", False, Board),
        (Terminal, "xterm", "true", False, Lines),
        (Terminal, "xterm", "1", False, Lines),
        (Terminal, "xterm", None, True, Lines),
        (Terminal, "dumb", None, False, Lines),
        (io.StringIO, "xterm", None, False, Lines),
    ],
)
def test_a_board_is_for_a_terminal_that_can_redraw_and_where_nobody_asks_for_lines(
    monkeypatch: pytest.MonkeyPatch,
    stream: type[io.StringIO],
    term: str,
    ci: str | None,
    plain: bool,
    display: type,
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("FORCE_COLOR", "1")  # a pipe is none by that
    monkeypatch.delenv("CI", raising=False)
    if ci is not None:
        monkeypatch.setenv("CI", ci)
    with open_display(stream(), plain=plain) as opened:
        assert type(opened) is display


def test_what_stays_of_a_board_is_a_row_for_each_work_package_the_news_and_the_summary() -> None:
    stream = io.StringIO()
    with a_board(stream) as board:
        for event in HISTORY:
            board(event)
        board.notice("agents have 10 s to end")
    last = stream.getvalue().rpartition("m-01 · run run-1")[2]
    assert "codex is out for this run: not logged in" in last
    assert "agents have 10 s to end" in last
    assert last.splitlines()[-1] == "mission m-01 is not finished"
    lines = [line[2:] for line in last.splitlines()]
    rows = {
        wp_id: [line for line in lines if line.startswith(wp_id)][-1] for wp_id in ("WP01", "WP02", "WP03")
    }
    assert "canceled" in rows["WP02"]
    assert "moved by someone else" in rows["WP02"]
    assert "done" in rows["WP03"]
    assert "[bold]" in rows["WP01"]  # an agent's words are never markup


LEAVES_THE_OTHER_SCREEN = "\x1b[?1049l"


@pytest.fixture
def drawn_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn before the end but by the test itself."""
    monkeypatch.setattr(board_module, "REDRAW_SECONDS", 3600.0)


@pytest.mark.usefixtures("drawn_by_hand")
def test_a_board_stands_on_the_other_screen_and_leaves_it() -> None:
    stream = io.StringIO()
    with a_board(stream) as board:
        board(HISTORY[0])
        board._redraw()
        assert stream.getvalue().startswith("\x1b[?1049h")
    before, _, after = stream.getvalue().partition(LEAVES_THE_OTHER_SCREEN)
    assert "WP01" in before
    assert "WP01" in after
    assert "\x1b[?25h" in stream.getvalue().rpartition("\x1b[?25l")[2]  # the cursor is seen again


@pytest.mark.usefixtures("drawn_by_hand")
def test_a_board_is_drawn_anew_when_it_would_look_different_and_only_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(board_module.time, "time", lambda: 1000.0)
    stream = io.StringIO()
    with a_board(stream) as board:
        for event in HISTORY[:8]:
            board(event)
        assert stream.getvalue() == ""  # it costs nothing to tell it something
        board._redraw()
        drawn = len(stream.getvalue())
        board._redraw()
        assert len(stream.getvalue()) == drawn
        board.notice("something")
        board._redraw()
        assert "something" in stream.getvalue()[drawn:]


@pytest.mark.usefixtures("drawn_by_hand")
def test_before_the_run_has_begun_lines_are_printed_where_the_user_is() -> None:
    stream = io.StringIO()
    with a_board(stream) as board:
        board.notice("stopping")
        board._redraw()
        assert "stopping" in stream.getvalue()
    assert "1049" not in stream.getvalue()
    assert stream.getvalue().count("stopping") == 1


@pytest.mark.usefixtures("drawn_by_hand")
def test_a_board_shows_what_the_agent_at_work_said_last(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("one\ntwo\n")
    overheard = Overheard(tmp_path, lambda agent, tail, cut: f"{agent}: {tail.split()[-1].decode()}")
    stream = io.StringIO()
    with a_board(stream, overheard) as board:
        board(HISTORY[0])
        board(events.AttemptStarted("WP01", "implementation", "codex", 1, "a.log"))
        board._redraw()
        assert "codex: two" in stream.getvalue()


@pytest.mark.usefixtures("drawn_by_hand")
def test_a_run_that_goes_on_shows_what_it_has_cost_before_and_no_news_of_then() -> None:
    ended = events.AttemptEnded("WP01", "implementation", "codex", 1, "crashed", "", 1.0, 5, 5, 0.75)
    earlier = [HISTORY[0], events.AttemptStarted("WP01", "implementation", "codex", 1, "a.log"), ended]
    stream = io.StringIO()
    with a_board(stream) as board:
        board.recall([TimedEvent(10.0, event) for event in (*earlier, events.Notice("of then"))])
        board(HISTORY[0])
        board(events.Notice("of now"))
    assert "0.75 USD" in stream.getvalue()
    assert "of now" in stream.getvalue()
    assert "of then" not in stream.getvalue()


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
