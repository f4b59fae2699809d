"""The page of a run in a real browser: it asks for nothing, and nobody's words do anything in it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
from attrs import fields
from tests.browser.chromium import Chromium, chromium, find_chromium

from spec_kitty_orchestrator.report import events, run_events, wp_events
from spec_kitty_orchestrator.report.composing import compose
from spec_kitty_orchestrator.report.page import put_page, render_page
from spec_kitty_orchestrator.report.schema import KINDS
from spec_kitty_orchestrator.report.story import Story

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium is installed here")

LONG = "x" * 100_000
WORDS = (
    "</title><script>document.title = 'taken'; console.log('taken')</script>",
    '"><img src=x onerror="console.log(\'taken\')">',
    "</pre></style><style>* { display: none }</style>",
    "'><svg onload=\"console.log('taken')\"><iframe src='http://127.0.0.1:9/taken'>",
    "javascript:alert(1) http://127.0.0.1:9/taken <a href='http://127.0.0.1:9/'>here</a>",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "\x00\x1b[31mred\x1b]0;taken\x07 \u202egnp.exe\u2066 \ud800 \u2028",
    LONG,
)


def hostile() -> Story:
    """Every event that there is, with such words in its texts, for work packages that are called so."""
    words = cycle(WORDS)
    wp_ids = ["WP01", *WORDS]
    lanes = {wp_id: next(words) for wp_id in wp_ids}
    story = Story()
    after = {wp_id: tuple(wp_ids[:number]) for number, wp_id in enumerate(wp_ids)}
    story.take(0.0, events.RunStarted(WORDS[0], WORDS[1], WORDS[2], lanes, False, after, wanted=WORDS))
    time = 0.0
    for wp_id in wp_ids:
        for kind in KINDS.values():
            if kind not in (events.RunStarted, events.RunEnded):
                time += 1.0
                story.take(time, evil(kind, wp_id, words))
    story.take(time + 1, events.RunEnded(WORDS[0], 1, "\n".join(WORDS)))
    return story


def evil(kind: type[events.Event], wp_id: str, words: Iterator[str]) -> events.Event:
    """One, with a role that there is: our own words are not others'."""
    values: dict[str, object] = {}
    for field in fields(kind):
        if field.name == "wp_id":
            values["wp_id"] = wp_id
        elif field.name == "role":
            values["role"] = "review"
        elif "Mapping" in str(field.type):
            values[field.name] = {next(words): next(words)} if "str, str" in str(field.type) else {}
        elif "str" in str(field.type):
            values[field.name] = (next(words),) if "tuple" in str(field.type) else next(words)
        else:
            values[field.name] = 1
    return kind(**values)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium(tmp_path_factory.mktemp("chromium")) as found:
        yield found


def page_of(story: Story, folder: Path, problems: tuple[str, ...] = ()) -> Path:
    path = folder / "report.html"
    put_page(path, render_page(story, compose(story, problems)))
    return path


LOOKS = {
    "light": {"width": 1100, "scheme": "light"},
    "dark": {"width": 1100, "scheme": "dark"},
    "phone": {"width": 390, "height": 844, "scheme": "light"},
}


@pytest.mark.parametrize("look", LOOKS)
def test_words_do_nothing_and_the_page_asks_for_nothing(browser: Chromium, tmp_path: Path, look: str) -> None:
    path, page = page_of(hostile(), tmp_path, WORDS), browser.open_page()
    page.show(path, **LOOKS[look])
    page.take_picture(tmp_path / f"{look}.png", whole=False)
    assert page.said == []
    assert page.asked_for == [path.as_uri()]
    assert page.value("document.title").startswith("run </title><script>")
    alive = "script, img, iframe, object, embed, a, form, link:not([rel=icon]), [onload], [onerror]"
    assert page.value(f"document.querySelectorAll({alive!r}).length") == 0
    assert page.value("document.querySelectorAll('style').length") == 1
    assert page.value("document.body.innerText.includes('{{ 7 * 7 }}')")
    assert page.value("document.body.innerText.includes('␛[31mred')")
    assert not page.value(r"/[\0-\x08\x1b\u202e\u2066]/.test(document.documentElement.textContent)")
    assert page.value(
        "document.documentElement.scrollWidth <= innerWidth"
    )  # a phone need not scroll sideways


@pytest.mark.parametrize(("look", "is_dark"), [("light", False), ("dark", True)])
def test_it_is_dark_or_light_as_the_reader_wants_it_and_can_be_read_so(
    browser: Chromium, tmp_path: Path, look: str, is_dark: bool
) -> None:
    page = browser.open_page()
    page.show(page_of(a_night(), tmp_path), **LOOKS[look])
    paper = brightness(page.value("getComputedStyle(document.body).backgroundColor"))
    assert (paper < 0.2) is is_dark
    for selector in ("body", ".note", "dt", "th", "summary .good", "li .bad", "p.standing"):
        ink = page.value(f"getComputedStyle(document.querySelector({selector!r})).color")
        lighter, darker = sorted((brightness(ink), paper), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, selector  # WCAG 2.2, 1.4.3


def test_every_work_package_has_its_line_of_time_and_its_box_in_its_last_lane(
    browser: Chromium, tmp_path: Path
) -> None:
    story, page = a_night(), browser.open_page()
    page.show(page_of(story, tmp_path), **LOOKS["light"])
    page.take_picture(tmp_path / "night.png")
    boxes = page.value(
        "[...document.querySelectorAll('.box')].map(box => box.textContent.trim().split(/\\s+/))"
    )
    assert {box[0]: box[1] for box in boxes} == {wp.wp_id: wp.lane for wp in story.work_packages.values()}
    widths = page.value(
        "[...document.querySelectorAll('.times svg[role=img]')].map(line => Math.round("
        "[...line.querySelectorAll('rect.p-implementation')].reduce((sum, bar) =>"
        " sum + bar.getBoundingClientRect().width, 0) / line.getBoundingClientRect().width * 1000))"
    )
    lasted = story.seconds(story.last)
    assert widths == [round(500 * 1000 / lasted)] * len(story.work_packages)
    edges = page.value("document.querySelectorAll('.edges path').length")
    assert edges == sum(len(wp.dependencies) for wp in story.work_packages.values())


def a_night() -> Story:
    """Ten work packages, one after the other, each sent back once; the last one is left."""
    wp_ids = [f"WP{number:02}" for number in range(1, 11)]
    after = {wp_id: tuple(wp_ids[max(0, number - 2) : number]) for number, wp_id in enumerate(wp_ids)}
    story, time = Story(), 1_800_000_000.0
    story.take(
        time,
        events.RunStarted(
            "20270115-080000-1234", "night-01", "me", dict.fromkeys(wp_ids, "planned"), False, after, 4
        ),
    )

    def take(seconds: float, *those: events.Event) -> None:
        nonlocal time
        time += seconds
        for event in those:
            story.take(time, event)

    for number, wp_id in enumerate(wp_ids):
        take(5, wp_events.WpTakenUp(wp_id), wp_events.WpNamed(wp_id, f"Task {number}", "lane-a"))
        take(2, events.LaneChanged(wp_id, "in_progress"))
        if number == 3:
            take(1, run_events.AgentParked("claude-code", 600.0, "rate_limit", "usage limit reached"))
            take(0, events.WaitingForAgents(wp_id, ("claude-code",), 600.0))
            take(600)
        for turn in (1, 2):
            log = f".kittify/logs/x/{wp_id}"
            take(0, events.AttemptStarted(wp_id, "implementation", "claude-code", turn, log, turn == 2))
            take(
                250,
                events.AttemptEnded(
                    wp_id, "implementation", "claude-code", turn, "succeeded", "", 250, 90_000, 4_000, 0.61
                ),
            )
            take(30, events.CommandEnded(wp_id, "check", "pytest -q", "succeeded", 30.0, log))
            take(0, events.AttemptStarted(wp_id, "review", "codex", turn, log))
            take(60, events.AttemptEnded(wp_id, "review", "codex", turn, "succeeded", "", 60, 20_000, 900))
            verdict = (
                ("changes_requested", "a.py:3 says 4, not 3\nand there is no test of it")
                if turn == 1
                else ("approved", "")
            )
            take(0, events.VerdictGiven(wp_id, "codex", "ref", *verdict, "0f" * 20))
        take(
            3,
            events.LaneChanged(wp_id, "done")
            if number < 9
            else events.WpLeft(wp_id, "somebody else reviews it"),
        )
    take(3, events.RunEnded("finished", 1, "mission night-01 is not finished"))
    return story


def brightness(color: str) -> float:
    """The relative luminance of `rgb(r, g, b)`, by WCAG."""
    parts = [int(part) / 255 for part in color.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
