"""Where things are in the pictures of a report's page: bars on lines of time, boxes of the dependencies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from .chapters import tone_of
from .figures import clocks, took
from .harmless import one_line
from .phases import Phase, Span
from .story import Story
from .wp_story import WpStory

THINNEST = 0.35
"""Percent of the width: what is shorter is drawn so wide all the same."""
SHORTEST_PART = 2000
"""Of the whole: what is no work, and shorter, is not drawn."""
MOST_TICKS = 4
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
"""Seconds between two ticks."""

BOX_WIDTH, BOX_HEIGHT = 196, 50
BETWEEN_COLUMNS, BETWEEN_ROWS, MARGIN = 64, 16, 4
MOST_IN_COLUMN = 12
DIP = 64
"""How far the handles of a line that passes other boxes are below its ends; it goes down 3/4 of that."""


@frozen
class Bar:
    """A stretch of time: where it begins and how wide it is (percent), which phase, and what it says."""

    x: float
    width: float
    phase: str
    is_work: bool
    words: str


@frozen
class Mark:
    """A moment: where it is (percent), and what it says."""

    x: float
    words: str
    is_good: bool = True


@frozen
class TimeRow:
    """The line of time of one work package."""

    wp_id: str
    title: str
    tone: str
    bars: tuple[Bar, ...]
    verdicts: tuple[Mark, ...]


@frozen
class Times:
    """All lines of time, under one scale; `starts` are where the run went on."""

    ticks: tuple[Mark, ...]
    starts: tuple[Mark, ...]
    rows: tuple[TimeRow, ...]
    legend: tuple[tuple[str, str], ...]


def draw_times(story: Story) -> Times:
    """Every work package's time, side by side; the time between the starts of the run is left out."""
    now = story.last
    scale = _Scale(tuple(clocks(story)), max(story.seconds(now), 0.001))
    rows = tuple(_row(wp, scale, now) for wp in story.work_packages.values())
    shown = {bar.phase for row in rows for bar in row.bars}
    return Times(
        tuple(scale.ticks()),
        tuple(Mark(scale.percent(began), "went on here") for began, _ in scale.clocks[1:]),
        rows,
        tuple((phase.value, phase.words) for phase in Phase if phase.value in shown),
    )


@frozen
class _Scale:
    clocks: tuple[tuple[float, float], ...]
    seconds: float

    def percent(self, time: float) -> float:
        """Where a time of day is."""
        began, before = next((each for each in reversed(self.clocks) if each[0] <= time), (time, 0.0))
        return round(min(100.0, 100 * (before + time - began) / self.seconds), 3)

    def ticks(self) -> Iterator[Mark]:
        """Not more than can be read."""
        step = next((step for step in STEPS if self.seconds / step <= MOST_TICKS), STEPS[-1])
        for number in range(int(self.seconds / step) + 1):
            yield Mark(round(100 * number * step / self.seconds, 3), took(number * step) if number else "0")


def _row(wp: WpStory, scale: _Scale, now: float) -> TimeRow:
    least = scale.seconds / SHORTEST_PART
    spans = [span for span in wp.timeline.spans if span.phase.is_work or span.seconds(now) >= least]
    bars = [_bar(span, scale, now) for span in spans if span.phase is not Phase.OVER]
    verdicts = [
        Mark(
            scale.percent(time),
            f"{one_line(verdict.verdict)} by {one_line(verdict.reviewer)}",
            verdict.verdict == "approved",
        )
        for time, verdict in wp.verdicts
    ]
    return TimeRow(one_line(wp.wp_id), one_line(wp.title, 60), tone_of(wp), tuple(bars), tuple(verdicts))


def _bar(span: Span, scale: _Scale, now: float) -> Bar:
    x = scale.percent(span.start)
    width = scale.percent(now if span.end is None else span.end) - x
    who = f" ({', '.join(map(one_line, span.who))})" if span.who else ""
    words = f"{span.phase.words}{who}, {took(span.seconds(now))}"
    return Bar(x, round(max(width, THINNEST), 3), span.phase.value, span.phase.is_work, words)


@frozen
class Box:
    """One work package in the graph, in pixels."""

    x: int
    y: int
    wp_id: str
    title: str
    lane: str
    tone: str


@frozen
class Graph:
    """What depends on what, from left to right; `edges` are paths of SVG."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    edges: tuple[str, ...]


def draw_graph(story: Story) -> Graph:
    """The work packages by the longest chain of what they depend on, each in the lane that it is in."""
    wps = story.work_packages
    places = _places({wp_id: [dep for dep in wp.dependencies if dep in wps] for wp_id, wp in wps.items()})
    corners = {
        wp_id: (
            MARGIN + column * (BOX_WIDTH + BETWEEN_COLUMNS),
            MARGIN + row * (BOX_HEIGHT + BETWEEN_ROWS),
        )
        for wp_id, (column, row) in places.items()
    }
    boxes = [
        Box(
            x,
            y,
            one_line(wp_id, 12),
            one_line(wps[wp_id].title, 26),
            one_line(wps[wp_id].lane, 14),
            tone_of(wps[wp_id]),
        )
        for wp_id, (x, y) in corners.items()
    ]
    edges = [
        _edge(corners[dep], corners[wp_id])
        for wp_id, wp in wps.items()
        for dep in dict.fromkeys(wp.dependencies)
        if dep in corners
    ]
    width = max((box.x for box in boxes), default=0) + BOX_WIDTH + MARGIN
    height = max((box.y for box in boxes), default=0) + BOX_HEIGHT + DIP // 2
    return Graph(width, height, tuple(boxes), tuple(edges))


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x, y = start[0] + BOX_WIDTH, start[1] + BOX_HEIGHT // 2
    to_x, to_y = end[0], end[1] + BOX_HEIGHT // 2
    bend = max(BETWEEN_COLUMNS // 2, abs(to_x - x) // 3)
    dip = DIP if to_x - x > BETWEEN_COLUMNS else 0  # below what stands between them
    return f"M{x} {y} C{x + bend} {y + dip} {to_x - bend} {to_y + dip} {to_x} {to_y}"


def _places(dependencies: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, int]]:
    """Column and row of each. A column that would be too high goes on beside itself."""
    places: dict[str, tuple[int, int]] = {}
    column = 0
    for wave in _waves(dependencies):
        # Near to what they depend on, so that lines cross less.
        middle = {
            wp_id: sum(places[dep][1] for dep in dependencies[wp_id] if dep in places)
            / max(1, len(dependencies[wp_id]))
            for wp_id in wave
        }
        for number, wp_id in enumerate(sorted(wave, key=lambda each: middle[each])):
            places[wp_id] = (column + number // MOST_IN_COLUMN, number % MOST_IN_COLUMN)
        column += 1 + (len(wave) - 1) // MOST_IN_COLUMN
    return places


def _waves(dependencies: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """By the longest chain; a circle comes last, together."""
    left = dict(dependencies)
    while left:
        wave = [wp_id for wp_id, after in left.items() if not any(dep in left for dep in after)] or [*left]
        yield wave
        for wp_id in wave:
            del left[wp_id]
