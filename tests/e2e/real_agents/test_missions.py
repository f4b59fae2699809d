"""Whole missions on the real host: real CLIs implement and review.

Against the scripted model, from npm and without credentials; with SK_ORCH_E2E_REAL_AGENTS=1 against the
vendors, with the CLIs and credentials of whoever runs the tests. SK_ORCH_E2E_AGENT_MATRIX then names the
pairs, `implementer:reviewer` with commas between.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from tests.collector import collector

from spec_kitty_orchestrator.agents import find_binary, get_agent
from spec_kitty_orchestrator.demo.project import PlannedWorkPackage, ProjectPlan

from .conftest import cli_path
from .model_server import ModelServer
from .rigs import RIGS

pytestmark = [pytest.mark.e2e, pytest.mark.real_agents]

VENDORS = os.environ.get("SK_ORCH_E2E_REAL_AGENTS") == "1"
MATRIX = os.environ.get(
    "SK_ORCH_E2E_AGENT_MATRIX",
    "claude-code:codex,claude-code:opencode,codex:claude-code,opencode:claude-code",
)
PAIRS = [tuple(pair.strip().split(":")) for pair in MATRIX.split(",")]
VENDOR_SECONDS = 900.0
"""For one attempt of a real model at a task of one line."""
SCRIPTED_SECONDS = 600.0
"""For one attempt with the scripted model: opencode's first start alone may take half a minute."""
HOST_SECONDS = 600.0
"""For all calls of the host in one mission, on a slow machine."""

CLAUDE_CODES_TRACES = {
    "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
    "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
}
"""What has it send its spans (2.1.330)."""

PATH = "out/wp01.txt"
PLAN = ProjectPlan(
    "real-agents",
    (
        PlannedWorkPackage(
            "WP01",
            "A line",
            f"Write the file `{PATH}` with exactly one line: `the work of WP01`",
            (PATH,),
            (f"Write {PATH}", "Read it again"),
        ),
    ),
)


@pytest.mark.parametrize(
    ("implementer", "reviewer"),
    [
        ("claude-code", "codex"),
        ("codex", "claude-code"),
        ("gemini", "codex"),
        ("opencode", "qwen"),
        ("qwen", "opencode"),
        ("pi", "gemini"),
    ],
)
def test_a_mission_ends_accepted(
    implementer: str, reviewer: str, enter: Any, trace: Any, template: Any, model_server: ModelServer
) -> None:
    arena = enter(template(PLAN))
    home = arena.folder / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\nname = Person\nemail = person@example.invalid\n")
    rigs = {agent_id: RIGS[agent_id].at(model_server.url("work")) for agent_id in (implementer, reviewer)}
    for rig in rigs.values():
        rig.furnish(home)
    path = os.pathsep.join([cli_path(implementer, reviewer), arena.environ["PATH"]])
    arena = evolve(arena, environ={**arena.environ, "HOME": str(home), "PATH": path})
    settings = {
        agent_id: {"extra_args": list(rig.extra_args), "env": dict(rig.env)} for agent_id, rig in rigs.items()
    }

    agents = {"timeout_seconds": SCRIPTED_SECONDS, "settings": settings}
    if implementer == "claude-code":
        _run_with_its_telemetry(arena, reviewer, agents)
    else:
        _run_to_the_end(arena, implementer, reviewer, agents)

    assert trace.survivors() == []


def _run_with_its_telemetry(arena: Any, reviewer: str, agents: dict[str, Any]) -> None:
    """Claude Code, whose own traces are turned on, makes its spans inside that of its attempt."""
    agents["settings"]["claude-code"]["env"] |= CLAUDE_CODES_TRACES
    with collector() as received:
        arena = evolve(arena, environ={**arena.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": received.url})
        _run_to_the_end(arena, "claude-code", reviewer, agents)
    attempt = received.one("invoke_agent claude-code")
    own = [each for each in received.spans if each.resource["service.name"] == "claude-code"]
    assert [each.parent for each in own if each.name == "claude_code.interaction"] == [attempt.id]
    assert {each.trace for each in own} == {attempt.trace}


@pytest.mark.skipif(not VENDORS, reason="needs credentials and costs money: set SK_ORCH_E2E_REAL_AGENTS=1")
@pytest.mark.parametrize(("implementer", "reviewer"), PAIRS)
def test_a_mission_ends_accepted_with_real_models(
    implementer: str, reviewer: str, enter: Any, template: Any
) -> None:
    for agent_id in (implementer, reviewer):
        if find_binary(get_agent(agent_id)) is None:
            pytest.skip(f"{agent_id} is not installed")
    arena = enter(template(PLAN))
    arena = evolve(arena, environ={**os.environ, **_only_ours(arena.environ)})
    _run_to_the_end(arena, implementer, reviewer, {"timeout_seconds": VENDOR_SECONDS})


def _only_ours(environ: Mapping[str, str]) -> dict[str, str]:
    """What the arena needs; home, PATH and credentials stay those of the person."""
    return {name: value for name, value in environ.items() if name.startswith("SK_ORCH_")}


def _run_to_the_end(arena: Any, implementer: str, reviewer: str, agents: dict[str, Any]) -> None:
    chosen = {"implementation": [implementer], "review": [reviewer]}
    arena.settings({"agents": {**chosen, **agents}, "refresh_seconds": 3600})

    process = arena.start("orchestrate", "--mission", arena.project.mission)
    try:
        stdout, stderr = process.communicate(timeout=2 * agents["timeout_seconds"] + HOST_SECONDS)
    except subprocess.TimeoutExpired:
        process.terminate()  # it ends its agents
        stdout, stderr = process.communicate(timeout=60)

    assert process.returncode == 0, stdout + stderr + _logs(arena.root)
    assert arena.lanes() == {"WP01": "done"}
    started = [event["agent"] for event in arena.events() if event["event"] == "AttemptStarted"]
    assert started[:2] == [implementer, reviewer]  # a real model may be sent back and asked again
    branches = arena.project.git("branch", "--list", "kitty/*lane*", "--format=%(refname:short)").split()
    assert arena.project.git("show", f"{branches[0]}:{PATH}").strip() == "the work of WP01"
    status = json.loads((arena.project.planning_dir / "status.json").read_text())
    assert '"T001": "done", "T002": "done"' in json.dumps(status)


def _logs(root: Path) -> str:
    """The end of every attempt's log, for the message of a failure."""
    logs = sorted((root / ".kittify" / "logs").glob("*/*.log"))
    return "".join(f"\n--- {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in logs)
