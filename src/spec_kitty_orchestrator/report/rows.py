"""What the board says of a run: its story so far, in words, for `picture.py` to draw. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from attrs import evolve

from .estimate import Remaining, seconds_left
from .phases import Phase, Span
from .picture import Need, Picture, Row
from .story import Story
from .times import clock_time, duration, stopwatch
from .totals import dollars
from .wp_story import AttemptStory, WpStory

DOES = {"implementation": "implements", "review": "reviews"}
COMMIT_SHOWN = 8  # of its digits
NOT_WORKED_ON = (Phase.DEPENDENCIES, Phase.SLOT, Phase.OVER)
AT_THE_HOST = {
    "planned": "is claimed",
    "claimed": "is claimed",
    "in_progress": "is handed over",
    "for_review": "goes into review",
    "in_review": "is moved on",
}
"""What is done with it while no agent is at it, by its lane; the project's checks belong to the handover."""
STUCK_LANES = ("blocked", "canceled")

Overhear = Callable[[AttemptStory], str]
"""What the agent of an attempt said or did last; an empty text when nobody knows."""


def picture_of(story: Story, now: float, overhear: Overhear, news: tuple[str, ...] = ()) -> Picture:
    """All that the board shows at that time (seconds since the epoch)."""
    rows = tuple(_row(story, wp, now, overhear) for wp in story.work_packages.values())
    resting = [] if story.is_over else story.resting(now)
    return Picture(
        title=f"{story.mission} · run {story.run_id}",
        state=_state(story),
        counts=dict(Counter(row.need for row in rows)),
        facts=tuple(_facts(story, now)),
        resting=tuple(f"{rest.agent} until {clock_time(rest.until)} ({rest.kind})" for rest in resting),
        rows=rows,
        news=news,
    )


def _state(story: Story) -> str:
    if (start := story.start) is None or start.ended is not None:
        return "" if start is None else start.status
    if story.paused_since is not None:
        return "PAUSED"
    return story.ending or ("waits for people" if story.people else "running")


def _facts(story: Story, now: float) -> list[str]:
    total = story.totals.run
    at_work = len(story.at_work)
    facts = []
    if not story.is_over:
        facts.append(
            f"{at_work} at work" if story.slots is None else f"{at_work} of {story.slots} slots in use"
        )
    facts.append(duration(story.seconds(now)))
    limit = "" if story.max_cost_usd is None else f" of {dollars(story.max_cost_usd)}"
    facts += filter(None, (total.tokens, total.cost + limit if total.cost else ""))
    if not story.is_over and (left := _left(story, now)) is not None:
        facts.append(f"about {duration(left)} left")
    return facts


def _left(story: Story, now: float) -> float | None:
    """How long the rest will take; nobody knows while less than three are through."""
    took, begun, to_begin = [], {}, []
    for wp in story.work_packages.values():
        seconds = _worked_on(wp, now)
        if wp.is_accepted:
            took += [seconds] if wp.attempts else []
        elif _is_stuck(story, wp):
            continue
        elif wp.attempts:
            begun[wp.wp_id] = seconds
        else:
            to_begin.append(wp.wp_id)
    waits_for = {wp_id: story.waits_for(wp_id) for wp_id in to_begin}
    return seconds_left(took, Remaining(begun, to_begin, waits_for, max(story.slots or len(begun), 1)))


def _worked_on(wp: WpStory, now: float) -> float:
    return sum(span.seconds(now) for span in wp.timeline.spans if span.phase not in NOT_WORKED_ON)


def _is_stuck(story: Story, wp: WpStory) -> bool:
    return wp.lane in STUCK_LANES or bool(wp.left) or _is_not_asked_for(story, wp)


def _is_not_asked_for(story: Story, wp: WpStory) -> bool:
    return story.wanted is not None and wp.wp_id not in story.wanted


# A work package.


def _row(story: Story, wp: WpStory, now: float, overhear: Overhear) -> Row:
    """What is at it, or what it waits for."""
    row = Row(wp.wp_id, wp.lane, Need.IDLE, cost=_cost(wp))
    if wp.is_accepted:
        return evolve(row, need=Need.THROUGH, now=_approved(wp))
    if (attempt := wp.attempt) is not None and (place := wp.waits) is not None and place.phase is Phase.PLACE:
        told = f"{attempt.agent} waits for a place ({place.words})"
        time = stopwatch(place.seconds(now))
        return evolve(row, need=Need.WAITS, now=told, attempt=str(attempt.number), time=time)
    if attempt is not None:
        return evolve(
            row,
            need=Need.AT_WORK,
            now=f"{attempt.agent} {DOES.get(attempt.role, attempt.role)}",
            attempt=str(attempt.number),
            time=stopwatch(attempt.seconds(now)),
            said=overhear(attempt),
        )
    if wp.lane == "canceled":
        return evolve(row, need=Need.THROUGH, said=wp.left)
    if _is_not_asked_for(story, wp):
        return evolve(row, now="not asked for")
    span = wp.timeline.now
    if span is None or span.phase is Phase.OVER:
        return _left_as_it_is(row, wp)
    need, words = _waiting(wp, span, now)
    said = span.words if need is not Need.AT_WORK else ""
    return evolve(
        row,
        need=need,
        now=words,
        time=stopwatch(span.seconds(now)) if need is not Need.IDLE else "",
        said=said,
    )


def _waiting(wp: WpStory, span: Span, now: float) -> tuple[Need, str]:
    """Nobody is at it but ourselves, or it waits."""
    left = stopwatch(max((span.until or now) - now, 0.0))
    words = {
        Phase.DEPENDENCIES: (Need.IDLE, f"waits for {', '.join(span.who)}"),
        Phase.SLOT: (Need.IDLE, "waits for a slot"),
        Phase.LANE: (Need.WAITS, "waits for its lane"),
        Phase.AGENTS: (Need.WAITS, f"waits for {', '.join(span.who)}"),
        Phase.PAUSE: (Need.WAITS, f"{', '.join(span.who)} again in {left}"),
        Phase.HELD: (Need.IDLE, "is held by the pause"),
        Phase.PUT_OFF: (Need.WAITS, f"tried again in {left}"),
    }
    return words.get(span.phase, (Need.AT_WORK, AT_THE_HOST.get(wp.lane, "at the host")))


def _left_as_it_is(row: Row, wp: WpStory) -> Row:
    """This run does nothing more for it; one that was cut off goes on with the next."""
    if wp.lane != "blocked" and not wp.left:
        return evolve(row, now="stopped", said=wp.note) if wp.attempts else evolve(row, now="not begun")
    over = wp.timeline.spans[-1].words if wp.timeline.spans else ""
    attempts = f"after {_count(len(wp.attempts), 'attempt')}" if wp.attempts else "left as it is"
    return evolve(row, need=Need.ATTENTION, now=attempts, said=wp.left or over or wp.note)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _approved(wp: WpStory) -> str:
    if (verdict := wp.approved) is None:
        return ""
    return f"{verdict.reviewer} approved {verdict.commit[:COMMIT_SHOWN]}".strip()


def _cost(wp: WpStory) -> str:
    total = wp.total
    if total.cost_usd is None:
        return ""
    return f"{'>' if total.untold else ''}{dollars(total.cost_usd)}"
