"""An agent's log, fed in any pieces and in bounded memory, becomes steps in their order. No I/O.

Both streams of an agent stand in its log, as they came. All that it says becomes a step, but what its last
event says again, and what the record of its CLI knows to say nothing: `left_out` counts those lines.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from attrs import define, evolve, field

from .documents import parse
from .spec import Output, OutputFormat
from .speech import Extent, StepKind
from .steps import Step, plain, steps_of

MAX_LINE_BYTES = 16 * 1024 * 1024
"""A line that is longer is shown as it is, in pieces: it would take seconds and a GiB to read."""
MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
"""The same for a document that stands on many lines."""
MAX_DRAFT_CHARACTERS = 1024 * 1024
"""Of a draft that waits for its whole; when it gets longer, it is shown."""

# Documents on several lines, as JSON.stringify(value, null, 2) prints them; letta puts a word before.
_OPENS = re.compile(r"(?:Error: )?[\[{]\s*")
_CLOSES = re.compile(r"[\]}]\s*")


@define
class StepReader:
    """Reads one attempt of an agent whose record says `output`.

    Attributes:
        left_out: lines that say nothing, or nothing that is not said elsewhere.
    """

    output: Output
    most: int = MAX_LINE_BYTES
    left_out: int = 0
    _line: bytearray = field(factory=bytearray, init=False)
    _cut: codecs.IncrementalDecoder | None = field(default=None, init=False)
    _document: list[str] = field(factory=list, init=False)
    _document_size: int = field(default=0, init=False)
    _drafts: dict[StepKind, str] = field(factory=dict, init=False)
    _last_words: str = field(default="", init=False)

    def feed(self, data: bytes) -> Iterator[Step]:
        """The steps in what has come, as far as they are whole."""
        *ended, rest = data.split(b"\n")
        for piece in ended:
            yield from self._grow(piece)
            yield from self._end_line()
        yield from self._grow(rest)

    def finish(self) -> Iterator[Step]:
        """What is left when nothing more comes: a last line without its end, and what remained a draft."""
        if self._line or self._cut is not None:
            yield from self._end_line()
        yield from self._give_up_document()
        for kind, text in self._drafts.items():
            yield Step(kind, text.strip("\n"))
        self._drafts.clear()

    # Lines.

    def _grow(self, piece: bytes) -> Iterator[Step]:
        self._line += piece
        if len(self._line) > self.most or self._cut is not None:
            yield from self._give_up_document()
            decoder = self._cut or codecs.getincrementaldecoder("utf-8")("replace")
            self._cut = decoder
            if self._line:
                yield self._as_it_is(decoder.decode(bytes(self._line)))
            self._line.clear()

    def _end_line(self) -> Iterator[Step]:
        line = self._line.decode("utf-8", "replace")
        self._line.clear()
        if self._cut is not None:
            yield self._as_it_is(self._cut.decode(b"", True) + "\n")
            self._cut = None
        elif self.output.format is OutputFormat.TEXT:
            yield self._as_it_is(line + "\n")
        else:
            yield from self._take(line)

    def _as_it_is(self, text: str) -> Step:
        kind = StepKind.SAID if self.output.format is OutputFormat.TEXT else StepKind.TOLD
        return Step(kind, plain(text), Extent.PIECE)

    # Documents on several lines.

    def _take(self, line: str) -> Iterator[Step]:
        if self._document and (line[:1].isspace() or _CLOSES.fullmatch(line)):
            self._document.append(line)
            self._document_size += len(line)
            if not line[:1].isspace():
                yield from self._end_document()
            elif self._document_size > MAX_DOCUMENT_BYTES:
                yield from self._give_up_document()
            return
        yield from self._give_up_document()
        if _OPENS.fullmatch(line):
            self._document, self._document_size = [line], len(line)
        else:
            yield from self._read(line)

    def _end_document(self) -> Iterator[Step]:
        text = "\n".join(self._document)
        if parse(text.removeprefix("Error: ")) is None:
            yield from self._give_up_document()
        else:
            self._document = []
            yield from self._read(text)

    def _give_up_document(self) -> Iterator[Step]:
        lines, self._document = self._document, []
        for line in lines:
            yield from self._read(line)

    # What the lines say.

    def _read(self, line: str) -> Iterator[Step]:
        steps = steps_of(self.output, line)
        self.left_out += not steps and bool(line.strip())
        for step in steps:
            yield from self._tell(step)

    def _tell(self, step: Step) -> Iterator[Step]:
        if step.extent is Extent.DRAFT:
            yield from self._draft(step)
            return
        self._drafts.pop(step.kind, None)
        if step.kind not in (StepKind.SAID, StepKind.TOLD):
            yield step
        elif step.extent is not Extent.RECAP:
            self._last_words = step.text
            yield step
        elif step.text != self._last_words:
            yield evolve(step, extent=Extent.WHOLE)
        else:
            self.left_out += 1

    def _draft(self, step: Step) -> Iterator[Step]:
        before = self._drafts.get(step.kind, "")
        grows = step.kind is StepKind.CAME_BACK and step.text.startswith(before)  # a tool's output so far
        draft = step.text if grows else before + step.text
        self._drafts[step.kind] = draft
        if len(draft) > MAX_DRAFT_CHARACTERS:
            del self._drafts[step.kind]
            yield Step(step.kind, draft)
