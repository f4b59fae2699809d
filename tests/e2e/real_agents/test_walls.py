"""Real CLIs behind walls: they work as they do outside, and reach nothing else."""

from __future__ import annotations

import shutil

import pytest
import trio
from attrs import evolve

from spec_kitty_orchestrator.agents.spec import Role, Wall
from spec_kitty_orchestrator.mission.verdict import read_verdict
from spec_kitty_orchestrator.processes.ending import EndedBy
from spec_kitty_orchestrator.settings.values import SandboxSettings
from spec_kitty_orchestrator.walls.around import Walls

from .bench import REVIEW_REF, Bench, nap_seconds
from .conftest import NewBench
from .rigs import RIGS

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.real_agents,
    pytest.mark.skipif(
        shutil.which("bwrap") is None, reason="bwrap is not installed: apt-get install bubblewrap"
    ),
]
AGENTS = sorted(RIGS)


def walled(bench: Bench, **more: object) -> Bench:
    """The same bench, with bwrap around its agent."""
    sandbox = SandboxSettings(Wall.BWRAP)
    return evolve(bench, walls=Walls(sandbox, bench.repo))


@pytest.mark.parametrize("agent_id", AGENTS)
async def test_an_implementer_writes_commits_and_marks(agent_id: str, new_bench: NewBench) -> None:
    bench = walled(new_bench(agent_id, "work"))
    outcome = await bench.attempt(Role.IMPLEMENTATION)
    assert outcome.failure is None
    assert outcome.ending.ended_by is EndedBy.EXITED
    assert bench.git("log", "--format=%s", f"{bench.base}..HEAD") == "Do WP01"
    assert bench.git("show", "HEAD:out/wp01.txt") == "the work of WP01"
    assert bench.git("status", "--porcelain") == ""
    assert bench.marks == ["T001", "T002"]
    assert not bench.survivors()


@pytest.mark.parametrize("agent_id", AGENTS)
async def test_a_reviewer_judges_and_can_write_nothing(agent_id: str, new_bench: NewBench) -> None:
    bench = walled(new_bench(agent_id, "work"))
    bench.do_the_work()
    outcome = await bench.attempt(Role.REVIEW)
    assert outcome.failure is None
    verdict = read_verdict(outcome.transcript.final_text, REVIEW_REF)
    assert verdict is not None
    assert verdict.approved, verdict.feedback
    assert bench.git("status", "--porcelain") == ""


@pytest.mark.parametrize("agent_id", AGENTS)
async def test_a_reviewer_that_meddles_leaves_nothing(agent_id: str, new_bench: NewBench) -> None:
    bench = walled(new_bench(agent_id, "meddle"))
    (bench.workspace / "spec.txt").write_text("dirty\n")
    bench.git("add", "spec.txt")
    outcome = await bench.attempt(Role.REVIEW)
    assert outcome.failure is None
    left = {path.name for path in bench.workspace.iterdir()}
    assert left == {".git", ".gitignore", "kitty-specs", "spec.txt"}


@pytest.mark.parametrize("agent_id", AGENTS)
async def test_nothing_survives_a_stop_while_the_shell_tool_runs(agent_id: str, new_bench: NewBench) -> None:
    nap = nap_seconds()
    bench = walled(new_bench(agent_id, f"nap-{nap}"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.attempt, Role.IMPLEMENTATION)
        await bench.until_napping()
        assert bench.survivors(nap)
        nursery.cancel_scope.cancel()
    assert not bench.survivors(nap)
