"""Composes the report on a run from its story: which figures, in which order, and in which words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .chapters import chapter
from .document import BAD, GOOD, OPEN, Document, Happening, Table, made_harmless
from .figures import clock, local, phases_of, repeated, took, waits
from .harmless import harmless, one_line
from .phases import Phase
from .story import Start, Story
from .totals import Total, dollars
from .wp_story import WpStory

COMMIT_SHOWN = 12
SHORTEST_SECONDS = 0.05
"""Of a phase, in all, for a column of its own."""
WAITS_SHOWN = 12
NOTICES_SHOWN = 50


def compose(story: Story, problems: Sequence[str] = ()) -> Document:
    """The report on a run, as things stood when its newest event happened.

    Args:
        problems: what could not be read of its events.
    """
    now, start = story.last, story.start
    wps = [*story.work_packages.values()]
    tables = (
        _work_packages(wps, now),
        _time(wps, now),
        _costs(story),
        _repeats(story, now),
        _waits(story, now),
        _rests(story),
    )
    document = Document(
        heading=f"run {one_line(story.run_id)} of mission {one_line(story.mission)}",
        standing=_standing(story, now),
        tone=OPEN if start is None or start.ended is None else GOOD if start.exit_code == 0 else BAD,
        facts=tuple(_facts(story, now)),
        summary=harmless(start.summary) if start is not None else "",
        tables=tuple(table.without_empty_columns() for table in tables if table.rows),
        chapters=tuple(chapter(wp, now) for wp in wps),
        notices=tuple(
            Happening(clock(each.time), one_line(each.words)) for each in story.notices[:NOTICES_SHOWN]
        ),
        problems=tuple(map(one_line, problems)),
    )
    return made_harmless(document)


def _standing(story: Story, now: float) -> str:
    done = sum(wp.is_accepted for wp in story.work_packages.values())
    count = f"{done} of {len(story.work_packages)} work packages done"
    start = story.start
    if start is None:
        return "nothing is known of its beginning"
    if start.ended is None:
        return f"no end of it is told, the last that was heard of it is of {local(now)}; {count}"
    return f"{one_line(start.status)} (exit code {start.exit_code}) after {took(story.seconds(now))}; {count}"


def _facts(story: Story, now: float) -> Iterable[tuple[str, str]]:
    first = story.starts[0].started if story.starts else now
    yield "Began", local(first)
    if story.start is not None and story.start.ended is not None:
        yield "Ended", local(story.start.ended)
    yield "Lasted", took(story.seconds(now)) + _of_starts(story.starts)
    yield "Actor", one_line(story.actor)
    if story.slots is not None:
        yield "At once", f"{story.slots} work packages"
    if limits := _limits(story):
        yield "Budget", limits
    if story.wanted is not None:
        yield "Asked for", one_line(", ".join(story.wanted))
    if spent := story.totals.run.line:
        yield "Spent", spent
    if story.pauses:
        held = sum((now if end is None else end) - since for since, end in story.pauses)
        yield "Paused", f"{took(held)}, in {len(story.pauses)} pause{'' if len(story.pauses) == 1 else 's'}"
    if story.merged is not None:
        merged = story.merged
        where = f"into {merged.target} ({merged.strategy}), {merged.commit[:COMMIT_SHOWN]}"
        yield "Merged", one_line(where)


def _of_starts(starts: Sequence[Start]) -> str:
    return "" if len(starts) < 2 else f", in {len(starts)} starts"


def _limits(story: Story) -> str:
    cost, seconds = story.max_cost_usd, story.max_runtime_seconds
    limits = [] if cost is None else [f"{dollars(cost)} USD"]
    return "; ".join(limits + ([] if seconds is None else [f"{took(seconds)} for each start"]))


def _work_packages(wps: Sequence[WpStory], now: float) -> Table:
    rows = []
    for wp in wps:
        total, verdict = wp.total, wp.approved
        worked = sum(seconds for phase, seconds in phases_of([wp], now).items() if phase.is_work)
        sent_back = sum(each.verdict == "changes_requested" for _, each in wp.verdicts)
        cells = (
            one_line(wp.wp_id),
            one_line(wp.title, 60),
            one_line(wp.lane),
            str(len(wp.attempts)),
            str(sent_back),
            took(worked) if worked else "",
            total.cost,
            "" if verdict is None else one_line(verdict.commit[:COMMIT_SHOWN]),
            "" if verdict is None else one_line(verdict.reviewer),
        )
        rows.append(cells)
    columns = ("WP", "title", "lane", "attempts", "sent back", "worked", "cost", "approved", "by")
    return Table("Work packages", columns, tuple(rows), frozenset({3, 4, 5, 6}))


def _time(wps: Sequence[WpStory], now: float) -> Table:
    """What the time of each went by with, and of all of them: work at first, then waits."""
    of_all = phases_of(wps, now)
    shown = sorted(
        (phase for phase in of_all if of_all[phase] >= SHORTEST_SECONDS),
        key=lambda phase: (not phase.is_work, phase is not Phase.HOST),
    )
    rows = []
    for name, those in [*((wp.wp_id, [wp]) for wp in wps), ("all", wps)]:
        spent = phases_of(those, now)
        rows.append((one_line(name), *(took(spent[phase]) if spent.get(phase) else "" for phase in shown)))
    columns = ("WP", *(phase.column for phase in shown))
    note = (
        "host: calls at the host, and looks at what is committed; for ...: waiting. Work packages go side by "
        "side: together they take more time than the run."
    )
    return Table("Time", columns, tuple(rows) if shown else (), frozenset(range(1, len(columns))), note)


def _costs(story: Story) -> Table:
    totals = story.totals
    agents = [(agent, total) for agent, total in totals.by_agent.items() if total.attempts]
    rows = [(one_line(agent), *_cost_cells(total)) for agent, total in agents]
    rows += [("all", *_cost_cells(totals.run))] if len(rows) > 1 else []
    columns = ("agent", "attempts", "tokens in", "tokens out", "cost")
    return Table("Agents", columns, tuple(rows), frozenset({1, 2, 3, 4}))


def _cost_cells(total: Total) -> tuple[str, str, str, str]:
    tokens = [f"{each:,}" if each is not None else "" for each in (total.input_tokens, total.output_tokens)]
    return str(total.attempts), tokens[0], tokens[1], total.cost


def _repeats(story: Story, now: float) -> Table:
    rows = []
    for each in repeated(story):
        cost = each.total.cost
        rows.append(
            (one_line(each.why), str(len(each.attempts)), took(each.seconds(now)), each.total.tokens, cost)
        )
    columns = ("why", "attempts", "time", "tokens", "cost")
    heading = "Attempts that failed, or were made once more"
    return Table(heading, columns, tuple(rows), frozenset({1, 2, 3, 4}))


def _waits(story: Story, now: float) -> Table:
    found = waits(story, now)
    rows = tuple(
        (one_line(wait.what), one_line(", ".join(wait.wp_ids), 60), str(wait.times), took(wait.seconds))
        for wait in found[:WAITS_SHOWN]
    )
    more = len(found) - WAITS_SHOWN
    note = f"{more} shorter ones are not shown." if more > 0 else ""
    return Table("Waited for", ("what", "by", "times", "time"), rows, frozenset({2, 3}), note)


def _rests(story: Story) -> Table:
    rows = [
        (
            one_line(each.agent),
            f"{clock(each.since)} for {took(each.until - each.since)}",
            each.kind,
            one_line(each.reason),
        )
        for each in story.rests
    ]
    rows += [(one_line(agent), "out", "", one_line(reason)) for agent, reason in story.out.items()]
    return Table("Agents that rested, or are out", ("agent", "since", "kind", "why"), tuple(rows))
