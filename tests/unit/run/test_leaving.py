"""A page that cannot be written, or takes too long, changes nothing: it is said, and the run has ended."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import trio

from spec_kitty_orchestrator.report.events import Notice
from spec_kitty_orchestrator.report.stream import Records
from spec_kitty_orchestrator.run import leaving


@pytest.fixture
def events_file(tmp_path: Path) -> Path:
    path = tmp_path / "logs" / "events.jsonl"
    records = Records(path, str)
    records(Notice("hello"))
    records.close()
    return path


async def test_a_page_lies_beside_the_events(events_file: Path) -> None:
    told: list[str] = []
    await leaving.leave_page(events_file, told.append)
    assert told == []
    assert "hello" in events_file.with_name("report.html").read_text()


async def test_a_page_that_cannot_be_written_is_said(events_file: Path) -> None:
    events_file.with_name("report.html").mkdir()
    told: list[str] = []
    await leaving.leave_page(events_file, told.append)
    (words,) = told
    assert words.startswith("no report was written: ")
    assert "Is a directory" in words


async def test_a_disk_that_hangs_holds_up_the_end_only_so_long(
    events_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()
    monkeypatch.setattr(leaving, "PAGE_SECONDS", 0.1)
    monkeypatch.setattr(leaving, "_write", lambda _: free.wait())
    told: list[str] = []
    with trio.fail_after(300):
        await leaving.leave_page(events_file, told.append)
    free.set()
    assert told == ["no report was written: it took longer than 0.1 s"]
