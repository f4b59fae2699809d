"""Figures of a run for its report: what went for nothing, what was waited for, and how times are said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timezone

from attrs import frozen

from .phases import Phase, Span
from .story import Story
from .totals import Total
from .wp_story import AttemptStory, WpStory, total_of

REJECTED = "changes_requested"
SHORT_WAIT_SECONDS = 1.0
"""Waits that are shorter are not told."""

TOLD_WAITS = (
    Phase.AGENTS,
    Phase.PAUSE,
    Phase.PUT_OFF,
    Phase.LANE,
    Phase.PLACE,
    Phase.SLOT,
    Phase.HELD,
)
"""What a work package waits for beside those that it depends on, and the host's ordinary calls."""


@frozen
class Repeated:
    """Attempts that would not have been made had all gone well, by why."""

    why: str
    attempts: tuple[AttemptStory, ...]

    @property
    def total(self) -> Total:
        """What they cost."""
        return total_of(self.attempts)

    def seconds(self, now: float) -> float:
        """How long they took, together."""
        return sum(attempt.seconds(now) for attempt in self.attempts)


def repeated(story: Story) -> list[Repeated]:
    """What failed, by failure kind; what was cut short; and what was done once more after a rejection."""
    found: dict[str, list[AttemptStory]] = {}
    for wp in story.work_packages.values():
        rejected = [time for time, verdict in wp.verdicts if verdict.verdict == REJECTED]
        for attempt in wp.attempts:
            if attempt.failed or attempt.outcome == "interrupted":
                found.setdefault(attempt.outcome or "", []).append(attempt)
            elif rejected and attempt.started >= rejected[0]:
                found.setdefault(f"{attempt.role} after a rejection", []).append(attempt)
    return [Repeated(why, tuple(found[why])) for why in sorted(found)]


@frozen
class Wait:
    """What was waited for, by how many work packages how often, and for how long in all."""

    what: str
    times: int
    wp_ids: tuple[str, ...]
    seconds: float


def waits(story: Story, now: float) -> list[Wait]:
    """What was waited for, the longest first; short ones are left out."""
    found: dict[str, list[tuple[str, float]]] = {}
    for wp in story.work_packages.values():
        for span in wp.timeline.spans:
            if span.phase in TOLD_WAITS and (seconds := span.seconds(now)) >= SHORT_WAIT_SECONDS:
                found.setdefault(what_was_waited_for(span), []).append((wp.wp_id, seconds))
    told = [
        Wait(
            what,
            len(those),
            tuple(dict.fromkeys(wp_id for wp_id, _ in those)),
            sum(each for _, each in those),
        )
        for what, those in found.items()
    ]
    return sorted(told, key=lambda wait: -wait.seconds)


def what_was_waited_for(span: Span) -> str:
    """`codex, which rested`, `a slot`."""
    if span.phase is Phase.AGENTS:
        return f"{', '.join(span.who)} (resting)"
    if span.phase is Phase.PAUSE:
        return f"the next try of {', '.join(span.who)} after {span.words}"
    if span.phase is Phase.PUT_OFF:
        return f"another try, as it was put off: {' '.join(span.words.split())[:100]}"
    if span.phase is Phase.HELD:
        return "the run to be unpaused"
    return "its turn in its lane" if span.phase is Phase.LANE else "a slot"


def phases_of(wps: Iterable[WpStory], now: float) -> dict[Phase, float]:
    """How long they were in each phase, together; without what came after their end."""
    found: dict[Phase, float] = {}
    for wp in wps:
        for phase, seconds in wp.timeline.seconds_by_phase(now).items():
            found[phase] = found.get(phase, 0.0) + seconds
    return {phase: found[phase] for phase in Phase if phase in found and phase is not Phase.OVER}


def clocks(story: Story) -> Iterator[tuple[float, float]]:
    """Each start of the run as (began, seconds of the run until then): time between starts does not count."""
    before = 0.0
    for start in story.starts:
        yield start.started, before
        before += max(0.0, (story.last if start.ended is None else start.ended) - start.started)


# How it is said.


def took(seconds: float) -> str:
    """`0.04 s`, `1.4 s`, `42 s`, `12 min 3 s`, `1 h 12 min`."""
    if seconds < 0.1:
        return f"{seconds:.2f} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def local(epoch: float) -> str:
    """`2026-11-28 01:19:35`, where we are."""
    return f"{datetime.fromtimestamp(epoch, timezone.utc).astimezone():%Y-%m-%d %H:%M:%S}"


def clock(epoch: float) -> str:
    """`01:19:35`, where we are."""
    return local(epoch)[11:]
