"""Where spans are sent, by the OpenTelemetry SDK, and what becomes of its complaints; loaded when needed."""

from __future__ import annotations

import logging
from collections.abc import Callable

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from .. import __version__
from .outlet import within
from .untraced import without_password

PROGRAM = "spec-kitty-orchestrator"

FLUSH_SECONDS = 5.0
"""What the last spans may need to arrive, at the end of the run; then we leave without them. The SDK itself
would try for ten seconds (1.45), and longer when it has several batches."""
LONGEST_WORDS = 300
"""Characters of what the SDK says of a collector that takes nothing."""
NOISY = ("opentelemetry", "urllib3")
"""Loggers that would write to the terminal in the middle of a run."""


class Collector:
    """A collector that speaks OTLP over HTTP; spans reach it in batches, from a thread of the SDK's.

    Args:
        endpoint: the whole URL that spans are sent to. What else the standard says (headers, time-outs,
            certificates, sampling, resource, batches) the SDK reads from the process's environment itself.
        tell: is told at once of a variable that is odd; and once, in a thread, when spans do not arrive.

    Attributes:
        where: the URL, as it may be shown.
        tracer: begins spans.

    Raises:
        ValueError, OSError, RuntimeError: one of the standard variables cannot be worked with.
    """

    def __init__(self, endpoint: str, tell: Callable[[str], None] = lambda _: None) -> None:
        self.where = without_password(endpoint)
        self._troubles = _Troubles(lambda what: tell(f"WARNING: traces to {self.where}: {what}"))
        self._troubles.listen()
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
        self.tracer = self._provider.get_tracer(PROGRAM, __version__)
        self._troubles.told = False  # what is odd about a variable is not what becomes of the traces

    def close(self) -> None:
        """Waits until every span that has ended is there, `FLUSH_SECONDS` at most."""
        if not within(FLUSH_SECONDS, self._provider.shutdown):
            self._troubles.tell_once(f"no answer in {FLUSH_SECONDS:g} s")


class _Troubles(logging.Handler):
    """Keeps what the SDK logs from the terminal; of all its troubles the first is told."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell, self.told = tell, False

    def listen(self) -> None:
        """From now on, in place of whoever did, until the program ends: the SDK's thread may outlive us."""
        for name in NOISY:
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = [self], False

    def emit(self, record: logging.LogRecord) -> None:
        self.tell_once(record.getMessage())

    def tell_once(self, what: str) -> None:
        """Only the first trouble is told."""
        if not self.told:
            self.told = True
            self._tell(" ".join(what.split())[:LONGEST_WORDS])


def _resource() -> Resource:
    """Ours, and over it what the standard variables say."""
    ours = Resource.create({"service.name": PROGRAM, "service.version": __version__})
    return ours.merge(OTELResourceDetector().detect())
