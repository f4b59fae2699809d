"""What happened to one work package, in the order in which it happened, for a report."""

from __future__ import annotations

from collections.abc import Iterator

from .document import BAD, GOOD, OPEN, QUIET, Chapter, Happening
from .events import CommandEnded, VerdictGiven
from .figures import REJECTED, SHORT_WAIT_SECONDS, clock, took, what_was_waited_for
from .harmless import harmless, one_line
from .phases import Phase, Span
from .wp_story import AttemptStory, WpStory

Dated = tuple[float, Happening]


def chapter(wp: WpStory, now: float) -> Chapter:
    """All of it that a person would want to know."""
    entries = [*_attempts(wp, now), *_commands(wp), *_verdicts(wp), *_setbacks(wp), *_waits(wp, now)]
    if wp.left:
        time = wp.timeline.spans[-1].start if wp.timeline.spans else now
        entries.append((time, Happening(clock(time), "left as it is", BAD, harmless(wp.left))))
    return Chapter(
        one_line(wp.wp_id),
        one_line(wp.title),
        one_line(wp.lane),
        tone_of(wp),
        _facts(wp),
        tuple(entry for _, entry in sorted(entries, key=lambda dated: dated[0])),
    )


def tone_of(wp: WpStory) -> str:
    """How it stands, at a glance."""
    if wp.is_accepted:
        return GOOD
    if wp.lane == "blocked" or wp.left:
        return BAD
    return QUIET if wp.lane in ("planned", "canceled") and not wp.attempts else OPEN


def _facts(wp: WpStory) -> str:
    parts = [f"after {', '.join(map(one_line, wp.dependencies))}"] if wp.dependencies else []
    parts += [f"on {one_line(wp.branch)}"] if wp.branch else []
    return "; ".join([*parts, *([wp.total.line] if wp.attempts else [])])


def _attempts(wp: WpStory, now: float) -> Iterator[Dated]:
    told = {setback.words for setback in wp.setbacks}
    for attempt in wp.attempts:
        words = "" if attempt.message in told else harmless(attempt.message)
        what = f"{attempt.role} {attempt.number} by {one_line(attempt.agent)}: {_outcome(attempt, now)}"
        tone = BAD if attempt.failed else QUIET if attempt.ended is not None else OPEN
        yield attempt.started, Happening(clock(attempt.started), what, tone, words)


def _outcome(attempt: AttemptStory, now: float) -> str:
    spent = attempt.spent
    tokens = spent.input_tokens is not None or spent.output_tokens is not None
    cost = [f"{spent.input_tokens or 0:,} tokens in, {spent.output_tokens or 0:,} out"] if tokens else []
    cost += [] if spent.cost_usd is None else [f"{spent.cost_usd:.4f} USD"]
    how = "at work for" if attempt.outcome is None else f"{attempt.outcome} after"
    began = ["went on with its session"] if attempt.continued else []
    return "; ".join([f"{how} {took(attempt.seconds(now))}", *began, *cost, f"log {one_line(attempt.log)}"])


def _commands(wp: WpStory) -> Iterator[Dated]:
    for ended, command in wp.commands:
        time = ended - command.seconds
        yield (
            time,
            Happening(clock(time), _command(command), QUIET if command.outcome == "succeeded" else BAD),
        )


def _command(command: CommandEnded) -> str:
    what = f"{command.purpose} `{one_line(command.command)}`: {one_line(command.outcome)}"
    return f"{what} after {took(command.seconds)}; log {one_line(command.log)}"


def _verdicts(wp: WpStory) -> Iterator[Dated]:
    for time, verdict in wp.verdicts:
        tone = BAD if verdict.verdict == REJECTED else GOOD
        yield time, Happening(clock(time), _verdict(verdict), tone, harmless(verdict.feedback))


def _verdict(verdict: VerdictGiven) -> str:
    whose = " (its own work)" if verdict.own_work else ""
    what = verdict.verdict.replace("_", " ")
    return f"{one_line(what)} by {one_line(verdict.reviewer)}{whose}, commit {one_line(verdict.commit)}"


def _setbacks(wp: WpStory) -> Iterator[Dated]:
    for setback in wp.setbacks:
        yield (
            setback.time,
            Happening(
                clock(setback.time), "not ready, back to its implementer", BAD, harmless(setback.words)
            ),
        )


def _waits(wp: WpStory, now: float) -> Iterator[Dated]:
    for span in wp.timeline.spans:
        told = span.phase in (Phase.AGENTS, Phase.PAUSE, Phase.PUT_OFF, Phase.LANE, Phase.PLACE)
        if told and span.seconds(now) >= SHORT_WAIT_SECONDS:
            yield span.start, Happening(clock(span.start), _wait(span, now), QUIET)


def _wait(span: Span, now: float) -> str:
    why = f" ({one_line(span.words)})" if span.phase in (Phase.LANE, Phase.AGENTS) and span.words else ""
    return f"waited {took(span.seconds(now))} for {one_line(what_was_waited_for(span))}{why}"
