"""An agent's output, fed chunk by chunk in bounded memory, becomes a Transcript.

Whatever an agent prints, and however it is cut, feeding never raises: what cannot be read is noise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from attrs import frozen

from .documents import last_document, marks, parse
from .places import At, clean, figure_of, is_figure, text_of, value_at
from .spec import AgentSpec, ErrorAt, Output, OutputFormat

# One event. Longer lines hold the whole conversation or a file's contents, never the only final text.
MAX_LINE_BYTES = 4 * 1024 * 1024
# One JSON document, for agents that print a single one: its final text and figures, not the conversation.
MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
# Of plain text the end is what counts.
MAX_TEXT_BYTES = 1024 * 1024
# Enough for a stack trace and the JSON object after it.
MAX_STDERR_BYTES = 256 * 1024
# Commas and brackets, in texts too: reading JSON takes time for each value, and nothing else runs meanwhile.
# So many take 30 ms at worst; the largest lines of the captures have 300.
MAX_LINE_MARKS = 100_000
# Beyond so many colours they stay where they are.
MAX_COLOURS = 100_000

# A whole line that may be an event: the shortest that says anything is `{"a":"b"}`.
_EVENT_LINE = re.compile(rb"^[ \t\r\f\v]*[\[{].{6,}$", re.MULTILINE)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@frozen
class Usage:
    """What the work cost, as far as the agent says so."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


@frozen
class AgentError:
    """The error that an agent ended with: its words, an HTTP status, its own code, seconds to wait."""

    message: str
    status: int | None = None
    code: str | None = None
    retry_after: float | None = None


@frozen
class Transcript:
    """What an agent said. `complete` says that it told us itself that it had finished.

    `stderr` is the end of what it printed there, for errors that stand nowhere else.
    """

    final_text: str = ""
    usage: Usage = Usage()
    session_id: str | None = None
    error: AgentError | None = None
    complete: bool = False
    stderr: str = ""


class TranscriptReader:
    """Takes an agent's output as it comes. Feed it, then call `finish` once.

    Mutable: fed by the one task that runs the attempt, and by nobody else.
    """

    def __init__(
        self,
        output: Output,
        on_session: Callable[[str], None] | None = None,
        max_cost_usd: float | None = None,
    ) -> None:
        self._output = output
        self._on_session, self._max_cost_usd = on_session, max_cost_usd
        self._events = _Events(output)
        self._lines = _Lines() if output.format is OutputFormat.JSONL else None
        self._text = _Tail(MAX_TEXT_BYTES if output.format is OutputFormat.TEXT else MAX_DOCUMENT_BYTES)
        self._stderr = _Tail(MAX_STDERR_BYTES)

    @property
    def complete(self) -> bool:
        """True once the agent has said that it has finished."""
        return self._events.complete

    @property
    def usage(self) -> Usage:
        """What it has told until now."""
        return self._events.usage

    @property
    def is_too_dear(self) -> bool:
        """True once the agent has told that it cost more than it may."""
        return self._max_cost_usd is not None and (self.usage.cost_usd or 0.0) > self._max_cost_usd

    @property
    def unread_bytes(self) -> int:
        """How much `finish` has to read."""
        return len(self._text) + len(self._stderr)

    def feed_stdout(self, data: bytes) -> None:
        """Takes what the agent printed, in any pieces."""
        if self._lines is None:
            self._text.feed(data)
            return
        for line in self._lines.feed(data):
            self._take(line)

    def feed_stderr(self, data: bytes) -> None:
        """Takes what the agent printed on its other stream, in any pieces."""
        self._stderr.feed(data)

    def finish(self) -> Transcript:
        """All that was read; a last line without its end counts as a line."""
        plain = ""
        if self._lines is not None:
            self._take(self._lines.rest())
        elif self._output.format is OutputFormat.TEXT:
            plain = self._text.decode()
        elif not self._text.cut:
            self._events.take(last_document(self._text.decode()))
        stderr = self._stderr.decode()
        if self._events.error is None and not self._events.final_text:
            self._events.take(last_document(stderr))
        return self._events.transcript(plain, stderr)

    def _take(self, line: bytes) -> None:
        if line.lstrip()[:1] in (b"{", b"[") and marks(line) <= MAX_LINE_MARKS:
            self._events.take(parse(line.decode("utf-8", "replace")))
            if self._on_session is not None and self._events.session is not None:
                self._on_session(self._events.session)
                self._on_session = None  # it is told once


def open_reader(
    spec: AgentSpec, on_session: Callable[[str], None] | None = None, max_cost_usd: float | None = None
) -> TranscriptReader:
    """A reader for one attempt of this agent, and what it may cost; `on_session`: see `Agent.open_reader`."""
    return TranscriptReader(spec.output, on_session, max_cost_usd)


class _Events:
    """What the events told so far; the only place that knows how an Output's places are applied."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self.final_text = ""
        self.error: AgentError | None = None
        self.complete = False
        self._adding = False
        self._passing = False
        self.session: str | None = None
        self._figures: dict[str, float] = {}

    def take(self, value: object) -> None:
        """Takes one parsed value: an event, or an array of events."""
        for event in value if isinstance(value, list) else [value]:
            if isinstance(event, dict):
                self._take_event(event)

    def _take_event(self, event: Mapping[str, object]) -> None:
        output = self._output
        text = output.final.text(event)
        if text:
            self.final_text = self.final_text + text if self._adding else text
        self._adding = output.final_adds and bool(text)
        place = next((place for place in output.errors if place.message.values(event)), None)
        # A passing error is over as soon as anything follows it; another one, once there is a final text.
        if place is not None or text or self._passing:
            self._passing = place is not None and place.passing
            self.error = _read_error(place, event, output.status_pattern) if place else None
        self.session = output.session.text(event) or self.session
        self._count("input", output.input_tokens, event)
        self._count("output", output.output_tokens, event)
        self._count("cost", output.cost_usd, event)
        self.complete = self.complete or any(place.fits(event) for place in output.complete)

    def _count(self, name: str, place: At, event: Mapping[str, object]) -> None:
        figures = [float(str(value)) for value in place.values(event) if is_figure(value)]
        if figures:
            before = self._figures.get(name, 0.0) if self._output.usage_adds else 0.0
            self._figures[name] = before + sum(figures)

    @property
    def usage(self) -> Usage:
        return Usage(self._whole("input"), self._whole("output"), self._figures.get("cost"))

    def transcript(self, plain: str, stderr: str) -> Transcript:
        text = (self.final_text or plain).strip()
        return Transcript(text, self.usage, self.session, self.error, self.complete, stderr)

    def _whole(self, name: str) -> int | None:
        return int(self._figures[name]) if name in self._figures else None


class _Lines:
    """Cuts a stream into lines; one that grows too long is dropped, and the next is found all the same."""

    def __init__(self) -> None:
        self._part = bytearray()
        self._dropping = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that end in `data`; of those that begin in it too only what may be an event."""
        first, newline, data = data.partition(b"\n")
        self._grow(first)
        if newline:
            yield self.rest()
            whole, newline, rest = data.rpartition(b"\n")
            for line in _EVENT_LINE.finditer(whole):
                self._grow(line.group())
                yield self.rest()
            self._grow(rest)

    def rest(self) -> bytes:
        line = b"" if self._dropping else bytes(self._part)
        self._part.clear()
        self._dropping = False
        return line

    def _grow(self, piece: bytes) -> None:
        if self._dropping or len(self._part) + len(piece) > MAX_LINE_BYTES:
            self._dropping = True
            self._part.clear()
        else:
            self._part += piece


class _Tail:
    """Keeps the end of a stream, at most `limit` bytes of it (twice that for a moment)."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self.cut = False

    def feed(self, data: bytes) -> None:
        self._kept += data[-self._limit :]
        self.cut = self.cut or max(len(data), len(self._kept)) > self._limit
        if len(self._kept) > 2 * self._limit:
            del self._kept[: -self._limit]

    def __len__(self) -> int:
        return min(len(self._kept), self._limit)

    def decode(self) -> str:
        text = self._kept[-self._limit :].decode("utf-8", "replace")
        return clean(_ANSI.sub("", text) if text.count("\x1b[") <= MAX_COLOURS else text)


def _read_error(place: ErrorAt, event: object, status_pattern: str | None) -> AgentError:
    message = place.message.text(event)
    status = figure_of(value_at(event, place.status))
    if status is None and status_pattern is not None and (told := re.search(status_pattern, message)):
        status = float(told.group(1))
    return AgentError(
        message=message,
        status=None if status is None else int(status),
        code=text_of(value_at(event, place.code)) or None,
        retry_after=figure_of(value_at(event, place.retry_after)),
    )
