"""A model provider on loopback: speaks the four APIs, streamed and whole, and answers as `brain` decides.

The first part of a request's path is the scenario: `/work/v1/messages`, `/e429/v1/responses`.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from attrs import define, field

from .apis import Answer, Api, Json, Request, api_of, arguments, value_for
from .brain import Run, next_step

ERRORS = {
    401: "invalid x-api-key",
    404: "model: scripted-model not found",
    429: "This request would exceed your rate limit. Please try again later.",
    500: "Internal server error",
}


@define
class ModelServer:
    """A running server.

    Attributes:
        asked: every request that it got, as scenario and path.
        bodies: of each that the model was to answer with its tools, what it held.
    """

    port: int
    asked: list[str] = field(factory=list)
    bodies: list[bytes] = field(factory=list)

    def url(self, scenario: str) -> str:
        return f"http://127.0.0.1:{self.port}/{scenario}"


@contextmanager
def serve() -> Iterator[ModelServer]:
    """Serves until the block ends."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    httpd.daemon_threads = True
    httpd.state = ModelServer(httpd.server_address[1])  # type: ignore[attr-defined]
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield httpd.state  # type: ignore[attr-defined]
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._json(200, {})

    def do_GET(self) -> None:
        models = [{"id": "scripted-model", "object": "model", "type": "model", "display_name": "Scripted"}]
        self._json(200, {"object": "list", "data": models, "has_more": False})

    def do_POST(self) -> None:
        _, scenario, path = self.path.split("?")[0].split("/", 2)
        self.server.state.asked.append(f"{scenario} /{path}")  # type: ignore[attr-defined]
        body = self._body()
        api = api_of(f"/{path}")
        if api is None:  # token counting and the like
            return self._json(200, {"input_tokens": 10, "totalTokens": 10})
        if scenario.startswith("e"):
            status = int(scenario[1:4])
            return self._json(status, api.error(status, ERRORS[status]))
        request = api.read(body)
        if request.shell is not None:
            self.server.state.bodies.append(json.dumps(body).encode())  # type: ignore[attr-defined]
        answer = _answer(scenario, request)
        model = str(body.get("model", "scripted-model"))
        if body.get("stream") or "streamGenerateContent" in path:
            return self._stream(api, answer, model)
        return self._json(200, api.whole(answer, model))

    def _body(self) -> Json:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            raw = b""
            while size := int(self.rfile.readline().strip() or b"0", 16):
                raw += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("content-encoding") == "gzip":
            raw = gzip.decompress(raw)
        body = json.loads(raw or b"{}")
        return body if isinstance(body, dict) else {}

    def _json(self, status: int, value: Json) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self._send(body)

    def _stream(self, api: Api, answer: Answer, model: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.close_connection = True
        self.end_headers()
        for name, event in api.stream(answer, model):
            self._send(
                (f"event: {name}\n" if name else "").encode()
                + b"data: "
                + json.dumps(event).encode()
                + b"\n\n"
            )
        if api.__name__ == "Chat":
            self._send(b"data: [DONE]\n\n")

    def _send(self, data: bytes) -> None:
        try:
            self.wfile.write(data)
            self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the agent was stopped, as the test wanted


def _answer(scenario: str, request: Request) -> Answer:
    if request.shell is None:
        # A title, a summary, a choice of model: no business of ours, but it wants an answer.
        return Answer(json.dumps(value_for(request.wanted)) if request.wanted else "A task")
    step = next_step(scenario, request.prompt, request.results, request.goes_on)
    if isinstance(step, Run):
        call = arguments(request.tools[request.shell], step.command)
        return Answer(tool=request.shell, arguments=call)
    return Answer(step.text)
