"""Doctor with real processes: the canary, agents that are asked who is signed in, what a run has left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.process.stage import PATIENCE

from spec_kitty_orchestrator.agents import all_agent_ids, probe
from spec_kitty_orchestrator.agents.custom import CustomAgent
from spec_kitty_orchestrator.agents.setting_up import SETTING_UP
from spec_kitty_orchestrator.agents.spec import Role
from spec_kitty_orchestrator.processes import keeper as keepers
from spec_kitty_orchestrator.processes.orphans import RUN_MARKER
from spec_kitty_orchestrator.run.doctor import agents, keeper, leftovers
from spec_kitty_orchestrator.run.doctor.findings import Case, Finding, Level
from spec_kitty_orchestrator.run.opening import named_agents
from spec_kitty_orchestrator.settings.values import AgentChoice, Settings


@pytest.mark.skipif(sys.platform != "linux", reason="there is no subreaper elsewhere")
async def test_the_canary_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "CANARY_SECONDS", PATIENCE)
    (found,) = await keeper.canary(Case(dict(os.environ)))
    assert found.level is Level.OK, found
    assert "ignored signals" in found.found


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is no descendant of a keeper's, with the mark of a run that is dead."""
    env = {**os.environ, RUN_MARKER: "run-of-the-dead"}
    with subprocess.Popen(["sleep", "600"], start_new_session=True, env=env) as process:
        yield process
        process.kill()


async def test_a_canary_that_lives_on_is_an_error_and_is_ended_all_the_same(
    monkeypatch: pytest.MonkeyPatch, stranger: subprocess.Popen[bytes]
) -> None:
    """As where nobody may be a subreaper: the keeper ends what it started, and not what has left that."""
    monkeypatch.setattr(keeper, "CANARY_SECONDS", PATIENCE)

    async def another(_: object) -> int:
        return stranger.pid

    monkeypatch.setattr(keeper, "_pid_told", another)
    monkeypatch.setattr(keeper.sys, "platform", "linux")
    (found,) = await keeper.canary(Case(dict(os.environ)))
    assert found.level is Level.ERROR
    assert found.remedy
    assert stranger.wait() == -signal.SIGKILL


async def test_a_keeper_that_cannot_be_started_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "keeper_argv", lambda *_: ["/no/such/python"])
    (found,) = await keeper.canary(Case(dict(os.environ)))
    assert (found.what, found.level) == ("keeper", Level.ERROR)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH that has agents."""
    for name in ("PROBE_SECONDS", "STATUS_SECONDS"):
        monkeypatch.setattr(probe, name, PATIENCE)
    (tmp_path / "bin").mkdir()
    (tmp_path / "home").mkdir()
    return tmp_path / "bin"


def install(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


async def found_of(programs: Path, *names: str, **environ: str) -> dict[str, Finding]:
    env = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(programs.parent / "home"), **environ}
    settings = Settings(agents=AgentChoice(implementation=names, review=names))
    found = await agents.each(Case(env, programs, settings, named_agents(settings, env)))
    return {each.what: each for each in found}


ASKED = {
    "it is": ("exit 0", Level.OK, "says claude auth status"),
    "it is not": (
        "echo '{\"loggedIn\": false}'; exit 1",
        Level.WARNING,
        "it is not, says claude auth status",
    ),
    "it does not know the question": ("exit 2", Level.WARNING, "claude auth status does not tell"),
}


@pytest.mark.parametrize(("script", "level", "words"), ASKED.values(), ids=ASKED)
async def test_a_cli_that_can_say_whether_it_is_signed_in_is_asked(
    programs: Path, script: str, level: Level, words: str
) -> None:
    install(programs, "claude", f'[ "$*" = "auth status" ] || {{ echo 2.1.330; exit; }}\n{script}')
    found = await found_of(programs, "claude-code")
    assert found["claude-code"].level is Level.OK
    assert found["claude-code"].found.startswith("2.1.330, ")
    signed_in = found["claude-code signed in"]
    assert (signed_in.level, bool(signed_in.remedy)) == (level, level is not Level.OK)
    assert signed_in.found.startswith(words)


async def test_one_that_hangs_when_it_is_asked_is_not_waited_for(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "STATUS_SECONDS", 0.5)
    install(programs, "codex", '[ "$1" = login ] || { echo 0.169.0; exit; }\nsleep 600')
    found = await found_of(programs, "codex")
    assert found["codex signed in"].level is Level.WARNING


async def test_a_variable_or_a_file_of_its_own_is_enough_and_then_nobody_is_asked(programs: Path) -> None:
    asked = programs.parent / "asked"
    install(programs, "codex", f'[ "$1" = login ] && touch {asked}\necho 0.169.0')
    install(programs, "gemini", "echo 0.61.0")
    found = await found_of(programs, "codex", "gemini", CODEX_API_KEY="x")
    assert found["codex signed in"].found == "by CODEX_API_KEY"
    assert not asked.exists()
    assert "cannot be told" in found["gemini signed in"].found
    (programs.parent / "home" / ".gemini").mkdir()
    (programs.parent / "home" / ".gemini" / "oauth_creds.json").touch()
    found = await found_of(programs, "codex", "gemini")
    assert found["gemini signed in"].found == "~/.gemini/oauth_creds.json is there"
    assert asked.exists()


async def test_what_is_not_installed_or_older_is_told_with_the_command_that_installs_it(
    programs: Path,
) -> None:
    install(programs, "codex", "echo 0.20.0")
    install(programs, "pi", "echo 1.5.2")
    found = await found_of(programs, "codex", "pi", "claude-code")
    assert found["codex"].level is found["claude-code"].level is Level.WARNING
    assert "older than 0.169.0" in found["codex"].found
    assert found["codex"].remedy == "npm install --global @openai/codex"
    assert found["claude-code"].remedy == "npm install --global @anthropic-ai/claude-code"
    assert found["pi"].level is Level.OK
    assert "newer than 0.87.1" in found["pi"].found


async def test_an_agent_of_the_users_own_is_not_run(programs: Path) -> None:
    install(programs, "mine", f"touch {programs.parent}/was-run")
    custom = {
        name: CustomAgent({Role.IMPLEMENTATION: (program,)})
        for name, program in (("here", "mine"), ("gone", "no-such-program"))
    }
    choice = AgentChoice(implementation=("here", "gone"), review=("here",), custom=custom)
    env = {"PATH": f"{programs}:/usr/bin:/bin"}
    settings = Settings(agents=choice)
    case = Case(env, programs, settings, named_agents(settings, env))
    here, gone = await agents.each(case)
    assert (here.what, here.level, gone.what, gone.level) == ("here", Level.OK, "gone", Level.WARNING)
    assert "no-such-program" in gone.found
    assert not (programs.parent / "was-run").exists()


async def test_what_a_run_that_is_dead_has_left_is_found_by_its_mark(
    tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    for name in (".git", ".kittify/logs/run-of-the-dead"):
        (tmp_path / name).mkdir(parents=True)
    (found,) = await leftovers.processes(Case({}, tmp_path))
    assert found.level is Level.WARNING
    assert f"{stranger.pid} sleep" in found.found
    (tmp_path / ".kittify/logs/run-of-the-dead").rename(tmp_path / ".kittify/logs/run-of-another")
    (found,) = await leftovers.processes(Case({}, tmp_path))
    assert found.level is Level.OK


def test_every_agent_that_we_know_can_be_installed_and_signed_in() -> None:
    assert {*SETTING_UP} == {*all_agent_ids()}
    assert all(each.install and each.sign_in for each in SETTING_UP.values())
