"""Real CLIs behind walls: they work as they do outside, and reach nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trio
from attrs import evolve

from spec_kitty_orchestrator.agents.spec import Role, Wall
from spec_kitty_orchestrator.mission.verdict import read_verdict
from spec_kitty_orchestrator.processes.ending import EndedBy
from spec_kitty_orchestrator.settings.values import SandboxSettings
from spec_kitty_orchestrator.walls.around import Walls

from .bench import REVIEW_REF, Bench, nap_seconds
from .conftest import NewBench, cli_path
from .model_server import ModelServer
from .rigs import RIGS

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.real_agents,
    pytest.mark.skipif(
        shutil.which("bwrap") is None, reason="bwrap is not installed: apt-get install bubblewrap"
    ),
]
AGENTS = sorted(RIGS)
USER = 12345


BEHIND_SRT = [agent_id for agent_id in AGENTS if agent_id != "codex"]  # which does nothing there


def walled(bench: Bench) -> Bench:
    """The same bench, with bwrap around its agent."""
    return evolve(bench, walls=Walls(SandboxSettings(Wall.BWRAP), bench.repo))


def behind_srt(bench: Bench, model_server: ModelServer) -> Bench:
    """The same bench, with srt around its agent, which may talk to the scripted model and to nobody else."""
    missing = [program for program in ("socat", "rg") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"srt needs {' and '.join(missing)}: apt-get install socat ripgrep")
    path = os.pathsep.join([cli_path("srt"), bench.environ["PATH"]])
    domain = urlsplit(model_server.url("work")).netloc
    sandbox = SandboxSettings(Wall.SRT, allowed_domains=(domain,))
    return evolve(bench, environ={**bench.environ, "PATH": path}, walls=Walls(sandbox, bench.repo))


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


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="becomes another user")
@pytest.mark.parametrize("agent_id", ["claude-code", "codex"])
async def test_a_user_has_codex_behind_the_wall_too(agent_id: str, new_bench: NewBench) -> None:
    """With a sandbox of its own inside; to root that is refused, and codex then does nothing."""
    bench = evolve(walled(new_bench(agent_id, "work")), user=USER)
    if not _may_be_entered(bench.folder):
        pytest.skip(f"{bench.folder} is not open to other users")
    bench.walls = evolve(bench.walls, is_root=False)
    outcome = await bench.attempt(Role.IMPLEMENTATION)
    assert outcome.failure is None
    assert bench.git("log", "--format=%s", f"{bench.base}..HEAD") == "Do WP01"
    assert bench.marks == ["T001", "T002"]
    outcome = await bench.attempt(Role.REVIEW)
    assert outcome.failure is None
    assert read_verdict(outcome.transcript.final_text, REVIEW_REF) is not None
    assert not bench.survivors()


def _may_be_entered(folder: Path) -> bool:
    return all(each.stat().st_mode & 0o005 == 0o005 for each in folder.parents)


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


@pytest.mark.parametrize("agent_id", BEHIND_SRT)
async def test_an_implementer_works_behind_srt(
    agent_id: str, new_bench: NewBench, model_server: ModelServer
) -> None:
    bench = behind_srt(new_bench(agent_id, "work"), model_server)
    outcome = await bench.attempt(Role.IMPLEMENTATION)
    assert outcome.failure is None
    assert bench.git("log", "--format=%s", f"{bench.base}..HEAD") == "Do WP01"
    assert bench.git("status", "--porcelain") == ""
    assert bench.marks == ["T001", "T002"]
    assert not bench.survivors()


@pytest.mark.parametrize("agent_id", BEHIND_SRT)
async def test_a_reviewer_judges_behind_srt_and_leaves_nothing(
    agent_id: str, new_bench: NewBench, model_server: ModelServer
) -> None:
    bench = behind_srt(new_bench(agent_id, "work"), model_server)
    bench.do_the_work()
    outcome = await bench.attempt(Role.REVIEW)
    assert outcome.failure is None
    verdict = read_verdict(outcome.transcript.final_text, REVIEW_REF)
    assert verdict is not None
    assert verdict.approved, verdict.feedback
    assert bench.git("status", "--porcelain") == ""
