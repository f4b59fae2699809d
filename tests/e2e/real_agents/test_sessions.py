"""The real CLIs go on with their own sessions: what the model is sent, and what if one is lost."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from spec_kitty_orchestrator.agents.sessions import InSession
from spec_kitty_orchestrator.agents.spec import FailureKind, Role
from spec_kitty_orchestrator.demo.project import Project

from .bench import Bench
from .conftest import NewBench, cli_path
from .model_server import ModelServer
from .rigs import RIGS
from .test_missions import PLAN, SCRIPTED_SECONDS

pytestmark = [pytest.mark.e2e, pytest.mark.real_agents]

GO_ON = ["claude-code", "codex", "opencode", "pi", "qwen"]
FIRST_WORDS = "Implement this work package completely"
SENT_BACK = "This work package was sent back"


def begun(bench: Bench) -> InSession:
    assert bench.spec.sessions is not None
    return InSession(str(uuid.uuid4()) if bench.spec.sessions.begin else None)


@pytest.mark.parametrize("agent_id", GO_ON)
async def test_what_it_has_read_is_in_the_first_request_of_its_continuation(
    agent_id: str, new_bench: NewBench, model_server: ModelServer
) -> None:
    bench = new_bench(agent_id, "strict")
    first = await bench.attempt(Role.IMPLEMENTATION, session=begun(bench))
    assert first.failure is None
    told = first.transcript.session_id
    seen = len(model_server.bodies)
    second = await bench.attempt(Role.IMPLEMENTATION, session=InSession(told, True), feedback="Mend it.")
    assert second.failure is None
    assert second.transcript.session_id == told
    assert bench.git("show", "HEAD:out/wp01.txt") == "the work of WP01\nmended"
    request = next(body.decode() for body in model_server.bodies[seen:] if SENT_BACK in body.decode())
    assert FIRST_WORDS in request
    assert "All subtasks are done." in request
    assert request.index(FIRST_WORDS) < request.index(SENT_BACK)
    assert request.count("Write the line `the work of WP01`") == 1


@pytest.mark.parametrize("agent_id", GO_ON)
async def test_a_session_that_is_not_there_is_known_for_that_before_the_model_is_asked(
    agent_id: str, new_bench: NewBench, model_server: ModelServer, tmp_path: Path
) -> None:
    bench = new_bench(agent_id, "strict")
    first = await bench.attempt(Role.IMPLEMENTATION, session=begun(bench))
    assert first.failure is None
    seen = len(model_server.bodies)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    bench.rig.furnish(elsewhere)
    unknown = "ses_" + "0" * 26 if agent_id == "opencode" else str(uuid.uuid4())
    for session_id, home in ((unknown, None), (first.transcript.session_id, elsewhere)):
        outcome = await bench.attempt(Role.IMPLEMENTATION, session=InSession(session_id, True), home=home)
        assert outcome.failure is not None
        assert outcome.failure.kind is FailureKind.SESSION_LOST, outcome.failure
    assert model_server.bodies[seen:] == []


async def test_codex_that_begins_a_thread_of_that_name_was_not_in_the_session(new_bench: NewBench) -> None:
    cli_path("codex")
    bench = new_bench("codex", "work")
    outcome = await bench.attempt(Role.IMPLEMENTATION, session=InSession("no-uuid", True))
    assert outcome.ending.returncode == 0
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.SESSION_LOST


# Whole missions on the real host.


@pytest.fixture
def go(enter: Any, template: Callable[[Any], Project], model_server: ModelServer) -> Callable[..., Any]:
    """An arena in which one CLI implements and reviews, with the model of a scenario."""

    def _go(agent_id: str, scenario: str, **agents: Any) -> Any:
        arena = enter(template(PLAN))
        home = arena.folder / "home"
        rig = RIGS[agent_id].at(model_server.url(scenario))
        home.mkdir()
        rig.furnish(home)
        (home / ".gitconfig").write_text("[user]\nname = Person\nemail = person@example.invalid\n")
        path = os.pathsep.join([cli_path(agent_id), arena.environ["PATH"]])
        arena = evolve(arena, environ={**arena.environ, "HOME": str(home), "PATH": path})
        chosen = {"implementation": [agent_id], "review": [agent_id], "timeout_seconds": SCRIPTED_SECONDS}
        settings = {agent_id: {"extra_args": list(rig.extra_args), "env": dict(rig.env)}}
        arena.settings({"agents": {**chosen, "settings": settings, **agents}, "refresh_seconds": 3600})
        return arena

    return _go


def attempts(arena: Any) -> list[dict[str, Any]]:
    state = json.loads((arena.root / ".kittify" / "orchestrator-run-state.json").read_text())
    found: list[dict[str, Any]] = state["work_packages"]["WP01"]["attempts"]
    return found


def finish(arena: Any, *args: str) -> None:
    process = arena.start(*args)
    stdout, stderr = process.communicate(timeout=5 * SCRIPTED_SECONDS)
    assert process.returncode == 0, stdout + stderr
    assert arena.lanes() == {"WP01": "done"}


@pytest.mark.parametrize("agent_id", [*GO_ON, "gemini"])
def test_what_was_sent_back_is_mended_in_the_session_that_made_it(
    agent_id: str, go: Any, trace: Any, model_server: ModelServer
) -> None:
    cli_path(agent_id)
    seen = len(model_server.bodies)
    arena = go(agent_id, "strict")
    finish(arena, "orchestrate", "--mission", arena.project.mission)
    work, review, rework, review_2 = attempts(arena)
    assert [each["role"] for each in (work, rework)] == ["implementation"] * 2
    goes_on = agent_id != "gemini"  # it would send what its tools had answered twice
    assert bool(rework.get("continued")) is goes_on
    assert not review_2.get("continued")
    requests = [body.decode() for body in model_server.bodies[seen:] if SENT_BACK in body.decode()]
    assert (FIRST_WORDS in requests[0]) is goes_on
    if goes_on:
        assert rework["session_id"] == work["session_id"] not in (None, review["session_id"])
        # The scripted model counts 100 and 20 for each answer, whatever it was asked.
        assert work["usage"]["input_tokens"] == 5 * work["usage"]["output_tokens"]
        assert rework["usage"]["input_tokens"] == 100 * len(requests)
    assert trace.survivors() == []


@pytest.mark.parametrize("agent_id", ["claude-code", "codex", "opencode", "pi", "qwen"])
def test_a_killed_run_goes_on_in_the_session_that_it_had(
    agent_id: str, go: Any, trace: Any, model_server: ModelServer
) -> None:
    cli_path(agent_id)
    seen = len(model_server.bodies)
    arena = go(agent_id, "stuck")
    process = arena.start("orchestrate", "--mission", arena.project.mission)
    deadline = time.monotonic() + SCRIPTED_SECONDS
    while not [*arena.root.glob(".worktrees/*/napping")]:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    next(iter(arena.root.glob(".worktrees/*/napping"))).unlink()
    finish(arena, "resume")
    cut, gone_on, *_ = attempts(arena)
    assert cut["outcome"] == "interrupted"
    assert gone_on["continued"]
    assert gone_on["session_id"] == cut["session_id"]
    requests = [body.decode() for body in model_server.bodies[seen:] if "You were cut off" in body.decode()]
    assert "touch napping; sleep 300" in requests[0]
    assert trace.survivors() == []


def test_a_session_that_was_deleted_costs_one_short_try(go: Any, trace: Any) -> None:
    """What the CLI remembers is taken away after the review: the rework begins anew, and ends well."""
    cli_path("claude-code")
    arena = go("claude-code", "strict")
    store = arena.folder / "home" / ".claude" / "projects"
    process = arena.start("orchestrate", "--mission", arena.project.mission)
    deadline = time.monotonic() + SCRIPTED_SECONDS
    while not any(event["event"] == "VerdictGiven" for event in arena.events()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    store.rename(store.with_name("gone"))
    stdout, stderr = process.communicate(timeout=5 * SCRIPTED_SECONDS)
    assert process.returncode == 0, stdout + stderr
    outcomes = [(each["role"], each["outcome"]) for each in attempts(arena)]
    assert outcomes[2:4] == [("implementation", "session_lost"), ("implementation", "succeeded")]
    assert trace.survivors() == []
