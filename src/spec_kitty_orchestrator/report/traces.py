"""Sends a run to a collector as one OpenTelemetry trace, by OTLP over HTTP. Imported only when asked for.

Spans follow the semantic conventions for generative AI (semantic-conventions-genai, of 2026): the run is an
`invoke_workflow`, an attempt an `invoke_agent`. That is of kind CLIENT, since the agent works in a process of
its own, whose spans are children of it. What somebody wrote, a prompt, a verdict's reason, an error's
message, is never sent: of an event only the fields in `TOLD` are.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain

from attrs import fields
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    Status,
    StatusCode,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from .collector import Collector
from .events import (
    AttemptEnded,
    AttemptStarted,
    CommandEnded,
    Event,
    LaneChanged,
    Notice,
    RunEnded,
    RunStarted,
    WpEvent,
)
from .untraced import TracedAgent, Untraced

WORKFLOW = "spec-kitty-mission"
"""The workflow's name must be one of few; the mission's stands in an attribute of ours."""
SETTLED = frozenset({"approved", "done", "blocked", "canceled"})
"""The host's words for lanes in which this run does no more for a work package."""
NO_ERROR = frozenset({"succeeded", "interrupted"})
"""Outcomes of an attempt that are no failure."""
TOLD = frozenset(
    {"agent", "agents", "by_us", "commit", "delay", "instead", "kind", "lane", "own_work", "pushed"}
    | {"rejections", "reviewer", "role", "seconds", "strategy", "to", "verdict", "wp_id"}
)
"""Fields of events that hold no words of anybody's."""

Attributes = dict[str, AttributeValue]


class Traces(Untraced):
    """A listener that makes spans of what happens, and hands them to a thread of the collector's.

    Args:
        environ: where `TRACEPARENT` may stand, of which the run is a child then.
        agents: by their names in events.
        now: the time of day, in seconds since the epoch.
    """

    def __init__(
        self,
        collector: Collector,
        environ: Mapping[str, str],
        agents: Mapping[str, TracedAgent],
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._collector, self._agents, self._now = collector, agents, now
        self._parent = _context_of(environ.get("TRACEPARENT", ""), environ.get("TRACESTATE", ""))
        self._before: list[Link] = []
        self._run: Span | None = None
        self._work_packages: dict[str, Span] = {}
        self._attempts: dict[str, Span] = {}

    @property
    def traceparent(self) -> str:
        return "" if self._run is None else _carrier_of(self._run).get("TRACEPARENT", "")

    def follow(self, traceparent: str) -> None:
        before = get_current_span(_context_of(traceparent)).get_span_context()
        self._before = [Link(before)] if before.is_valid else []

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._begin_run(event)
        elif isinstance(event, RunEnded):
            self._end_run(event)
        elif isinstance(event, AttemptStarted):
            self._begin_attempt(event)
        elif isinstance(event, AttemptEnded):
            self._end_attempt(event)
        elif isinstance(event, CommandEnded):
            self._show_command(event)
        elif isinstance(event, LaneChanged):
            self._move(event)
        elif not isinstance(event, Notice):
            self._note(event)

    @contextmanager
    def host_call(self, command: str, wp_id: str | None) -> Iterator[None]:
        if self._run is None:  # before its first event or after its last
            yield
            return
        facts: Attributes = {"spec_kitty.host.command": command, **_wp(wp_id)}
        parent = self._run if wp_id is None else self._work_package(wp_id)
        span = self._start(f"host {command}", parent, SpanKind.CLIENT, facts)
        try:
            yield
        except Exception as problem:
            _fail(span, type(problem).__name__)
            raise
        finally:
            span.end(self._ns())

    def environ(self, wp_id: str) -> Mapping[str, str]:
        span = self._attempts.get(wp_id) or self._work_packages.get(wp_id) or self._run
        return {} if span is None else _carrier_of(span)

    def close(self) -> None:
        self._end_all(self._attempts.values(), self._work_packages.values(), [self._run] if self._run else [])
        self._collector.close()

    # The run.

    def _begin_run(self, event: RunStarted) -> None:
        facts: Attributes = {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": WORKFLOW,
            "spec_kitty.run.id": event.run_id,
            "spec_kitty.mission": event.mission,
            "spec_kitty.run.resumed": event.resumed,
            "spec_kitty.work_packages": len(event.lanes),
        }
        self._run = self._collector.tracer.start_span(
            f"invoke_workflow {WORKFLOW}",
            context=self._parent,
            attributes=facts,
            links=self._before,
            start_time=self._ns(),
        )
        self.notice = f"traces of this run go to {self._collector.where}, trace {self.traceparent[3:35]}"

    def _end_run(self, event: RunEnded) -> None:
        if (span := self._run) is None:
            return
        self._end_all(self._work_packages.values())
        span.set_attribute("spec_kitty.run.status", event.status)
        span.set_attribute("process.exit.code", event.exit_code)
        if (cost := event.totals.run.cost_usd) is not None:
            span.set_attribute("spec_kitty.run.cost_usd", cost)
        if event.exit_code:
            _fail(span, str(event.exit_code))
        span.end(self._ns())
        self._run = None

    # Its work packages.

    def _work_package(self, wp_id: str) -> Span:
        """The span of a work package; one that has ended is still the parent of what comes late."""
        assert self._run is not None
        if wp_id not in self._work_packages:
            self._work_packages[wp_id] = self._start(f"work_package {wp_id}", self._run, facts=_wp(wp_id))
        return self._work_packages[wp_id]

    def _move(self, event: LaneChanged) -> None:
        self._note(event)
        span = self._work_packages.get(event.wp_id)
        if span is None or not span.is_recording():
            return
        span.set_attribute("spec_kitty.lane", event.lane)
        if event.lane in SETTLED:
            if event.lane == "blocked":
                _fail(span, event.lane)
            span.end(self._ns())

    def _note(self, event: Event) -> None:
        """Anything that takes no time of its own: an event of the span that it belongs to."""
        wp_id = event.wp_id if isinstance(event, WpEvent) else ""
        span = self._work_packages.get(wp_id)
        span = span if span is not None and span.is_recording() else self._run
        if span is not None:
            span.add_event(f"spec_kitty.{type(event).__name__}", _told(event), self._ns())

    # What is done for them.

    def _begin_attempt(self, event: AttemptStarted) -> None:
        if self._run is None:
            return
        if event.wp_id in self._work_packages and not self._work_packages[event.wp_id].is_recording():
            del self._work_packages[event.wp_id]  # it had settled, and somebody has taken it up again
        agent = self._agents.get(event.agent, TracedAgent(event.agent, "_OTHER"))
        facts: Attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": agent.name,
            "gen_ai.provider.name": agent.provider,
            **({} if agent.model is None else {"gen_ai.request.model": agent.model}),
            **_wp(event.wp_id),
            "spec_kitty.role": event.role,
            "spec_kitty.attempt.number": event.number,
            "spec_kitty.attempt.continued": event.continued,
        }
        parent = self._work_package(event.wp_id)
        span = self._start(f"invoke_agent {agent.name}", parent, SpanKind.CLIENT, facts)
        self._attempts[event.wp_id] = span

    def _end_attempt(self, event: AttemptEnded) -> None:
        if (span := self._attempts.pop(event.wp_id, None)) is None:
            return
        facts = {
            "gen_ai.conversation.id": event.session_id,
            "gen_ai.usage.input_tokens": event.input_tokens,
            "gen_ai.usage.output_tokens": event.output_tokens,
            "spec_kitty.attempt.cost_usd": event.cost_usd,
            "spec_kitty.attempt.outcome": event.outcome,
        }
        span.set_attributes({name: value for name, value in facts.items() if value is not None})
        if event.outcome not in NO_ERROR:
            _fail(span, event.outcome)
        span.end(self._ns())

    def _show_command(self, event: CommandEnded) -> None:
        """A command of the project's own; of its line only the program is told."""
        if self._run is None:
            return
        program = os.path.basename(next(iter(shlex.split(event.command)), ""))
        facts: Attributes = {"process.executable.name": program, **_wp(event.wp_id)}
        parent = self._work_package(event.wp_id)
        name = f"{event.purpose} {program}"
        span = self._start(name, parent, SpanKind.CLIENT, facts, ago=event.seconds)
        if event.outcome not in NO_ERROR:
            _fail(span, event.outcome)
        span.end(self._ns())

    def _start(
        self,
        name: str,
        parent: Span,
        kind: SpanKind = SpanKind.INTERNAL,
        facts: Attributes | None = None,
        *,
        ago: float = 0.0,
    ) -> Span:
        context = set_span_in_context(parent, Context())
        return self._collector.tracer.start_span(name, context, kind, facts, start_time=self._ns(ago))

    def _end_all(self, *spans: Iterable[Span]) -> None:
        for span in chain.from_iterable(spans):
            if span.is_recording():
                span.end(self._ns())

    def _ns(self, ago: float = 0.0) -> int:
        return round((self._now() - ago) * 1e9)


def _context_of(traceparent: str, tracestate: str = "") -> Context:
    """The context of a remote span; one without a span, when that is none."""
    carrier = {"traceparent": traceparent, **({"tracestate": tracestate} if tracestate else {})}
    return TraceContextTextMapPropagator().extract(carrier, Context())


def _carrier_of(span: Span) -> dict[str, str]:
    """A span, as environment variables carry it."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier, set_span_in_context(span, Context()))
    return {name.upper(): value for name, value in carrier.items()}


def _wp(wp_id: str | None) -> Attributes:
    return {} if wp_id is None else {"spec_kitty.wp.id": wp_id}


def _told(event: Event) -> Attributes:
    """The fields in `TOLD`; of a mapping the keys, since what each leads to may be words."""
    values = {field.name: getattr(event, field.name) for field in fields(type(event)) if field.name in TOLD}
    told = {name: tuple(value) if isinstance(value, Mapping) else value for name, value in values.items()}
    return {f"spec_kitty.{name}": value for name, value in told.items() if value not in (None, "")}


def _fail(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))
