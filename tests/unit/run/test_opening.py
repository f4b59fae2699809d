"""What is checked before a run: where the project is, who holds it, which state a run begins with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from attrs import evolve

from spec_kitty_orchestrator.agents import get_agent
from spec_kitty_orchestrator.agents.agent import Agent
from spec_kitty_orchestrator.agents.spec import FailureKind, Role
from spec_kitty_orchestrator.errors import NoAgentCanWork, RunLocked, StateFileError, UsageError
from spec_kitty_orchestrator.mission.rules import Rest
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.run.lock import is_locked, run_lock
from spec_kitty_orchestrator.run.opening import Request, check_role, find_repo_root
from spec_kitty_orchestrator.run.state import RunState, RunStatus, begin_state, continue_state
from spec_kitty_orchestrator.settings.values import Flags


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".kittify").mkdir()
    return tmp_path


def test_the_project_is_found_from_any_folder_below_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = project / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert find_repo_root(None) == project.resolve()
    assert find_repo_root(project) == project.resolve()


def test_a_folder_that_is_given_is_not_looked_above(project: Path) -> None:
    (project / "a").mkdir()
    with pytest.raises(UsageError, match="no spec-kitty project here"):
        find_repo_root(project / "a")


def test_a_project_without_git_is_refused(project: Path) -> None:
    (project / ".git").rmdir()
    with pytest.raises(UsageError, match="is not a git repository"):
        find_repo_root(project)


def test_a_workspace_is_not_taken_for_the_project(project: Path) -> None:
    (project / ".git").rmdir()
    (project / ".git").write_text("gitdir: /elsewhere/.git/worktrees/x\n")
    with pytest.raises(UsageError, match="is a linked worktree"):
        find_repo_root(project)


def test_one_run_at_a_time_holds_a_repository(project: Path) -> None:
    assert not is_locked(project)
    with run_lock(project, None):
        assert is_locked(project)
        with pytest.raises(RunLocked, match="a run that is just starting"), run_lock(project, None):
            pass
    assert not is_locked(project)


def test_the_holder_is_named(project: Path) -> None:
    with run_lock(project, None) as lock:
        lock.name_run("run-1")
        with (
            pytest.raises(RunLocked, match=rf"run run-1 \(process {os.getpid()}\)"),
            run_lock(project, None),
        ):
            pass


def test_a_folder_of_ours_that_cannot_be_written_is_told(project: Path) -> None:
    (project / ".kittify" / "logs").write_text("a file stands where the folder should be")
    with (
        pytest.raises(StateFileError, match="cannot write"),
        run_lock(project, None),
    ):
        pass


def installed(**programs: Path | None) -> dict[str, Agent]:
    return {agent_id: Agent(get_agent("codex"), program) for agent_id, program in programs.items()}


@pytest.mark.parametrize("chosen", [("here", "gone"), ("gone", "here"), ("here",)])
def test_one_agent_that_is_installed_is_enough_for_a_role(chosen: tuple[str, ...]) -> None:
    check_role(Role.REVIEW, chosen, installed(here=Path("/bin/here"), gone=None))


def test_a_role_without_an_agent_that_is_installed_is_refused() -> None:
    agents = installed(here=Path("/bin/here"), gone=None, lost=None)
    with pytest.raises(NoAgentCanWork, match=r"agents\.review: gone, lost: not installed"):
        check_role(Role.REVIEW, ("gone", "lost"), agents)


def a_run(mission: str, actor: str = "me", status: RunStatus = RunStatus.FINISHED) -> RunState:
    now = "2026-01-01T00:00:00.000+00:00"
    state = RunState("run-1", mission, actor, now, ProcessIdentity.of(os.getpid()), status=status)
    state.record("WP01").holds_claim = True
    return state


def a_request(actor: str = "me") -> Request:
    return Request("m", actor, Path("/repo"), Flags(max_concurrent=3))


def test_a_new_run_keeps_what_an_earlier_one_of_the_mission_holds() -> None:
    state = begin_state(a_request(), "m", a_run("m"))
    assert state.run_id != "run-1"
    assert state.record("WP01").holds_claim
    assert state.flags == Flags(max_concurrent=3)


@pytest.mark.parametrize("before", [a_run("other"), a_run("m", "somebody"), None])
def test_what_another_mission_or_actor_holds_is_not_ours(before: RunState | None) -> None:
    assert begin_state(a_request(), "m", before).work_packages == {}


@pytest.mark.parametrize("before", [a_run("m"), a_run("other"), a_run("m", "somebody")])
def test_an_agent_at_its_limit_rests_on_whatever_the_mission(before: RunState) -> None:
    before.resting["pi"] = Rest(1795000000.5, FailureKind.RATE_LIMIT, 2)
    assert begin_state(a_request(), "m", before).resting == before.resting
    assert "pi" in continue_state(before, "me").resting


@pytest.mark.parametrize("status", [RunStatus.RUNNING, RunStatus.INTERRUPTED, RunStatus.STOPPED])
def test_an_unfinished_run_of_another_mission_is_never_forgotten(status: RunStatus) -> None:
    with pytest.raises(UsageError, match="run run-1 of mission other is not finished") as caught:
        begin_state(a_request(), "m", a_run("other", status=status))
    assert "resume" in caught.value.remedy
    assert "abort" in caught.value.remedy


def test_a_run_that_was_given_up_makes_way() -> None:
    begin_state(a_request(), "m", a_run("other", status=RunStatus.ABORTED))


def test_going_on_marks_what_was_cut_short() -> None:
    from spec_kitty_orchestrator.mission.records import AttemptRecord

    before = a_run("m", status=RunStatus.RUNNING)
    before.process = evolve(before.process, pid=1)
    before.record("WP01").attempts.append(AttemptRecord(Role.REVIEW, "pi", 1, "x.log", "2026"))
    state = continue_state(before, "me")
    assert state.run_id == "run-1"
    assert state.process.pid == os.getpid()
    assert state.record("WP01").attempts[0].outcome == "interrupted"
    assert state.record("WP01").holds_claim


def test_going_on_as_another_actor_holds_nothing() -> None:
    record = continue_state(a_run("m"), "somebody").record("WP01")
    assert not record.holds_claim
    assert not record.holds_review
