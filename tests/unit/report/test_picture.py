"""The board is never wider or higher than its terminal, and what needs nothing gives way first."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from spec_kitty_orchestrator.report.picture import NEWS_SHOWN, Need, Picture, Row, draw

AT_WORK = Row(
    "WP10", "in_review", Need.AT_WORK, "codex reviews", "2", "1:12:03", "0.42", "ran: git diff HEAD~1"
)
BLOCKED = Row("WP09", "blocked", Need.ATTENTION, "after 6 attempts", cost=">1.20", said="still [6, 9]")
PARKED = Row("WP11", "in_progress", Need.WAITS, "waits for codex", time="2:10")


def through(number: int) -> Row:
    return Row(f"WP{number:02}", "done", Need.THROUGH, "codex approved 4a48436a", cost="0.31")


def idle(number: int) -> Row:
    return Row(f"WP{number:02}", "planned", Need.IDLE, f"waits for WP{number - 1:02}")


def picture(*rows: Row) -> Picture:
    counts = {need: sum(row.need is need for row in rows) for need in Need}
    facts = (
        "4 of 4 slots in use",
        "1 h 12 min",
        "1,203,000 tokens in, 45,112 out",
        "4.21 USD",
        "about 2 h left",
    )
    resting = ("codex until 15:00 CET (rate_limit)",)
    return Picture("tally-01 · run 7", "running", counts, facts, resting, rows, ("12:00:00 codex rests",))


THIRTY = picture(*map(through, range(1, 9)), BLOCKED, AT_WORK, PARKED, *map(idle, range(12, 31)))


def plain(lines: list[Text]) -> list[str]:
    return [line.plain.rstrip() for line in lines]


def test_thirty_work_packages_on_24_lines_of_80_columns() -> None:
    assert plain(draw(THIRTY, 80, 24)) == [
        "tally-01 · run 7                                                         running",
        "━━━━━━━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌  8 of 30 through, 1 needs you",
        "4 of 4 slots in use · 1 h 12 min · 1,203,000 tokens in, 45,112 out · 4.21 USD",
        "about 2 h left",
        "resting: codex until 15:00 CET (rate_limit)",
        "",
        "  WP    lane         now                                     try      for   cost",
        "! WP09  blocked      after 6 attempts                                      >1.20",
        "        still [6, 9]",
        "▸ WP10  in_review    codex reviews                             2  1:12:03   0.42",
        "        ran: git diff HEAD~1",
        "· WP11  in_progress  waits for codex                                 2:10",
        "· WP12  planned      waits for WP11",
        "· WP13  planned      waits for WP12",
        "· WP14  planned      waits for WP13",
        "· WP15  planned      waits for WP14",
        "· WP16  planned      waits for WP15",
        "· WP17  planned      waits for WP16",
        "· WP18  planned      waits for WP17",
        "· WP19  planned      waits for WP18",
        "✓ 8 through",
        "· 11 more wait for others, or for a slot",
        "",
        "12:00:00 codex rests",
    ]


def test_on_a_wide_terminal_the_last_words_stand_in_the_row() -> None:
    shown = plain(draw(THIRTY, 160, 50))
    assert len([line for line in shown if "ran: git diff HEAD~1" in line and "codex reviews" in line]) == 1
    assert [line[2:6] for line in shown if line[2:4] == "WP" and line[4:6].isdigit()] == [
        row.wp_id for row in THIRTY.rows
    ]


def test_when_nothing_gives_way_every_row_is_there() -> None:
    shown = "\n".join(plain(draw(THIRTY, 80)))
    assert [row.wp_id for row in THIRTY.rows if f" {row.wp_id}  " not in shown] == []
    assert "more" not in shown


def test_those_that_need_somebody_are_the_last_to_go() -> None:
    busy = picture(*[evolve(AT_WORK, wp_id=f"WP{number:02}") for number in range(10, 30)], BLOCKED, idle(31))
    shown = plain(draw(busy, 80, 16))
    assert len(shown) <= 16
    assert any("WP09" in line for line in shown)
    assert any("more that are at work or wait" in line for line in shown)
    assert "ran: git diff HEAD~1" not in "\n".join(shown)


WORDS = st.text(max_size=90)
ROWS = st.builds(
    Row, st.text("WP0123456789-", min_size=1, max_size=12), st.sampled_from(["planned", "in_progress"]),
    st.sampled_from(Need), WORDS, st.just("12"), st.just("1:12:03"), st.sampled_from(["", ">12.34"]), WORDS,
)  # fmt: skip


@given(
    st.lists(ROWS, max_size=40),
    st.lists(WORDS, max_size=9),
    st.integers(1, 200),
    st.integers(1, 60),
    st.booleans(),
)
def test_it_is_never_wider_or_higher_than_the_terminal_and_writes_nothing_but_text(
    rows: list[Row], news: list[str], width: int, height: int, plain: bool
) -> None:
    lines = draw(evolve(picture(*rows), news=tuple(news)), width, height, plain=plain)
    assert len(lines) <= height
    assert [line for line in lines if line.cell_len > width or not line.plain.isprintable()] == []


def test_a_terminal_without_unicode_gets_none_of_our_own() -> None:
    assert [line for line in plain(draw(THIRTY, 80, 24, plain=True)) if not line.isascii()] == []


def test_what_an_agent_says_cannot_act_on_the_terminal() -> None:
    row = evolve(AT_WORK, said="\x1b[2Jgone\a\r\nnow", now="a\tb")
    shown = "\n".join(plain(draw(picture(row), 80, 24)))
    assert "\x1b" not in shown
    assert "[2Jgone now" in shown


@pytest.mark.parametrize(("height", "said"), [(24, NEWS_SHOWN), (10, 1)])
def test_of_the_news_the_newest_are_shown(height: int, said: int) -> None:
    told = evolve(picture(BLOCKED), news=tuple(f"number {number}." for number in range(9)))
    shown = [line for line in plain(draw(told, 80, height)) if line.startswith("number")]
    assert shown == [f"number {number}." for number in range(9 - said, 9)]


@pytest.mark.parametrize("stuck", [1, 2])
def test_the_bar_shows_whatever_there_is_of_something(stuck: int) -> None:
    rows = [
        *[evolve(BLOCKED, wp_id=f"B{number}") for number in range(stuck)],
        AT_WORK,
        *map(idle, range(200)),
    ]
    line = draw(picture(*rows), 80, 24)[1]
    styles = [str(span.style) for span in line.spans if span.end > span.start]
    assert {"cyan", "red", "dim"} <= {*styles}
    assert line.plain.endswith(("1 needs you", "2 need you"))
