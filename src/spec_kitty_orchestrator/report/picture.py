"""The board as text: lines of a given width, no more of them than fit. What it shows is said by `rows.py`."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence

from attrs import frozen
from rich.text import Text

WIDE = 120
"""Columns from which on an agent's last words stand in its row, and not below it."""
NEWS_SHOWN = 4
"""Lines that are kept for what concerns no single row, if there are so many and there is room."""
LINES_FOR_NEWS = 6
"""One line in so many of a low terminal."""
USUAL_STATES = ("running", "finished")
LONGEST_LANE = len("in_progress")
MOST_NOW = 36
"""Columns of a wide terminal; two agents' names, or an agent's with its model."""
GAP = "  "
PLAIN_GLYPHS = str.maketrans("▸✓·━╌…→—", ">+.=-~>-")
"""For a terminal whose characters are no Unicode; one for one."""


class Need(enum.IntEnum):
    """What a row asks of whoever looks; those first that ask the most."""

    ATTENTION = 0
    AT_WORK = 1
    WAITS = 2
    IDLE = 3
    THROUGH = 4


LOOK = {
    Need.ATTENTION: ("!", "bold red"),
    Need.AT_WORK: ("▸", "bold green"),
    Need.WAITS: ("·", "yellow"),
    Need.IDLE: ("·", "dim"),
    Need.THROUGH: ("✓", "green"),
}
FOLDED = {Need.THROUGH: "{} through", Need.IDLE: "{} more wait for others, or for a slot"}
"""Those that need nothing, in the order in which they give way, and what is said in their place."""


@frozen
class Row:
    """One work package.

    Attributes:
        now: who does what with it, or what it waits for.
        attempt: the number of the attempt, in its role.
        time: how long that takes already, in words.
        cost: what it has cost until now, in words.
        said: the last thing that was said or done, by its agent or of it.
    """

    wp_id: str
    lane: str
    need: Need
    now: str = ""
    attempt: str = ""
    time: str = ""
    cost: str = ""
    said: str = ""


@frozen
class Picture:
    """All that a board shows.

    Attributes:
        title: the mission and the run; `state`: how that stands.
        counts: so many work packages by what they need, for the bar.
        facts: of the run as a whole, the most important first.
        resting: each agent that rests, and for how long.
        rows: in the host's order.
        news: what happened to no single work package, the newest last.
    """

    title: str
    state: str
    counts: dict[Need, int]
    facts: tuple[str, ...] = ()
    resting: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    news: tuple[str, ...] = ()


def draw(picture: Picture, width: int, height: int | None = None, *, plain: bool = False) -> list[Text]:
    """The lines, none wider than `width`.

    Args:
        height: how many there may be; None: nothing gives way.
        plain: in characters that every terminal has.
    """
    head = [*_head(picture, width)]
    news = [Text(_clean(line), "bold red" if "WARNING" in line else "bold") for line in picture.news]
    if height is None:
        body = _body(picture.rows, (), width, below=True)
    else:
        news = news[-min(NEWS_SHOWN, max(height // LINES_FOR_NEWS, 1)) :]
        room = height - len(head) - len(news) - bool(news)
        body = _fitting(picture.rows, width, room)
    lines = [*head, *body, *([Text(), *news] if news else [])]
    return [_fit(line, width, plain) for line in lines[:height]]


def _clean(words: str) -> str:
    """On one line, and nothing in it can act on the terminal."""
    return " ".join("".join(each if each.isprintable() else " " for each in words).split())


def _fit(line: Text, width: int, plain: bool) -> Text:
    line.truncate(width, overflow="ellipsis")
    return Text(line.plain.translate(PLAIN_GLYPHS), spans=line.spans, style=line.style) if plain else line


# Above the rows.


def _head(picture: Picture, width: int) -> Iterator[Text]:
    title = Text(picture.title, "bold")
    title.truncate(max(width - len(picture.state) - len(GAP), 0), overflow="ellipsis", pad=True)
    is_usual = picture.state in USUAL_STATES
    yield title + GAP + Text(picture.state, "bold" if is_usual else "bold yellow")
    yield bar(picture.counts, width)
    yield from (Text(line) for line in packed(picture.facts, width))
    yield from (Text(f"resting: {line}", "yellow") for line in packed(picture.resting, width - 9))
    yield Text()


def bar(counts: dict[Need, int], width: int) -> Text:
    """Through, at work, in need of somebody, and the rest; what there is of something is seen."""
    total = sum(counts.values())
    said = f"{counts.get(Need.THROUGH, 0)} of {total} through"
    stuck = counts.get(Need.ATTENTION, 0)
    said += f", {stuck} need you" if stuck > 1 else ", 1 needs you" if stuck else ""
    room = max(width - len(said) - len(GAP), 1)
    line, upto, drawn = Text(), 0, 0
    for need, glyph in ((Need.THROUGH, "━"), (Need.AT_WORK, "━"), (Need.ATTENTION, "━")):
        upto += counts.get(need, 0)
        end = room * upto // max(total, 1)
        end = min(max(end, drawn + bool(counts.get(need))), room)
        line.append(glyph * (end - drawn), {Need.AT_WORK: "cyan", Need.THROUGH: "green"}.get(need, "red"))
        drawn = end
    line.append("╌" * (room - drawn), "dim")
    return line + GAP + Text(said, "bold")


def packed(facts: Sequence[str], width: int) -> Iterator[str]:
    """Facts beside each other, as many as a line holds."""
    line = ""
    for fact in facts:
        longer = f"{line} · {fact}" if line else fact
        if line and len(longer) > width:
            yield line
            longer = fact
        line = longer
    if line:
        yield line


# The rows.


def _fitting(rows: Sequence[Row], width: int, room: int) -> list[Text]:
    """What there is room for: what needs nothing folds first, then last words, then the least urgent."""
    for folded in ((), (Need.THROUGH,), tuple(FOLDED)):
        if sum(row.need not in folded for row in rows) >= room:  # each has a line, and there is a heading
            continue
        for below in (True, False):
            body = _body(rows, folded, width, below=below)
            if len(body) <= room:
                break
        else:
            continue
        return _body(rows, folded, width, below=below, unfolded=room - len(body)) if folded else body
    urgent = sorted((row for row in rows if row.need not in FOLDED), key=lambda row: row.need)
    kept = max(room - len({row.need for row in rows} & {*FOLDED}) - 2, 0)  # beside heading and last line
    shown = [row for row in rows if row.need in FOLDED or row in urgent[:kept]]
    body = _body(shown, tuple(FOLDED), width, below=False)
    body.append(Text(f"  and {len(urgent) - kept} more that are at work or wait", "dim"))
    return body[: max(room, 0)]


def _body(
    rows: Sequence[Row], folded: Sequence[Need], width: int, *, below: bool, unfolded: int = 0
) -> list[Text]:
    """The rows but those that are folded; of the ones that come next so many are shown all the same."""
    idle = [row for row in rows if row.need is Need.IDLE]
    next_ones = idle[:unfolded] if Need.IDLE in folded and len(idle) > unfolded else []
    shown = [row for row in rows if row.need not in folded or row in next_ones]
    layout = _Layout.of(shown, width)
    lines = [layout.heading()] if shown else []
    for row in shown:
        lines += layout.lines(row, below=below)
    for need in folded:
        if count := sum(row.need is need and row not in next_ones for row in rows):
            mark, style = LOOK[need]
            lines.append(Text().append(f"{mark} ", style).append(FOLDED[need].format(count), "dim"))
    return lines


@frozen
class _Layout:
    """How wide each column is."""

    width: int
    wp_id: int
    lane: int
    now: int
    cost: int

    @classmethod
    def of(cls, rows: Sequence[Row], width: int) -> _Layout:
        wp_id = max((len(row.wp_id) for row in rows), default=0)
        cost = max((len(row.cost) for row in rows), default=0)
        lane = max((len(row.lane) for row in rows), default=0)
        wp_id, cost, lane = max(wp_id, 2), max(cost, 5), max(lane, LONGEST_LANE)
        fixed = 2 + wp_id + lane + 3 + 7 + cost + 5 * len(GAP)
        now = max(width - fixed, 3)
        now = now if width < WIDE else min(now // 2, MOST_NOW)
        return cls(width, wp_id, lane, now, cost)

    def heading(self) -> Text:
        said = "last" if self.width >= WIDE else ""
        cells = ("WP", "lane", "now", "try", "for", "cost", said)
        line = Text("  ").append_text(self._cells(cells))
        line.stylize("dim")
        return line

    def lines(self, row: Row, *, below: bool) -> Iterator[Text]:
        mark, style = LOOK[row.need]
        is_wide = self.width >= WIDE
        said = _clean(row.said)
        cells = (row.wp_id, row.lane, row.now, row.attempt, row.time, row.cost, said if is_wide else "")
        line = Text().append(f"{mark} ", style).append_text(self._cells(cells))
        if row.need is Need.ATTENTION:
            line.stylize(style)
        if row.need in (Need.IDLE, Need.THROUGH):
            line.stylize("dim", 2)
        yield line
        if below and said and not is_wide:
            yield Text(" " * (2 + self.wp_id + len(GAP))).append(said, "italic dim")

    def _cells(self, cells: Sequence[str]) -> Text:
        widths = (self.wp_id, self.lane, self.now, -3, -7, -self.cost, 0)
        line = Text()
        for cell, width in zip(cells, widths, strict=True):
            text = Text(_clean(cell))
            if width:
                text.truncate(abs(width), overflow="ellipsis")
                text.align("right" if width < 0 else "left", abs(width))
            line.append_text(text).append(GAP)
        line.rstrip()
        return line
