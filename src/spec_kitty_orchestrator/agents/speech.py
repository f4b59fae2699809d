"""What an agent does as it tells it in its stream, and where that stands in its events, as data."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

from attrs import field, frozen

from .places import NOWHERE, At, value_at

_EVERY: Mapping[str, object] = MappingProxyType({})


class StepKind(str, enum.Enum):
    """What a step is; the value is the word before it in the output of `logs`."""

    SAID = "said"
    THOUGHT = "thought"
    RAN = "ran"  # a tool, with what it was given
    CAME_BACK = "came back"  # from a tool
    TOLD = "told"  # by the CLI itself; and whatever cannot be read, as it is


class Extent(enum.Enum):
    """How a step's text stands to those around it."""

    WHOLE = enum.auto()
    PIECE = enum.auto()  # it goes on with the piece before it
    DRAFT = enum.auto()  # a piece of what comes as a whole later, if the agent gets that far
    RECAP = enum.auto()  # the last event, which may say again what was said


@frozen
class StepAt:
    """Where one step stands in a block (an event, or one of the parts of its content).

    Attributes:
        text: what the block must hold, and where the text is. What a tool was given may be an object.
        name: where the tool's name is.
        lead: words to put before it.
        failed: what the block holds when the tool failed; `code`: where its exit status is.
    """

    kind: StepKind
    text: At
    name: str = ""
    lead: str = ""
    failed: At | None = None
    code: str = ""
    extent: Extent = Extent.WHOLE


@frozen
class EventAt:
    """One sort of event, and the steps in it. None: it says nothing, or nothing that is not said elsewhere.

    Attributes:
        where: what the event must hold, by dotted paths.
        inside: the path of its content; each of the blocks there is looked at. Empty: the event itself.
    """

    where: Mapping[str, object]
    steps: tuple[StepAt, ...] = ()
    inside: str = field(default="")

    def fits(self, event: object) -> bool:
        """The event is of this sort; what is held to nothing must at least say something."""
        if not self.where:
            return any(step.text.values(event) for step in self.steps)
        return At(self.where, ()).fits(event)

    def blocks(self, event: object) -> list[object]:
        """What the steps are looked for in; a content that is a text is one block of it."""
        if not self.inside:
            return [event]
        content = value_at(event, self.inside)
        if isinstance(content, str):
            return [{"type": "text", "text": content}]
        return content if isinstance(content, list) else []


def on(*steps: StepAt, inside: str = "", **where: object) -> EventAt:
    """`on(step, type="assistant", inside="message.content")`: `__` is a dot, as in `at`."""
    return EventAt({key.replace("__", "."): value for key, value in where.items()}, steps, inside)


def silent(*types: str) -> tuple[EventAt, ...]:
    """Events of these types say nothing, or nothing that is not said elsewhere."""
    return tuple(EventAt({"type": name}) for name in types)


def said(text: At, extent: Extent = Extent.WHOLE) -> StepAt:
    return StepAt(StepKind.SAID, text, extent=extent)


def thought(text: At, extent: Extent = Extent.WHOLE) -> StepAt:
    return StepAt(StepKind.THOUGHT, text, extent=extent)


def ran(arguments: At, name: str = "", lead: str = "") -> StepAt:
    return StepAt(StepKind.RAN, arguments, name=name, lead=lead)


def came_back(text: At, failed: At | None = None, code: str = "", extent: Extent = Extent.WHOLE) -> StepAt:
    return StepAt(StepKind.CAME_BACK, text, failed=failed, code=code, extent=extent)


def told(text: At = NOWHERE, lead: str = "") -> StepAt:
    return StepAt(StepKind.TOLD, text, lead=lead)
