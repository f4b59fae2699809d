"""What makes no span: what is outside a run. See `tests/sim/test_traces.py` for what makes one."""

from __future__ import annotations

import itertools
from typing import get_type_hints

import pytest
from attrs import fields
from tests.collector import collector

from spec_kitty_orchestrator.report.collector import Collector
from spec_kitty_orchestrator.report.events import (
    AttemptEnded,
    AttemptStarted,
    CommandEnded,
    Event,
    LaneChanged,
    Notice,
    RunEnded,
    RunStarted,
    WpLeft,
)
from spec_kitty_orchestrator.report.schema import KINDS
from spec_kitty_orchestrator.report.traces import TOLD, Traces

ANYTHING: tuple[Event, ...] = (
    LaneChanged("WP01", "in_progress"),
    AttemptStarted("WP01", "review", "codex", 1, "log"),
    AttemptEnded("WP01", "review", "codex", 1, "crashed", "", 1.0),
    CommandEnded("WP01", "check", "pytest", "succeeded", 1.0, "log"),
    WpLeft("WP01", "why"),
    Notice("said"),
    RunEnded("stopped", 6, ""),
)


def _all_of_it(traces: Traces) -> None:
    for event in ANYTHING:
        traces(event)
    with traces.host_call("transition", "WP01"):
        assert traces.environ("WP01") == {}
    assert traces.traceparent == ""


def test_what_comes_before_a_runs_first_event_or_after_its_last_is_no_trouble_and_no_span() -> None:
    with collector() as received:
        traces = Traces(Collector(received.url), {}, {})
        _all_of_it(traces)
        traces(RunStarted("run", "mission", "actor", {"WP01": "planned"}, False))
        assert traces.traceparent
        assert traces.environ("WP01")["TRACEPARENT"] == traces.traceparent
        traces(Notice("which tells nothing but words"))
        traces(RunEnded("finished", 0, ""))
        _all_of_it(traces)
        traces.close()
    (run,) = received.spans
    assert (run.name, run.events) == ("invoke_workflow spec-kitty-mission", [])


def test_an_agent_that_nobody_has_described_has_a_span_all_the_same() -> None:
    with collector() as received:
        traces = Traces(Collector(received.url), {}, {})
        traces(RunStarted("run", "mission", "actor", {"WP01": "planned"}, False))
        traces(AttemptStarted("WP01", "review", "somebody", 1, "log"))
        traces.close()
    told = received.one("invoke_agent somebody").told
    assert (told["gen_ai.agent.name"], told["gen_ai.provider.name"]) == ("somebody", "_OTHER")


def test_a_call_that_breaks_breaks_all_the_same() -> None:
    with collector() as received:
        traces = Traces(Collector(received.url), {}, {})
        traces(RunStarted("run", "mission", "actor", {"WP01": "planned"}, False))
        with pytest.raises(ZeroDivisionError), traces.host_call("mission-state", None):
            raise ZeroDivisionError
        with pytest.raises(KeyboardInterrupt), traces.host_call("list-ready", None):
            raise KeyboardInterrupt
        traces.close()
    assert [(each.name, each.failed) for each in received.named("host")] == [
        ("host mission-state", True),
        ("host list-ready", False),
    ]


def test_a_work_package_that_has_not_settled_ends_with_the_run() -> None:
    clock = itertools.count(100.0, 10.0)
    with collector() as received:
        traces = Traces(Collector(received.url), {}, {}, lambda: next(clock))
        traces(RunStarted("run", "mission", "actor", {"WP01": "planned"}, False))
        with traces.host_call("start-implementation", "WP01"):
            pass
        traces(RunEnded("interrupted", 130, ""))
        next(clock)
        traces.close()
    run, package = received.one("invoke_workflow"), received.one("work_package")
    assert run.started < package.started < package.ended < run.ended
    assert (package.failed, run.failed, run.told["error.type"]) == (False, True, "130")


SPANS = {RunStarted, RunEnded, AttemptStarted, AttemptEnded, CommandEnded}
NOTES = [kind for kind in KINDS.values() if kind not in {*SPANS, Notice}]


@pytest.mark.parametrize("kind", NOTES)
def test_of_each_kind_of_event_only_what_is_in_the_table_is_sent_and_the_sdk_can_send_it(
    kind: type[Event],
) -> None:
    event = made(kind)
    told: list[str] = []
    with collector() as received:
        traces = Traces(Collector(received.url, told.append), {}, {})
        traces(RunStarted("run", "mission", "actor", {"WP01": "planned"}, False))
        traces(event)
        traces(RunEnded("finished", 0, ""))
        traces.close()
    ((name, facts),) = received.one("invoke_workflow").events
    assert name == f"spec_kitty.{kind.__name__}"
    assert {each.removeprefix("spec_kitty.") for each in facts} == {
        field.name for field in fields(kind) if field.name in TOLD
    }
    assert (told, b"words" in b"".join(received.raw)) == ([], False)


def made(kind: type[Event]) -> Event:
    """An event of a kind, with words wherever a field is not in the table of what is told."""
    values = {name: sample(name, str(hint)) for name, hint in get_type_hints(kind).items()}
    return kind(**{name: values[name] for name in (field.name for field in fields(kind))})


def sample(name: str, hint: str) -> object:
    text = "known" if name in TOLD else "words"
    if "Mapping" in hint:
        return {"known": "words"}
    if "tuple" in hint:
        return (text,)
    return text if "str" in hint else True if "bool" in hint else 7
