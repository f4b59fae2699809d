"""What is asked of a run's traces, and what is done when there are none: nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from urllib.parse import urlsplit, urlunsplit

from attrs import frozen

from .events import Event

NOTHING: Mapping[str, str] = {}


@frozen
class TracedAgent:
    """What spans say of an agent, in the words of OpenTelemetry's conventions for generative AI.

    Attributes:
        name: its id, without a model.
        provider: who makes it; a well-known value where there is one.
        model: the one that it is told to use, if it is told one.
    """

    name: str
    provider: str
    model: str | None = None


class Untraced:
    """A run of which no traces leave. `traces.Traces` stands in its place when they were asked for.

    Attributes:
        notice: what a person should know at the start; empty when there is nothing.
        traceparent: the run's span, as the W3C writes it; empty while there is none.
    """

    def __init__(self, notice: str = "") -> None:
        self.notice = notice

    @property
    def traceparent(self) -> str:
        return ""

    def follow(self, traceparent: str) -> None:
        """The run goes on with one whose span this is; told before its first event."""

    def __call__(self, event: Event) -> None:
        """Something happened."""

    def host_call(self, command: str, wp_id: str | None) -> AbstractContextManager[object]:
        """Around a call at the host, from its start to its answer or what it raises."""
        return nullcontext()

    def environ(self, wp_id: str) -> Mapping[str, str]:
        """What a process that works on a work package gets into its environment, so that its spans join."""
        return NOTHING

    def close(self) -> None:
        """Sends what is left. Blocks, for a bounded time."""


def without_password(url: str) -> str:
    """A URL as it may be shown."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
