"""The whole program with real processes and a collector in the test: present, hanging, absent, not asked."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from tests.collector import collector

BLOCKED = (
    "import sys; sys.modules['opentelemetry'] = None; "
    "from spec_kitty_orchestrator.__main__ import run; sys.exit(run())"
)
"""The program, where the extra is not installed."""


def _settings(arena, **more):
    agents = {"implementation": ["claude-code"], "review": ["codex"]}
    arena.settings({"agents": agents, **more})


def test_a_run_and_the_one_that_goes_on_with_it_are_two_traces_and_the_second_names_the_first(arena):
    _settings(arena, otel=True, checks=[["sh", "-c", 'printf "%s\n" "$TRACEPARENT" >> ../../../asked']])
    with collector() as received:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.url}
        first = arena.orchestrate("--only", "WP01", **environ)
        assert first.returncode in (0, 1), first.text
        second = arena.run("resume", "--only", "WP02", **environ)
    assert second.returncode == 0, second.text
    one, two = received.named("invoke_workflow")
    assert one.trace != two.trace
    assert (one.links, two.links) == ([], [(one.trace, one.id)])
    assert one.told["spec_kitty.run.id"] == two.told["spec_kitty.run.id"]
    assert (one.told["spec_kitty.run.resumed"], two.told["spec_kitty.run.resumed"]) == (False, True)
    assert f"traces of this run go to {received.url}/v1/traces, trace {one.trace}" in first.stdout
    packages = received.named("work_package")
    assert [(each.name, each.trace) for each in packages] == [
        ("work_package WP01", one.trace),
        ("work_package WP02", two.trace),
    ]
    asked = (arena.folder / "asked").read_text().split()
    assert [word.split("-")[1:3] for word in asked] == [[each.trace, each.id] for each in packages]
    assert {each.name for each in received.named("host")} >= {"host start-implementation", "host transition"}
    sessions = [each.told.get("gen_ai.conversation.id") for each in received.named("invoke_agent")]
    ended = [event["session_id"] for event in arena.events() if event["event"] == "AttemptEnded"]
    assert all(sessions)
    assert sessions == ended


@pytest.mark.parametrize("hangs", [True, False])
def test_a_collector_that_takes_nothing_costs_one_warning_and_a_bounded_wait(arena, hangs):
    with socket.socket() as free, collector(answer=0) as hanging:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
        done = arena.orchestrate(OTEL_EXPORTER_OTLP_ENDPOINT=hanging.url if hangs else nobody)
    assert done.returncode == 0, done.text
    assert arena.lanes() == {"WP01": "done", "WP02": "done"}
    warnings = [line for line in done.text.splitlines() if "WARNING" in line]
    assert len(warnings) == 1, done.text
    assert (hanging.url if hangs else nobody) in warnings[0]
    assert "Traceback" not in done.text
    assert bool(hanging.raw) is hangs


def test_the_extra_is_asked_for_only_when_traces_are(arena):
    argv = [sys.executable, "-c", BLOCKED, "orchestrate", "--mission", arena.project.mission]

    def blocked(*args, **environ):
        given = {**arena.environ, **environ}
        return subprocess.run(
            [*argv, *args], cwd=arena.root, env=given, capture_output=True, text=True, check=False
        )

    _settings(arena, otel=True)
    for refused in (blocked(), blocked("--dry-run")):
        assert refused.returncode == 2
        assert "pip install 'spec-kitty-orchestrator[otel]>=1.0'" in refused.stderr
    assert (arena.events(), arena.host_calls()) == ([], [])
    _settings(arena)
    done = blocked(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert "no traces are sent: OpenTelemetry is not installed" in done.stdout


def test_the_dry_run_says_where_traces_would_go(arena):
    _settings(arena, otel=True)
    done = arena.orchestrate("--dry-run")
    assert "Traces go to: http://localhost:4318/v1/traces (otel: true)" in done.stdout
    done = arena.orchestrate("--dry-run", SK_ORCH_OTEL="false")
    assert "Traces" not in done.stdout
