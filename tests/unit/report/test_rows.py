"""A row says in words who is at a work package or what it waits for; the head says what all of it cost."""

from __future__ import annotations

import pytest

from spec_kitty_orchestrator.report import events as e
from spec_kitty_orchestrator.report import run_events as r
from spec_kitty_orchestrator.report import wp_events as w
from spec_kitty_orchestrator.report.picture import Need, Picture, Row
from spec_kitty_orchestrator.report.rows import picture_of
from spec_kitty_orchestrator.report.story import Story

LANES = {f"WP{number:02}": "planned" for number in range(1, 7)}
AFTER = {"WP02": ("WP01",), "WP03": ("WP01", "WP02")}
BEGUN = [w.WpTakenUp("WP01"), e.LaneChanged("WP01", "in_progress")]
IMPLEMENTS = [*BEGUN, e.AttemptStarted("WP01", "implementation", "codex:big", 2, "logs/a.log")]
IMPLEMENTED = [
    *IMPLEMENTS,
    e.AttemptEnded("WP01", "implementation", "codex:big", 2, "succeeded", "", 9.0, 10, 2, 0.5),
]
REVIEWED = [
    *IMPLEMENTED,
    e.LaneChanged("WP01", "in_review"),
    e.AttemptStarted("WP01", "review", "pi", 1, "logs/b.log"),
]
APPROVED = [
    *REVIEWED,
    e.AttemptEnded("WP01", "review", "pi", 1, "succeeded", "", 9.0),
    e.VerdictGiven("WP01", "pi", "ref", "approved", "", "0123456789"),
    e.LaneChanged("WP01", "done"),
]
BLOCKED = [*IMPLEMENTED, e.LaneChanged("WP01", "blocked", detail="rejected 3 times")]
STOPPED = e.RunEnded("interrupted", 130, "Stopped")


def told(*happened: e.Event, wanted: tuple[str, ...] | None = None, now: float = 100.0) -> Picture:
    """The picture at `now`; the run began at 0 and the rest happened at 40 seconds."""
    story = Story()
    story.take(0.0, e.RunStarted("run-1", "m-01", "me", LANES, False, AFTER, 2, 20.0, wanted=wanted))
    for event in happened:
        story.take(40.0, event)
    return picture_of(story, now, lambda attempt: f"heard {attempt.log}")


def row(picture: Picture, wp_id: str = "WP01") -> Row:
    return next(row for row in picture.rows if row.wp_id == wp_id)


ROWS = {
    "planned": ([], Row("WP01", "planned", Need.IDLE, "waits for a slot")),
    "claimed": (BEGUN[:1], Row("WP01", "planned", Need.AT_WORK, "is claimed", time="1:00")),
    "an agent is at it": (
        IMPLEMENTS,
        Row("WP01", "in_progress", Need.AT_WORK, "codex:big implements", "2", "1:00", "", "heard logs/a.log"),
    ),
    "handed over": (
        IMPLEMENTED,
        Row("WP01", "in_progress", Need.AT_WORK, "is handed over", time="1:00", cost="0.50"),
    ),
    "in review": (
        REVIEWED,
        Row("WP01", "in_review", Need.AT_WORK, "pi reviews", "1", "1:00", "0.50", "heard logs/b.log"),
    ),
    "approved": (APPROVED, Row("WP01", "done", Need.THROUGH, "pi approved 01234567", cost=">0.50")),
    "a lane that is taken": (
        [w.WaitingForLane("WP01", "waits for WP02")],
        Row("WP01", "planned", Need.WAITS, "waits for its lane", time="1:00", said="waits for WP02"),
    ),
    "agents that rest": (
        [*IMPLEMENTED, e.WaitingForAgents("WP01", ("pi", "qwen"), 90.0, "codex:big")],
        Row(
            "WP01",
            "in_progress",
            Need.WAITS,
            "waits for pi, qwen",
            "",
            "1:00",
            "0.50",
            "codex:big made it itself",
        ),
    ),
    "a retry": (
        [*BEGUN, e.RetryPlanned("WP01", "implementation", "pi", 75.0, "crashed")],
        Row("WP01", "in_progress", Need.WAITS, "pi again in 0:15", time="1:00", said="crashed"),
    ),
    "the run is paused": (
        [r.RunPaused("2026-01-01T00:00:00+00:00")],
        Row("WP01", "planned", Need.IDLE, "is held by the pause"),
    ),
    "put off": (
        [*BEGUN, e.WpPutOff("WP01", "the host broke down", 62.0)],
        Row(
            "WP01", "in_progress", Need.WAITS, "tried again in 0:02", time="1:00", said="the host broke down"
        ),
    ),
    "blocked": (
        BLOCKED,
        Row("WP01", "blocked", Need.ATTENTION, "after 1 attempt", cost="0.50", said="rejected 3 times"),
    ),
    "left": (
        [*BEGUN, e.WpLeft("WP01", "moved by someone else")],
        Row("WP01", "in_progress", Need.ATTENTION, "left as it is", said="moved by someone else"),
    ),
    "canceled": ([e.LaneChanged("WP01", "canceled", by_us=False)], Row("WP01", "canceled", Need.THROUGH)),
    "cut off": (
        [
            *IMPLEMENTS,
            e.AttemptEnded("WP01", "implementation", "codex:big", 2, "interrupted", "", 9.0),
            STOPPED,
        ],
        Row(
            "WP01",
            "in_progress",
            Need.IDLE,
            "stopped",
            said="implementation 2: codex:big interrupted after 9.0 s",
        ),
    ),
    "never begun": ([STOPPED], Row("WP01", "planned", Need.IDLE, "not begun")),
}


@pytest.mark.parametrize(("happened", "shown"), ROWS.values(), ids=ROWS)
def test_a_row_says_who_is_at_it_or_what_it_waits_for(happened: list[e.Event], shown: Row) -> None:
    assert row(told(*happened)) == shown


def test_a_row_names_the_dependencies_that_are_not_through() -> None:
    assert [row(told(), wp_id).now for wp_id in ("WP02", "WP03")] == [
        "waits for WP01",
        "waits for WP01, WP02",
    ]
    assert row(told(*APPROVED), "WP03").now == "waits for WP02"


def test_what_is_not_asked_for_says_so() -> None:
    assert row(told(wanted=("WP02",))).now == "not asked for"


def test_the_head_tells_slots_time_tokens_cost_and_who_rests() -> None:
    picture = told(*IMPLEMENTED, r.AgentParked("pi", 90.0, "rate_limit", "too many"))
    assert picture.facts == ("1 of 2 slots in use", "2 min", "10 tokens in, 2 out", "0.50 USD of 20.00")
    assert [line.partition(" until ")[0] for line in picture.resting] == ["pi"]
    assert picture.counts == {Need.AT_WORK: 1, Need.IDLE: 5}
    assert told(*IMPLEMENTED, r.AgentParked("pi", 50.0, "rate_limit", "too many")).resting == ()


def test_a_run_that_is_over_tells_its_end_and_nothing_of_what_is_to_come() -> None:
    picture = told(*IMPLEMENTED, r.AgentParked("pi", 90.0, "rate_limit", "too many"), STOPPED)
    assert (picture.state, picture.facts[0], picture.resting) == ("interrupted", "40 s", ())


def test_the_estimate_comes_with_the_third_that_is_through() -> None:
    story = Story()
    story.take(0.0, e.RunStarted("run-1", "m-01", "me", LANES, False, {"WP06": ("WP05",)}, 1))
    for number, (began, ended) in enumerate([(0, 60), (60, 180), (180, 360)], start=1):
        wp_id = f"WP{number:02}"
        story.take(began, w.WpTakenUp(wp_id))
        story.take(began, e.AttemptStarted(wp_id, "implementation", "pi", 1, "logs/a.log"))
        story.take(ended, e.AttemptEnded(wp_id, "implementation", "pi", 1, "succeeded", "", 1.0))
        assert not [fact for fact in picture_of(story, ended, lambda _: "").facts if "left" in fact]
        story.take(ended, e.LaneChanged(wp_id, "done"))
    # 120 s each, one after the other
    assert picture_of(story, 360.0, lambda _: "").facts[-1] == "about 6 min left"
    story.take(360.0, e.LaneChanged("WP05", "blocked"))
    assert picture_of(story, 360.0, lambda _: "").facts[-1] == "about 2 min left"


def test_the_head_says_why_nothing_new_begins_for_as_long_as_that_is_so() -> None:
    paused, goes_on = r.RunPaused("2026-01-01T00:00:00+00:00"), r.RunUnpaused(5.0)
    assert [told().state, told(paused).state, told(paused, goes_on).state] == ["running", "PAUSED", "running"]
    assert [told(r.EndOrdered()).state, told(r.BudgetUsedUp("9 USD")).state] == ["ending", "budget used up"]
    waits, moved = r.WaitingForPeople(("WP01 blocked",)), e.LaneChanged("WP01", "planned", by_us=False)
    assert [told(waits).state, told(waits, moved).state] == ["waits for people", "running"]
