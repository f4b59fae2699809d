"""Whether a run is traced, and where to: by the setting `otel`, or by OpenTelemetry's standard variables."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import trio
from attrs import frozen

from ..agents.agent import Agent
from ..errors import UsageError
from ..report.untraced import TracedAgent, Untraced, without_password

NEEDED = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
INSTALL = "pip install 'spec-kitty-orchestrator[otel]>=1.0'"

DEFAULT_ENDPOINT = "http://localhost:4318"
TRACES_PATH = "v1/traces"
SPOKEN = "http/protobuf"
"""Also what the standard takes when no protocol is named."""

PROVIDERS = {"google": "gcp.gen_ai"}
"""Agent family → the conventions' word for the provider, where that is another one."""


@frozen
class TracesPlan:
    """Where traces go, and what is in their way.

    Attributes:
        endpoint: the whole URL that spans are sent to; empty when nobody asks for traces.
        problem: why they cannot be sent there; `remedy`: what to do about it.
        by: what asks for them: `otel: true`, or a variable.
    """

    endpoint: str = ""
    problem: str = ""
    remedy: str = ""
    by: str = ""


def plan_traces(otel: bool | None, environ: Mapping[str, str]) -> TracesPlan:
    """What the setting and the variables ask for.

    `otel: false`, OTEL_SDK_DISABLED=true and OTEL_TRACES_EXPORTER=none turn traces off, whatever else is
    said. `otel: true` turns them on; and so, without that setting, does an OTLP endpoint for traces or for
    all, or OTEL_TRACES_EXPORTER=otlp. As the standard has it, an empty variable is none.
    """
    said = {name: value.strip() for name, value in environ.items() if value.strip()}
    exporters = [each.strip() for each in said.get("OTEL_TRACES_EXPORTER", "").split(",") if each.strip()]
    if otel is False or said.get("OTEL_SDK_DISABLED", "").lower() == "true" or "none" in exporters:
        return TracesPlan()
    by = "otel: true" if otel else _asking_variable(said, exporters)
    if not by:
        return TracesPlan()
    endpoint = said.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or "/".join(
        (said.get("OTEL_EXPORTER_OTLP_ENDPOINT", DEFAULT_ENDPOINT).rstrip("/"), TRACES_PATH)
    )
    return TracesPlan(endpoint, *_obstacle(said, exporters, endpoint), by)


def _asking_variable(said: Mapping[str, str], exporters: list[str]) -> str:
    if exporters:
        return "OTEL_TRACES_EXPORTER" if "otlp" in exporters else ""
    endpoints = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return next((name for name in endpoints if name in said), "")


def _obstacle(said: Mapping[str, str], exporters: list[str], endpoint: str) -> tuple[str, str]:
    """Why traces cannot be sent as asked, and what to do about it; both empty when they can."""
    if exporters and "otlp" not in exporters:
        return f"OTEL_TRACES_EXPORTER is {','.join(exporters)}", "only otlp can be done here; unset it"
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if name in said and said[name] != SPOKEN:
            to_do = f"set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL={SPOKEN}, and its ..._TRACES_ENDPOINT"
            return f"{name} is {said[name]}, and only {SPOKEN} is spoken here", to_do
        if name in said:
            break
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return (
            f"{without_password(endpoint)} is not the URL of a collector",
            f"give one like {DEFAULT_ENDPOINT}",
        )
    if not all(map(_is_installed, NEEDED)):
        return "OpenTelemetry is not installed", INSTALL
    return "", ""


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a package above it
        return False


def check_traces(otel: bool | None, environ: Mapping[str, str]) -> None:
    """Raises UsageError when traces are asked for by `otel: true` and cannot be sent."""
    plan = plan_traces(otel, environ)
    if otel and plan.problem:
        raise UsageError(f"otel: true: {plan.problem}", remedy=plan.remedy)


async def open_traces(
    otel: bool | None,
    environ: Mapping[str, str],
    agents: Mapping[str, Agent],
    tell: Callable[[str], None],
) -> Untraced:
    """What stands for the run's traces: `Traces`, or nothing and why.

    What only a variable asks for, which may be meant for other programs, never ends a run.

    Args:
        tell: is told, in a thread, when the collector takes nothing.

    Raises:
        UsageError: a standard variable cannot be worked with, and `otel: true` asks for traces.
    """
    plan = plan_traces(otel, environ)
    if not plan.endpoint:
        return Untraced()
    problem, remedy = plan.problem, plan.remedy
    if not problem:
        known = {name: traced(agent) for name, agent in agents.items()}
        try:  # in a thread: the import alone takes a third of a second
            return await trio.to_thread.run_sync(_open, plan.endpoint, environ, known, tell)
        except Exception as unfit:  # noqa: BLE001 - also what an installation that does not fit raises
            problem, remedy = f"what OTEL_* variables say does not work: {unfit}", "mend them"
    if otel:
        raise UsageError(f"otel: true: {problem}", remedy=remedy)
    return Untraced(f"{plan.by} is set, but no traces are sent: {problem} ({remedy}, or set otel: false)")


def _open(
    endpoint: str,
    environ: Mapping[str, str],
    agents: Mapping[str, TracedAgent],
    tell: Callable[[str], None],
) -> Untraced:
    from ..report.collector import Collector
    from ..report.traces import Traces

    return Traces(Collector(endpoint, tell), environ, agents)


def traced(agent: Agent) -> TracedAgent:
    """What spans say of an agent."""
    family = agent.spec.family
    return TracedAgent(agent.spec.agent_id, PROVIDERS.get(family, family), agent.settings.model)
