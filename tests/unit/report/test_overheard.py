"""What agents say last is read from the ends of their logs, and only when there is more in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from spec_kitty_orchestrator.report.overheard import TAIL_BYTES, Overheard

Read = list[tuple[str, bytes, bool]]


@pytest.fixture
def read() -> Read:
    return []


@pytest.fixture
def overheard(tmp_path: Path, read: Read) -> Overheard:
    def words_of(agent: str, tail: bytes, cut: bool) -> str:
        read.append((agent, tail, cut))
        return tail.decode().rstrip("\n").rpartition("\n")[2].strip(".")

    return Overheard(tmp_path, words_of)


def test_what_a_log_says_last_is_told_and_read_once(tmp_path: Path, overheard: Overheard, read: Read) -> None:
    log = tmp_path / "a.log"
    assert overheard.last("pi", "a.log") == ""
    log.write_text("one\ntwo\n")
    assert [overheard.last("pi", "a.log") for _ in range(3)] == ["two"] * 3
    with log.open("a") as file:
        file.write("three\n")
    assert overheard.last("pi", "a.log") == "three"
    assert read == [("pi", b"one\ntwo\n", False), ("pi", b"one\ntwo\nthree\n", False)]


def test_of_a_long_log_the_end_is_read(tmp_path: Path, overheard: Overheard, read: Read) -> None:
    (tmp_path / "a.log").write_bytes(b"x" * TAIL_BYTES + b"\nend\n")
    assert overheard.last("pi", "a.log") == "end"
    ((_, tail, cut),) = read
    assert (len(tail), cut) == (TAIL_BYTES, True)


def test_what_says_nothing_leaves_the_last_words(tmp_path: Path, overheard: Overheard) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\n")
    assert overheard.last("pi", "a.log") == "one"
    log.write_text("one\n....\n")
    assert overheard.last("pi", "a.log") == "one"
    log.unlink()
    assert overheard.last("pi", "a.log") == "one"
