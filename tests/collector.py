"""A collector of traces inside the test process: OTLP over HTTP, the protobuf decoded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from attrs import define, field, frozen
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

KINDS = {Span.SPAN_KIND_INTERNAL: "internal", Span.SPAN_KIND_CLIENT: "client"}


@frozen
class Received:
    """A span that has arrived; ids in hex, times in seconds since the epoch."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    started: float
    ended: float
    failed: bool
    told: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    links: list[tuple[str, str]]
    resource: dict[str, Any]

    @property
    def seconds(self) -> float:
        return self.ended - self.started

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace}-{self.id}-01"


@define
class TestCollector:
    """What has arrived at it.

    Attributes:
        answer: the HTTP status of its answers; 0: it takes everything, and never answers.
        raw: the bodies, as they came.
        headers: those of the last request.
    """

    __test__ = False

    url: str = ""
    answer: int = 200
    spans: list[Received] = field(factory=list)
    raw: list[bytes] = field(factory=list)
    headers: dict[str, str] = field(factory=dict)
    paths: list[str] = field(factory=list)
    gone: threading.Event = field(factory=threading.Event)

    def named(self, name: str) -> list[Received]:
        """Those whose name begins so, the earliest first."""
        return sorted(
            (each for each in self.spans if each.name.startswith(name)), key=lambda each: each.started
        )

    def one(self, name: str) -> Received:
        (found,) = self.named(name)
        return found

    def above(self, span: Received) -> Received | None:
        """Its parent, if that has arrived."""
        return next((each for each in self.spans if each.id == span.parent), None)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.paths.append(path)
        self.headers = headers
        self.raw.append(body)
        if path.endswith(("/logs", "/metrics")):  # agents send these as well
            return
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _attributes(of_resource.resource.attributes)
            for scope in of_resource.scope_spans:
                self.spans += [_received(span, resource) for span in scope.spans]


@contextmanager
def collector(answer: int = 200) -> Iterator[TestCollector]:
    """A collector on a free port of this machine."""
    found = TestCollector(answer=answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if not found.answer:
                found.raw.append(body)
                found.gone.wait()
                return
            if found.answer == 200:
                found.take(self.path, dict(self.headers), body)
            self.send_response(found.answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.gone.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _received(span: Span, resource: dict[str, Any]) -> Received:
    return Received(
        span.name,
        KINDS[span.kind],
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano / 1e9,
        span.end_time_unix_nano / 1e9,
        span.status.code == Status.STATUS_CODE_ERROR,
        _attributes(span.attributes),
        [(event.name, _attributes(event.attributes)) for event in span.events],
        [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        resource,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind)
