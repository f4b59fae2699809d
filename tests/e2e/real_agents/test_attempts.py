"""The real CLIs, started and stopped by our own hands, against a scripted model."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
import trio
from attrs import evolve

from spec_kitty_orchestrator.agents.sessions import InSession
from spec_kitty_orchestrator.agents.spec import FailureKind, Role
from spec_kitty_orchestrator.mission.verdict import read_verdict
from spec_kitty_orchestrator.processes.ending import EndedBy

from .bench import REVIEW_REF, nap_seconds
from .conftest import NewBench, cli_path
from .rigs import RIGS, Rig

pytestmark = [pytest.mark.e2e, pytest.mark.real_agents]

AGENTS = sorted(RIGS)
FAILURES = [(agent_id, scenario) for agent_id in AGENTS for scenario in RIGS[agent_id].failures]

PATIENCE = 300.0
"""Seconds for a failure to show on a slow machine."""
ENDLESS = {("codex", "refused"): 20.0}
"""It waits for its network until it is stopped; by then it has said so."""


@pytest.mark.parametrize("agent_id", AGENTS)
async def test_an_implementer_writes_commits_and_marks(agent_id: str, new_bench: NewBench) -> None:
    bench = new_bench(agent_id, "work")
    outcome = await bench.attempt(Role.IMPLEMENTATION)
    assert outcome.failure is None
    assert outcome.ending.ended_by is EndedBy.EXITED
    assert bench.git("log", "--format=%s", f"{bench.base}..HEAD") == "Do WP01"
    assert bench.git("show", "HEAD:out/wp01.txt") == "the work of WP01"
    assert bench.marks == ["T001", "T002"]
    assert outcome.transcript.usage.output_tokens
    assert outcome.transcript.session_id
    assert not bench.survivors()


@pytest.mark.parametrize("agent_id", AGENTS)
async def test_a_reviewer_sees_the_change_and_gives_the_verdict(agent_id: str, new_bench: NewBench) -> None:
    bench = new_bench(agent_id, "work")
    bench.do_the_work()
    outcome = await bench.attempt(Role.REVIEW)
    assert outcome.failure is None
    verdict = read_verdict(outcome.transcript.final_text, REVIEW_REF)
    assert verdict is not None
    assert verdict.approved, verdict.feedback
    assert bench.git("status", "--porcelain") == ""


@pytest.mark.parametrize("agent_id", AGENTS)
async def test_a_reviewer_cannot_write(agent_id: str, new_bench: NewBench) -> None:
    bench = new_bench(agent_id, "meddle")
    (bench.workspace / "spec.txt").write_text("dirty\n")
    bench.git("add", "spec.txt")
    outcome = await bench.attempt(Role.REVIEW)
    assert outcome.failure is None
    left = {path.name for path in bench.workspace.iterdir()} - {
        ".git",
        ".gitignore",
        "kitty-specs",
        "spec.txt",
    }
    assert left <= ({"leak-2.txt"} if "--output" in bench.spec.note else set())


async def test_claude_holds_each_attempt_to_its_cost_and_not_the_whole_session(new_bench: NewBench) -> None:
    """Each of its turns costs 0.0008 USD here: two in the first attempt, one in those that go on with it."""
    cli_path("claude-code")
    bench, begun = new_bench("claude-code", "nap-0"), InSession(str(uuid.uuid4()))
    outcome = await bench.attempt(Role.IMPLEMENTATION, session=begun)
    assert (outcome.failure, outcome.transcript.usage.cost_usd) == (None, 0.0016)
    gone_on = evolve(begun, resumed=True)
    bench.max_cost_usd = 0.001  # less than what the session has cost
    outcome = await bench.attempt(Role.IMPLEMENTATION, session=gone_on)
    assert outcome.failure is None
    bench.max_cost_usd = 0.0005
    outcome = await bench.attempt(Role.IMPLEMENTATION, session=gone_on)
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.ATTEMPT_LIMIT
    assert "Reached maximum budget" in outcome.failure.message


async def test_pi_is_stopped_when_it_has_told_that_it_cost_too_much(new_bench: NewBench) -> None:
    """It tells at the end of each turn, when its tools have run."""
    cli_path("pi")
    bench = new_bench("pi", "work")
    path = Path(bench.environ["HOME"]) / ".pi" / "agent" / "models.json"
    models = json.loads(path.read_text())
    price = {"input": 1000, "output": 1000, "cacheRead": 0, "cacheWrite": 0}  # for a million tokens
    models["providers"]["scripted"]["models"][0]["cost"] = price
    path.write_text(json.dumps(models))
    bench.max_cost_usd = 0.05
    outcome = await bench.attempt(Role.IMPLEMENTATION)
    assert outcome.ending.ended_by is EndedBy.TOO_DEAR
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.ATTEMPT_LIMIT
    assert outcome.transcript.usage.cost_usd is not None
    assert outcome.transcript.usage.cost_usd > bench.max_cost_usd
    assert bench.marks != ["T001", "T002"]  # it had not come to its end
    assert not bench.survivors()


async def test_codex_cannot_plant_what_runs_outside_its_sandbox(new_bench: NewBench) -> None:
    cli_path("codex")
    bench = new_bench("codex", "plant")
    git = bench.repo / ".git"
    own = git / "worktrees" / "m-lane-a"
    kept = [git / "config", git / "logs" / "HEAD", git / "refs" / "heads" / "main"]
    kept += [own / "commondir", own / "gitdir", bench.workspace / ".git"]
    before = [path.read_text() for path in kept]
    outcome = await bench.attempt(Role.IMPLEMENTATION)
    assert outcome.failure is None
    assert (bench.workspace / "tried").exists()
    assert [path.read_text() for path in kept] == before
    assert not (git / "logs" / "HEAD").is_symlink()
    assert not (git / "hooks" / "post-commit").exists()
    assert not (bench.workspace / ".codex" / "config.toml").exists()


@pytest.mark.parametrize("role", Role)
async def test_a_persons_rules_let_nothing_out_of_the_sandbox_of_codex(
    role: Role, new_bench: NewBench
) -> None:
    cli_path("codex")
    bench = new_bench("codex", "allowed")
    (bench.folder / "allowed.sh").write_text(f"touch {bench.planning_dir}/inside {bench.repo}/outside\n")
    rule = 'prefix_rule(pattern=["sh", "../../../allowed.sh"], decision="allow")\n'
    Rig(files={".codex/rules/default.rules": rule}).furnish(Path(bench.environ["HOME"]))
    outcome = await bench.attempt(role)
    assert outcome.failure is None
    assert (bench.planning_dir / "inside").exists() is (role is Role.IMPLEMENTATION)
    assert not (bench.repo / "outside").exists()


async def test_codex_commits_where_git_has_packed_its_refs(new_bench: NewBench) -> None:
    """The folder of its branch is gone then."""
    cli_path("codex")
    bench = new_bench("codex", "work")
    bench.git("pack-refs", "--all")
    assert not (bench.repo / ".git" / "refs" / "heads" / "kitty").exists()
    outcome = await bench.attempt(Role.IMPLEMENTATION)
    assert outcome.failure is None
    assert bench.git("log", "--format=%s", f"{bench.base}..HEAD") == "Do WP01"


@pytest.mark.parametrize(("agent_id", "scenario"), FAILURES)
async def test_a_failure_of_the_model_is_known_for_what_it_is(
    agent_id: str, scenario: str, new_bench: NewBench
) -> None:
    bench = new_bench(agent_id, scenario)
    outcome = await bench.attempt(Role.IMPLEMENTATION, seconds=ENDLESS.get((agent_id, scenario), PATIENCE))
    assert outcome.failure is not None
    assert outcome.failure.kind is RIGS[agent_id].failures[scenario], outcome.failure.message
    assert bench.git("rev-parse", "HEAD") == bench.base


@pytest.mark.parametrize("agent_id", AGENTS)
async def test_nothing_survives_a_stop_while_the_shell_tool_runs(agent_id: str, new_bench: NewBench) -> None:
    nap = nap_seconds()
    bench = new_bench(agent_id, f"nap-{nap}")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.attempt, Role.IMPLEMENTATION)
        await bench.until_napping()
        assert bench.survivors(nap)
        nursery.cancel_scope.cancel()
    assert not bench.survivors(nap)


@pytest.mark.parametrize("agent_id", ["claude-code"])
async def test_a_time_limit_ends_it_with_its_shell(agent_id: str, new_bench: NewBench) -> None:
    nap = nap_seconds()
    bench = new_bench(agent_id, f"nap-{nap}")
    outcome = await bench.attempt(Role.IMPLEMENTATION, seconds=8.0)
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.TIMEOUT
    assert not bench.survivors(nap)
