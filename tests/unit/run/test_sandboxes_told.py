"""What the dry run and the doctor say of the sandboxes is what the host would be told."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve

from spec_kitty_orchestrator.agents.spec import AgentSettings, Wall
from spec_kitty_orchestrator.host.client import HostClient
from spec_kitty_orchestrator.host.contract.payloads import MissionState
from spec_kitty_orchestrator.host.program import HostEndpoint
from spec_kitty_orchestrator.processes.launcher import Launcher, LauncherKind
from spec_kitty_orchestrator.run.doctor.agents import sandboxes
from spec_kitty_orchestrator.run.doctor.findings import Case
from spec_kitty_orchestrator.run.opening import Opened, Request, named_agents
from spec_kitty_orchestrator.run.plan import plan_lines
from spec_kitty_orchestrator.settings.values import AgentChoice, SandboxSettings, Settings

CHOICE = AgentChoice(implementation=("claude-code", "codex"), review=("codex",))


def _agents(tmp_path: Path):  # type: ignore[no-untyped-def]
    for name in ("claude", "codex"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    return named_agents(Settings(agents=CHOICE), {"PATH": str(tmp_path)})


def test_the_dry_run_says_of_each_agent_whether_a_sandbox_holds_it(tmp_path: Path) -> None:
    opened = Opened(
        Request("m", "me", tmp_path),
        Settings(agents=CHOICE),
        _agents(tmp_path),
        HostClient(HostEndpoint(tmp_path / "host", tmp_path)),
        MissionState("m", None, "software-dev", {}, ()),  # type: ignore[arg-type]
    )
    told = [line.strip() for line in plan_lines(opened) if "sandbox" in line and "<" not in line]
    assert told == [
        "(no sandbox holds it)",
        "(held by a sandbox of its own: workspace_write)",
        "(held by a sandbox of its own: read_only)",
    ]


def test_the_dry_run_says_which_wall_each_agent_is_put_behind_and_where_it_runs(tmp_path: Path) -> None:
    agents = evolve(CHOICE, settings={"codex": AgentSettings(sandbox=Wall.OFF)})
    far = Launcher(use=LauncherKind.SLURM)
    settings = Settings(agents=agents, sandbox=SandboxSettings(Wall.SRT), launcher=far)
    opened = Opened(
        Request("m", "me", tmp_path),
        settings,
        named_agents(settings, {"PATH": str(tmp_path)}) if _agents(tmp_path) else {},
        HostClient(HostEndpoint(tmp_path / "host", tmp_path)),
        MissionState("m", None, "software-dev", {}, ()),  # type: ignore[arg-type]
    )
    told = [line.strip() for line in plan_lines(opened) if line.startswith("    (")]
    assert told == [
        "(inside srt: workspace_write, network: only allowed domains)",
        "(runs elsewhere, by launcher.use: slurm)",
        "(held by a sandbox of its own: workspace_write)",
        "(runs elsewhere, by launcher.use: slurm)",
        "(held by a sandbox of its own: read_only)",
        "(runs elsewhere, by launcher.use: slurm)",
    ]


async def test_the_doctor_says_it_too(tmp_path: Path) -> None:
    (found,) = await sandboxes(Case({}, tmp_path, Settings(agents=CHOICE), _agents(tmp_path)))
    assert found.found == (
        "claude-code none (implementation), codex workspace_write (implementation), codex read_only (review)"
    )
