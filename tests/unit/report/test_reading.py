"""Events are read back as they were emitted: while the file grows, damaged, of an older or newer release."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spec_kitty_orchestrator.report import events
from spec_kitty_orchestrator.report.reading import EventFile, EventReader, TimedEvent
from spec_kitty_orchestrator.report.schema import SCHEMA_VERSION, as_line
from spec_kitty_orchestrator.report.totals import Total, Totals

TIME = "2026-11-24T19:08:08.250+00:00"
SECONDS = 1795547288.25
SOME: list[events.Event] = [
    events.RunStarted("run-1", "m-01", "me", {"WP01": "planned"}, False, {"WP01": ("WP00",)}, 4, 2.5),
    events.VerdictGiven("WP01", "pi", "ref", "changes_requested", "a\nb \u2028 \x1b[31m", "0f" * 20),
    events.AttemptEnded("WP01", "review", "pi", 1, "succeeded", "", 3, cost_usd=0.5),
    events.RunEnded("finished", 0, "done", Totals(Total(1), {"pi": Total(1, 10, 2, 0.5)})),
]


def written(*lines: object) -> bytes:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    return "".join(f"{text}\n" for text in texts).encode()


def test_what_was_written_is_read_whatever_pieces_it_comes_in() -> None:
    content = written(*(as_line(TIME, event) for event in SOME))
    for size in (1, 7, len(content)):
        reader, found = EventReader(), []
        for start in range(0, len(content), size):
            found += reader.feed(content[start : start + size])
        assert found == [TimedEvent(SECONDS, event) for event in SOME]
        assert reader.problems("events.jsonl") == ()


def test_a_file_is_read_as_it_grows_and_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    file = EventFile(tmp_path / "events.jsonl")
    assert file.more() == []
    one, two = (written(as_line(TIME, event)) for event in SOME[:2])
    file.path.write_bytes(one + two[:20])
    assert [each.event for each in file.more()] == SOME[:1]
    assert file.more() == []
    with file.path.open("ab") as appended:
        appended.write(two[20:])
    assert [each.event for each in file.more()] == SOME[1:2]
    assert file.problems == ()


def test_a_file_of_release_1_0_is_read_too() -> None:
    line = {"time": TIME, "event": "RunStarted", "run_id": "r", "mission": "m", "actor": "a"}
    found = EventReader().feed(written({**line, "lanes": {"WP01": "planned"}, "resumed": True}))
    assert [each.event for each in found] == [events.RunStarted("r", "m", "a", {"WP01": "planned"}, True)]


@pytest.mark.parametrize(
    "line",
    [
        as_line(TIME, SOME[0]) | {"schema_version": SCHEMA_VERSION + 1, "lanes": ["new", "shape"]},
        as_line(TIME, SOME[0]) | {"event": "SomethingNew"},
    ],
)
def test_what_a_newer_release_wrote_is_left_out_and_counted(line: dict[str, object]) -> None:
    reader = EventReader()
    known = as_line(TIME, SOME[1]) | {"something": "new"}
    assert [each.event for each in reader.feed(written(line, known, line))] == SOME[1:2]
    assert reader.problems("f") == ("f: 2 events of a newer release are left out",)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"time": "2026', "Unterminated string"),
        ("[" * 100_000, "recursion"),
        ("\ufffd", "Expecting value"),
        ("[1]", "expected a mapping, got a list"),
        ({"time": TIME}, "event: missing"),
        ({"time": "noon", "event": "Notice", "text": ""}, "Invalid isoformat string: 'noon'"),
        ({"time": TIME[:-6], "event": "Notice", "text": ""}, "has no zone"),
        (
            {"time": TIME, "event": "Notice", "text": 3},
            "Notice: text: expected a string, got a whole number (3)",
        ),
        ({"time": TIME, "event": "Surprise"}, "there is no event 'Surprise'"),
    ],
)
def test_a_damaged_line_is_left_out_and_told_in_one_line_with_its_number(line: object, why: str) -> None:
    reader, good = EventReader(), as_line(TIME, SOME[1])
    assert [each.event for each in reader.feed(written(good, line, good, line))] == [SOME[1]] * 2
    (told,) = reader.problems("events.jsonl")
    assert told.startswith("events.jsonl: line 2 is no event: ")
    assert why in told
    assert told.endswith("; 2 such lines are left out")
    assert "\n" not in told
    assert len(told) < 250
