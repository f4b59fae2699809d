"""A report says why work was sent back, what the time went by with, what it cost and what was waited for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit.report.test_story import TO_AN_APPROVAL, attempt, ended, started, told

from spec_kitty_orchestrator.report import events, run_events
from spec_kitty_orchestrator.report.composing import compose
from spec_kitty_orchestrator.report.document import Document
from spec_kitty_orchestrator.report.drawing import draw_graph, draw_times
from spec_kitty_orchestrator.report.figures import repeated, took, waits
from spec_kitty_orchestrator.report.harmless import MOST_SHOWN, harmless, one_line
from spec_kitty_orchestrator.report.story import Story
from spec_kitty_orchestrator.report.text import markdown, plain

EVIL = (
    "\x1b]0;taken\x07\x1b[31m ``` <script>alert(1)</script> | a | [x](http://a.b/) \u202e\ud800\n"
    "# Not ours\n````"
)


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def sent_back_once() -> Story:
    """One is approved; the other one is sent back once, then its second agent finds no reviewer."""
    at = 300.0
    return told(
        *TO_AN_APPROVAL,
        (at, events.LaneChanged("WP02", "in_progress")),
        (at, events.AttemptStarted("WP02", "implementation", "pi", 1, "logs/a.log")),
        (
            at + 60,
            events.AttemptEnded("WP02", "implementation", "pi", 1, "succeeded", "", 60.0, 9000, 100, 0.3),
        ),
        (at + 60, events.AttemptStarted("WP02", "review", "codex", 1, "logs/b.log")),
        (at + 80, events.AttemptEnded("WP02", "review", "codex", 1, "succeeded", "", 20.0)),
        (
            at + 80,
            events.VerdictGiven(
                "WP02", "codex", "r", "changes_requested", "a.py:3 is wrong\nno test", "ab" * 20
            ),
        ),
        (at + 80, events.LaneChanged("WP02", "in_progress")),
        (at + 80, run_events.AgentParked("pi", 120.0, "rate_limit", "usage limit reached")),
        (at + 80, events.WaitingForAgents("WP02", ("pi",), 120.0)),
        (at + 200, events.AttemptStarted("WP02", "implementation", "pi", 2, "logs/c.log", continued=True)),
        (
            at + 230,
            events.AttemptEnded(
                "WP02", "implementation", "pi", 2, "crashed", "exit status 1", 30.0, cost_usd=0.1
            ),
        ),
        (at + 230, events.WpLeft("WP02", "no agent is left")),
        (at + 231, events.Notice("the host could not be asked")),
        (at + 231, events.RunEnded("finished", 1, "mission m-01 is not finished")),
    )


GOLDEN = Path(__file__).with_name("golden")
FORMS: dict[str, Callable[[Document], Iterator[str]]] = {"report.txt": plain, "report.md": markdown}


def in_form(name: str) -> str:
    document = compose(sent_back_once(), ["events.jsonl: line 3 is no event"])
    return "".join(f"{line}\n" for line in FORMS[name](document))


@pytest.mark.parametrize("name", FORMS)
def test_all_that_a_person_would_ask_stands_in_the_report(name: str) -> None:
    how = f"if this is right, write it down with: .venv/bin/python -m {__name__}"
    assert in_form(name).splitlines() == (GOLDEN / name).read_text(encoding="utf-8").splitlines(), how


def test_what_was_not_told_costs_nothing_in_the_sums_but_is_said() -> None:
    story = sent_back_once()
    assert [
        (each.why, len(each.attempts), each.seconds(0.0), each.total.cost_usd) for each in repeated(story)
    ] == [
        ("checks_failed", 1, 100.0, 0.5),
        ("crashed", 1, 30.0, 0.1),
    ]
    cut_short = told((0.0, started()), (1.0, attempt(1)), (9.0, ended(1, outcome="interrupted")))
    assert [(each.why, each.total.untold) for each in repeated(cut_short)] == [("interrupted", 1)]


def test_work_after_a_rejection_is_a_repetition_with_its_review() -> None:
    story = told(
        (0.0, started()),
        (1.0, attempt(1)),
        (2.0, ended(1)),
        (3.0, events.VerdictGiven("WP01", "pi", "r", "changes_requested", "no", "ab")),
        (4.0, attempt(2)),
        (14.0, ended(2, cost=0.2)),
        (15.0, attempt(1, "review")),
        (16.0, ended(1, "review")),
    )
    assert [(each.why, each.seconds(0.0), each.total.cost_usd) for each in repeated(story)] == [
        ("implementation after a rejection", 10.0, 0.2),
        ("review after a rejection", 1.0, None),
    ]


def test_waits_are_told_by_what_was_waited_for_the_longest_first() -> None:
    story = sent_back_once()
    assert [(each.what, each.wp_ids, each.times, each.seconds) for each in waits(story, story.last)] == [
        ("pi (resting)", ("WP02",), 1, 120.0),
        ("claude-code (resting)", ("WP01",), 1, 60.0),
        ("a slot", ("WP01", "WP02"), 3, 48.0),
        ("the next try of codex after checks_failed", ("WP01",), 1, 4.0),
    ]


def test_a_run_that_no_end_is_told_of_says_when_it_was_last_heard_of() -> None:
    standing = compose(told(*TO_AN_APPROVAL)).standing
    assert standing.startswith(
        "no end of it is told, the last that was heard of it is of 1970-01-01 00:04:25"
    )
    assert standing.endswith("; 2 of 3 work packages done")


def test_words_of_others_do_nothing_on_a_terminal_or_in_markdown() -> None:
    story = told(
        (0.0, started()),
        (1.0, events.VerdictGiven("WP01", EVIL, EVIL, "changes_requested", EVIL, EVIL)),
        (2.0, events.AttemptStarted("WP01", "review", EVIL, 1, EVIL)),
        (3.0, events.CommandEnded("WP01", "check", EVIL, EVIL, 1.0, EVIL)),
        (4.0, events.WpLeft("WP01", EVIL)),
        (5.0, events.Notice(EVIL)),
        (6.0, events.RunEnded(EVIL, 1, EVIL)),
    )
    document = compose(story, [EVIL])
    for lines in (plain(document), markdown(document)):
        text = "\n".join(lines)
        assert text.encode()  # no half character
        assert not {each for each in text if not each.isprintable() and each not in "\n\u200b"}
    inside = ""
    for line in markdown(document):
        fence = line.strip().removesuffix("text")
        if set(fence) == {"`"} and len(fence) >= 3 and (not inside or len(fence) >= len(inside)):
            inside = "" if inside else fence
        elif not inside:
            assert "<script" not in line.replace("\\<", "")
            assert "](http" not in line.replace("\\]", "")
            assert not line.startswith("# Not ours")
    assert inside == ""


def test_what_is_too_long_is_cut_and_says_so() -> None:
    assert harmless("x" * (MOST_SHOWN + 7)) == f"{'x' * MOST_SHOWN}… (7 more characters are in events.jsonl)"
    assert one_line("a\n\n b\tc" + "x" * 300, 10) == "a b cxxxxx…"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "0.00 s"),
        (0.04, "0.04 s"),
        (1.44, "1.4 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (723.0, "12 min 3 s"),
        (3599.7, "1 h"),
        (4320.0, "1 h 12 min"),
        (7199.0, "2 h"),
        (90_000.0, "25 h"),
    ],
)
def test_how_a_time_is_said(seconds: float, said: str) -> None:
    assert took(seconds) == said


def test_lines_of_time_leave_out_the_time_between_two_starts() -> None:
    story = told(
        (1000.0, started()),
        (1010.0, attempt(1)),
        (1050.0, events.Notice("the last that is heard")),
        (9000.0, started(resumed=True)),
        (9000.0, attempt(2)),
        (9050.0, ended(2)),
        (9050.0, events.RunEnded("finished", 0, "")),
    )
    times = draw_times(story)
    bars = [(bar.phase, bar.x, bar.width) for bar in times.rows[0].bars if bar.is_work]
    assert bars == [("implementation", 10.0, 40.0), ("implementation", 50.0, 50.0)]
    assert [mark.x for mark in times.starts] == [50.0]
    assert [(tick.x, tick.words) for tick in times.ticks] == [
        (0.0, "0"),
        (30.0, "30 s"),
        (60.0, "1 min"),
        (90.0, "1 min 30 s"),
    ]


def test_the_graph_goes_by_the_longest_chain_and_bears_a_circle() -> None:
    def places(**after: tuple[str, ...]) -> dict[str, int]:
        lanes = dict.fromkeys(after, "planned")
        story = told((0.0, events.RunStarted("r", "m", "a", lanes, False, after)))
        return {box.wp_id: box.x for box in draw_graph(story).boxes}

    found = places(WP01=(), WP02=("WP01",), WP03=("WP01", "WP02"), WP04=("WP01", "WP99"))
    assert found["WP01"] < found["WP02"] == found["WP04"] < found["WP03"]
    assert {*places(WP01=("WP02",), WP02=("WP01",))} == {"WP01", "WP02"}
    many = places(**{f"WP{number:02}": () for number in range(30)})
    assert len({*many.values()}) == 3  # no column is higher than a screen


if __name__ == "__main__":
    os.environ["TZ"] = "UTC"
    time.tzset()
    for name in FORMS:
        (GOLDEN / name).write_text(in_form(name), encoding="utf-8")
