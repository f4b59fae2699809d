"""What turns traces on, what is in their way, and what becomes of a collector that is none."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from tests.collector import collector

from spec_kitty_orchestrator.agents import get_agent
from spec_kitty_orchestrator.agents.agent import Agent
from spec_kitty_orchestrator.agents.spec import AgentSettings
from spec_kitty_orchestrator.errors import UsageError
from spec_kitty_orchestrator.report import collector as sending
from spec_kitty_orchestrator.report.collector import Collector
from spec_kitty_orchestrator.report.untraced import TracedAgent, Untraced
from spec_kitty_orchestrator.run.tracing import INSTALL, check_traces, open_traces, plan_traces, traced

ALL, TRACES = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
DEFAULT = "http://localhost:4318/v1/traces"


@pytest.mark.parametrize(
    ("otel", "environ", "endpoint"),
    [
        (None, {}, ""),
        (None, {ALL: "", "OTEL_SERVICE_NAME": "x"}, ""),
        (None, {ALL: "http://there:4318"}, "http://there:4318/v1/traces"),
        (None, {ALL: "https://there/otlp/"}, "https://there/otlp/v1/traces"),
        (None, {TRACES: "http://there/as/it/is"}, "http://there/as/it/is"),
        (None, {ALL: "http://all", TRACES: "http://traces/x"}, "http://traces/x"),
        (None, {"OTEL_TRACES_EXPORTER": "console, otlp"}, DEFAULT),
        (None, {ALL: "http://there", "OTEL_TRACES_EXPORTER": "console"}, ""),
        (None, {ALL: "http://there", "OTEL_TRACES_EXPORTER": "none"}, ""),
        (None, {ALL: "http://there", "OTEL_SDK_DISABLED": "True"}, ""),
        (None, {ALL: "http://there", "OTEL_SDK_DISABLED": "no"}, "http://there/v1/traces"),
        (True, {}, DEFAULT),
        (True, {ALL: "http://there"}, "http://there/v1/traces"),
        (True, {"OTEL_SDK_DISABLED": "true"}, ""),
        (True, {"OTEL_TRACES_EXPORTER": "none"}, ""),
        (False, {ALL: "http://there", "OTEL_TRACES_EXPORTER": "otlp"}, ""),
    ],
)
def test_the_setting_and_the_standard_variables_say_whether_and_where_to(
    otel: bool | None, environ: dict[str, str], endpoint: str
) -> None:
    plan = plan_traces(otel, environ)
    assert (plan.endpoint, plan.problem) == (endpoint, "")
    check_traces(otel, environ)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is zipkin"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL is grpc"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "TRACES_PROTOCOL is http/json"),
        ({ALL: "localhost:4318"}, "localhost:4318/v1/traces is not the URL of a collector"),
        ({TRACES: "http://"}, "http:// is not the URL of a collector"),
    ],
)
def test_what_cannot_be_done_is_refused_when_it_was_asked_for_and_told_when_a_variable_did(
    environ: dict[str, str], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        check_traces(True, environ)
    asking = {ALL: "http://there", **environ}
    if "OTEL_TRACES_EXPORTER" in environ:
        return  # another exporter is chosen: nobody asks for this one
    check_traces(None, asking)
    opened = trio.run(open_traces, None, asking, {}, print)
    assert words in opened.notice
    assert "set otel: false" in opened.notice


def test_a_protocol_for_traces_outranks_the_one_for_all() -> None:
    own = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}
    check_traces(True, own)


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(UsageError) as caught:
        check_traces(True, {})
    assert str(caught.value) == f"otel: true: OpenTelemetry is not installed ({INSTALL})"
    check_traces(None, {ALL: "http://there"})
    opened = trio.run(open_traces, None, {ALL: "http://there"}, {}, print)
    assert type(opened) is Untraced
    assert opened.notice.startswith(f"{ALL} is set, but no traces are sent: OpenTelemetry is not installed")
    assert INSTALL in opened.notice


def test_nothing_is_loaded_and_nothing_said_when_nobody_asks() -> None:
    opened = trio.run(open_traces, None, {}, {}, print)
    assert (type(opened), opened.notice, opened.traceparent, opened.environ("WP01")) == (Untraced, "", "", {})


def test_a_variable_that_the_sdk_cannot_work_with_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    environ = {ALL: "http://there"}
    with pytest.raises(UsageError, match="max_queue_size must be"):
        trio.run(open_traces, True, environ, {}, print)
    assert "max_queue_size must be" in trio.run(open_traces, None, environ, {}, print).notice


def test_a_variable_that_the_sdk_does_without_is_told_and_spends_no_warning_of_the_collectors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "some_of_them")
    with collector(answer=400) as refusing:
        odd, refused = _tell_of(refusing.url)
    assert "some_of_them" in odd
    assert "400" in refused


def test_the_standard_variables_for_headers_and_resource_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=cats")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=night")
    with collector() as received:
        told: list[str] = []
        plain = Collector(f"{received.url}/v1/traces", told.append)
        plain.tracer.start_span("one").end()
        plain.close()
        monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
        named = Collector(f"{received.url}/v1/traces", told.append)
        named.tracer.start_span("two").end()
        named.close()
    assert received.paths == ["/v1/traces"] * 2
    assert received.headers["x-team"] == "cats"
    names = [each.resource["service.name"] for each in received.spans]
    assert names == ["spec-kitty-orchestrator", "mine"]
    assert received.spans[0].resource["deployment.environment.name"] == "night"
    assert told == []


@pytest.fixture(autouse=True)
def no_thread_of_the_sdk_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One that still tries would tell its trouble to the next test."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("OtelBatch"):
            thread.join(60)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _tell_of(endpoint: str) -> list[str]:
    """What is said of a collector that is sent a span and then closed."""
    told: list[str] = []
    sender = Collector(endpoint, told.append)
    sender.tracer.start_span("span").end()
    sender.close()
    return told


def test_a_collector_that_is_not_there_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2.5")  # the SDK tries again, and then gives up
    line, *more = _tell_of(f"http://user:word@127.0.0.1:{_free_port()}/v1/traces")
    assert line.startswith("WARNING: traces to http://127.0.0.1:")
    assert "Connection refused" in line
    assert ("\n" in line, more) == (False, [])
    assert capfd.readouterr() == ("", "")


def test_a_collector_that_never_answers_is_left_at_its_bound_with_one_warning(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sending, "FLUSH_SECONDS", 0.3)
    with collector(answer=0) as hanging:
        (line,) = _tell_of(hanging.url)
        assert line == f"WARNING: traces to {hanging.url}: no answer in 0.3 s"
        assert hanging.raw  # it did get them
    assert capfd.readouterr() == ("", "")


def test_a_collector_that_refuses_is_told_with_its_reason() -> None:
    with collector(answer=401) as refusing:
        (line,) = _tell_of(refusing.url)
    assert "401" in line
    assert "Unauthorized" in line


def test_other_programs_that_log_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    Collector("http://127.0.0.1:9/v1/traces").close()
    logging.getLogger("somebody").warning("else")
    assert [record.getMessage() for record in caplog.records] == ["else"]


def test_an_agent_is_told_of_in_the_conventions_words() -> None:
    gemini = Agent(get_agent("gemini"), Path("gemini"), AgentSettings(model="pro"), "gemini:pro")
    assert traced(gemini) == TracedAgent("gemini", "gcp.gen_ai", "pro")
    assert traced(Agent(get_agent("claude-code"), None)) == TracedAgent("claude-code", "anthropic")
