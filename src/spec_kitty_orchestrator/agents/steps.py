"""One line of an agent's output becomes steps: what it said, what it ran, what came back. Pure.

Whatever the line holds, reading never raises; what cannot be read is a step too, as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping

from attrs import evolve, frozen

from .documents import last_document, parse
from .places import text_of, value_at
from .spec import Output, OutputFormat
from .speech import Extent, StepAt, StepKind

SHORT_CHARACTERS = 200
"""Of a short form; a board cuts it to its own width."""

# What a person looks for first among the things that a tool is given, in this order.
_MAIN_ARGUMENTS = ("command", "file_path", "filePath", "path", "pattern", "query", "url", "prompt")
# CSI; OSC, DCS and their like, if they end on the line; and other escapes of two or three characters.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-Z\\^-~]"
)
# Control characters but tab and newline, and those that turn the direction of what follows.
_CONTROLS = re.compile(r"[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LINE_ENDS = re.compile(r"\r\n?|[\v\f\x85\u2028\u2029]")


@frozen
class Step:
    """One thing that an agent did. `text` holds no control characters but newlines and tabs.

    It is empty for a tool that gave nothing back.
    """

    kind: StepKind
    text: str
    extent: Extent = Extent.WHOLE

    @property
    def adds(self) -> bool:
        """It goes on with what was said just before."""
        return self.extent in (Extent.PIECE, Extent.DRAFT)


def steps_of(output: Output, line: str) -> tuple[Step, ...]:
    """The steps in one line of an agent's output; none for a line that is known to say nothing.

    A document on several lines is taken too, if `line` holds all of it. It takes 30 ms for 100,000 values.
    """
    if not line.strip():
        return ()
    if output.format is OutputFormat.TEXT:
        return (_step(StepKind.SAID, line),)
    try:
        return _steps_in(output, line)
    except RecursionError:  # values in values that could be parsed, and are too deep to be walked
        return (_step(StepKind.TOLD, line),)


def _steps_in(output: Output, line: str) -> tuple[Step, ...]:
    before, events, after = _events_in(line)
    each = [_of_event(output, event) for event in events]
    if all(steps is None for steps in each):
        return (_step(StepKind.TOLD, line),)
    found = [_step(StepKind.TOLD, before)] if before.strip() else []
    for event, steps in zip(events, each, strict=True):
        found += [_as_it_is(event)] if steps is None else steps
    return (*found, *([_step(StepKind.TOLD, after)] if after.strip() else []))


def last_step(output: Output, tail: bytes, *, cut: bool = False) -> Step | None:
    """The last step in the end of a log, or None when it holds none; a message in pieces is one step.

    Args:
        cut: something stands before it in the log, so that its first line may be half a line.
    """
    text = tail.decode("utf-8", "replace")
    lines = text.split("\n")
    if output.format is OutputFormat.JSON and (document := last_document(text)) is not None:
        lines.append(json.dumps(document))
    elif output.format is not OutputFormat.TEXT:
        halves = {0 if cut else -1, len(lines) - 1}
        lines = [line for at, line in enumerate(lines) if at not in halves or parse(line) is not None]
    return _last_of(step for line in reversed(lines) for step in reversed(steps_of(output, line)))


def _last_of(backwards: Iterable[Step]) -> Step | None:
    last: Step | None = None
    for step in backwards:
        if last is None and step.text.strip():
            last = step
        elif last is not None and last.extent is step.extent and last.kind is step.kind and step.adds:
            last = evolve(last, text=step.text + last.text)
        elif last is not None:
            break
        if last is not None and not last.adds:
            break
    return last


def short(step: Step, most: int = SHORT_CHARACTERS) -> str:
    """A step on one line of at most `most` characters; before all but what was said stands its kind."""
    text = " ".join(step.text[: 4 * most].split())
    line = text if step.kind is StepKind.SAID else f"{step.kind.value}: {text or 'nothing'}"
    return line if len(line) <= most else f"{line[: most - 1]}…"


def plain(text: str) -> str:
    """Without escape sequences and control characters: nothing in it can act on a terminal."""
    return _CONTROLS.sub("", _LINE_ENDS.sub("\n", _ESCAPES.sub("", text)))


def _step(kind: StepKind, text: str, extent: Extent = Extent.WHOLE) -> Step:
    shown = plain(text)
    return Step(kind, shown if extent in (Extent.PIECE, Extent.DRAFT) else shown.strip("\n").rstrip(), extent)


def _as_it_is(value: object) -> Step:
    return _step(StepKind.TOLD, json.dumps(value, ensure_ascii=False))


def _events_in(line: str) -> tuple[str, list[Mapping[str, object]], str]:
    """The events on a line, and what stands before and after them: the other stream's words may."""
    start = re.search(r"[\[{]", line)
    if start is None:
        return "", [], ""
    try:
        value, end = json.JSONDecoder().raw_decode(line, start.start())
    except (ValueError, RecursionError):
        return "", [], ""
    events = value if isinstance(value, list) else [value]
    if not events or not all(isinstance(event, dict) for event in events):
        return "", [], ""
    return line[: start.start()], events, line[end:]


def _of_event(output: Output, event: Mapping[str, object]) -> list[Step] | None:
    """The steps in one event; None when nobody knows what it says."""
    known = [sort for sort in output.steps if sort.fits(event)]
    if not known:
        return _by_its_places(output, event)
    found: list[Step] = []
    for sort in known:
        for block in sort.blocks(event):
            fitting = [place for place in sort.steps if place.text.fits(block)]
            found += [step for place in fitting if (step := _read(place, block)) is not None]
            if sort.inside and not fitting:
                found.append(_as_it_is(block))
    return found


def _by_its_places(output: Output, event: Mapping[str, object]) -> list[Step] | None:
    """What the record says of every agent: where its final text is, and its errors."""
    extent = Extent.RECAP if any(place.fits(event) for place in output.complete) else Extent.WHOLE
    if text := output.final.text(event):
        adds = output.final_adds and extent is Extent.WHOLE
        return [_step(StepKind.SAID, text, Extent.PIECE if adds else extent)]
    errors = (place.message.text(event) for place in output.errors)
    message = next(filter(None, errors), "")
    return [_step(StepKind.TOLD, message, extent)] if message else None


def _read(place: StepAt, block: object) -> Step | None:
    text = "\n".join(filter(None, map(_words, place.text.values(block))))
    if place.failed is not None and place.failed.fits(block):
        code = text_of(value_at(block, place.code))
        text = f"failed{f' ({code})' if code else ''}: {text}"
    lead = place.lead or text_of(value_at(block, place.name))
    whole_result = place.kind is StepKind.CAME_BACK and place.extent is Extent.WHOLE
    if not text and not whole_result and not (place.name and lead):
        return None
    return _step(place.kind, ": ".join(filter(None, (lead, text))), place.extent)


def _words(value: object) -> str:
    """A value for people: a text as it is, blocks of content by their texts, an object by its names."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(map(_words, value))
    if isinstance(value, dict):
        text = value.get("text")
        if isinstance(text, str) and value.get("type", "text") == "text" and len(value) <= 3:
            return text
        return "\n".join(_named(value))
    return json.dumps(value)


def _named(values: Mapping[str, object]) -> Iterator[str]:
    main = next((key for key in _MAIN_ARGUMENTS if isinstance(values.get(key), str)), None)
    if main is not None:
        yield str(values[main])
    for key, value in values.items():
        if key != main:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield f"{key}: {text}"
