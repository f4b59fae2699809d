"""What makes no span: what is outside a run. See `tests/sim/test_traces.py` for what makes one."""

from __future__ import annotations

import itertools

import pytest
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
from spec_kitty_orchestrator.report.traces import Traces

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
