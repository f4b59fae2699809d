"""What may block for ever is done in threads, and nobody waits for it longer than is said."""

from __future__ import annotations

import errno
import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from spec_kitty_orchestrator.report import board as board_module
from spec_kitty_orchestrator.report import events, stream
from spec_kitty_orchestrator.report import outlet as outlet_module
from spec_kitty_orchestrator.report.board import Board
from spec_kitty_orchestrator.report.lines import Lines
from spec_kitty_orchestrator.report.outlet import MOST_WAITING, Outlet, Voice, within

HANGS = 300.0
"""Seconds after which a test has failed."""


class Unread(io.StringIO):
    """A terminal that nobody reads: a write waits until it is `read`. The first one is `reached`."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.reached = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        self.read.wait()
        return super().write(text)


@pytest.fixture
def unread() -> Iterator[Unread]:
    """One, which is read in the end."""
    stream = Unread()
    yield stream
    stream.read.set()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last words have all the time that they need."""
    for module in (board_module, outlet_module):
        monkeypatch.setattr(module, "LAST_WORDS_SECONDS", HANGS)


def notice(number: int) -> events.Event:
    return events.Notice(f"number {number}.")


@pytest.mark.usefixtures("patient")
def test_of_lines_that_nobody_reads_the_last_ones_are_shown_and_the_others_counted(unread: Unread) -> None:
    display = Lines(unread, io.StringIO())
    display(notice(0))
    assert unread.reached.wait(HANGS)
    for number in range(1, MOST_WAITING + 21):
        display(notice(number))
    unread.read.set()
    display.__exit__()
    shown = unread.getvalue().splitlines()
    assert len(shown) == MOST_WAITING + 2
    assert shown[0].endswith("number 0.")
    assert "20 lines not shown" in shown[1]
    assert shown[2].endswith("number 21.")
    assert shown[-1].endswith(f"number {MOST_WAITING + 20}.")


@pytest.mark.usefixtures("patient")
def test_what_is_said_on_stderr_does_not_wait_for_a_stdout_that_nobody_reads(unread: Unread) -> None:
    stderr = Unread()
    stderr.read.set()
    display = Lines(unread, stderr)
    display(notice(0))
    assert unread.reached.wait(HANGS)
    display.notice("stopping")
    assert stderr.reached.wait(HANGS)
    unread.read.set()
    display.__exit__()
    assert stderr.getvalue() == "stopping\n"


@pytest.mark.usefixtures("patient")
def test_stdout_and_stderr_that_are_one_keep_the_order(tmp_path: Path) -> None:
    path = tmp_path / "both"
    with path.open("w") as stdout, open(os.dup(stdout.fileno()), "w") as stderr, Voice(stdout, stderr) as say:
        for number in range(100):
            say(str(number), err=bool(number % 3))
    assert path.read_text().split() == [str(number) for number in range(100)]


@pytest.mark.usefixtures("patient")
def test_a_board_that_nobody_reads_shows_every_lane_when_it_is_read_again(unread: Unread) -> None:
    board = Board(Console(file=unread, force_terminal=True, width=160, color_system=None))
    wps = [f"WP{number:02}" for number in range(10)]
    board(events.RunStarted("run-1", "m-01", "me", dict.fromkeys(wps, "planned"), resumed=False))
    assert unread.reached.wait(HANGS)
    for wp_id in wps:
        board(events.LaneChanged(wp_id, "in_progress"))
    for number in range(2 * MOST_WAITING):
        board(notice(number))
    unread.read.set()
    board.__exit__()
    assert "lines not shown" in unread.getvalue()
    last = unread.getvalue().rpartition("WP00")[2]
    assert last.count("in_progress") == len(wps)
    assert "planned" not in last


def test_whoever_leaves_waits_for_an_unread_terminal_only_so_long(unread: Unread) -> None:
    with Lines(unread, io.StringIO()) as display:
        display(notice(1))
    assert unread.getvalue() == ""
    assert not within(0.1, lambda: unread.write("x"))
    assert within(HANGS, lambda: None)


def test_an_outlet_that_is_quiet_does_what_it_shall_do_then() -> None:
    ticks = threading.Semaphore(0)
    outlet = Outlet(every=0.01, idle=ticks.release)
    assert ticks.acquire(timeout=HANGS)
    assert ticks.acquire(timeout=HANGS)
    assert outlet.close(HANGS)


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], threading.Event]:
    """Has the disk refuse so many writes, after the half of one; tells when it has refused the first."""

    def arrange(times: int) -> threading.Event:
        write, refused, left = os.write, threading.Event(), [times]

        def sometimes(descriptor: int, data: bytes) -> int:
            if not refused.is_set():
                refused.set()
                return write(descriptor, data[: len(data) // 2])
            if left[0]:
                left[0] -= 1
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(descriptor, data)

        monkeypatch.setattr(stream.os, "write", sometimes)
        return refused

    return arrange


def test_what_a_full_disk_refuses_is_kept_and_written_when_there_is_room(
    tmp_path: Path, refuse: Callable[[int], threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "TRY_AGAIN_SECONDS", 0.01)
    refuse(3)
    told: list[str] = []
    all_told = threading.Event()
    lines = stream.Records(tmp_path / "events.jsonl", lambda line: (told.append(line), all_told.set()))
    for number in range(5):
        lines(notice(number))
    assert all_told.wait(HANGS)
    until = time.monotonic() + HANGS
    while len((tmp_path / "events.jsonl").read_text().splitlines()) < 5 and time.monotonic() < until:
        time.sleep(0.01)
    lines.close()
    stored = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [each["text"] for each in stored] == [f"number {number}." for number in range(5)]
    assert len(told) == 1
    assert "No space left on device; what happens is kept" in told[0]


def test_what_never_reached_the_disk_is_said_at_last(
    tmp_path: Path, refuse: Callable[[int], threading.Event]
) -> None:
    refuse(1000)
    told: list[str] = []
    lines = stream.Records(tmp_path / "events.jsonl", told.append)
    for number in range(5):
        lines(notice(number))
    lines.close()
    assert "lacks the last 5 events: No space left" in told[-1]


@pytest.mark.usefixtures("patient")
def test_the_same_lines_go_into_the_file_and_to_whoever_reads_them(tmp_path: Path) -> None:
    out = io.StringIO()
    lines = stream.Records(tmp_path / "events.jsonl", str, out)
    for number in range(5):
        lines(notice(number))
    lines.close()
    assert out.getvalue() == (tmp_path / "events.jsonl").read_text()
    assert len(out.getvalue().splitlines()) == 5


def test_events_that_nobody_reads_are_kept_for_the_reader_and_do_not_hold_up_the_file(
    tmp_path: Path, unread: Unread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "CLOSE_SECONDS", HANGS)
    told: list[str] = []
    lines = stream.Records(tmp_path / "events.jsonl", told.append, unread)
    for number in range(2 * MOST_WAITING):
        lines(notice(number))
    assert unread.reached.wait(HANGS)
    until = time.monotonic() + HANGS
    while len((tmp_path / "events.jsonl").read_text().splitlines()) < 2 * MOST_WAITING:
        assert time.monotonic() < until
        time.sleep(0.01)
    unread.read.set()
    lines.close()
    assert unread.getvalue() == (tmp_path / "events.jsonl").read_text()
    assert told == []


def test_events_that_nobody_ever_reads_hold_up_the_end_only_so_long_and_it_is_said(
    tmp_path: Path, unread: Unread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "CLOSE_SECONDS", 0.1)
    told: list[str] = []
    lines = stream.Records(tmp_path / "events.jsonl", told.append, unread)
    lines(notice(0))
    assert unread.reached.wait(HANGS)
    lines.close()
    assert any("lack the last ones: nobody reads them" in line for line in told)
