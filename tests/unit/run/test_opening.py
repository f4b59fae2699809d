"""What is checked before a run: where the project is, who holds it, who can work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spec_kitty_orchestrator.agents import get_agent
from spec_kitty_orchestrator.agents.agent import Agent
from spec_kitty_orchestrator.agents.spec import Role
from spec_kitty_orchestrator.errors import NoAgentCanWork, RunLocked, StateFileError, UsageError
from spec_kitty_orchestrator.run.lock import is_locked, run_lock
from spec_kitty_orchestrator.run.opening import check_part, find_repo_root
from spec_kitty_orchestrator.settings.cast import Part, parts
from spec_kitty_orchestrator.settings.values import AgentChoice


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
    check_part(Part(("agents", "review"), Role.REVIEW, chosen), installed(here=Path("/bin/here"), gone=None))


def test_a_role_without_an_agent_that_is_installed_is_refused() -> None:
    agents = installed(here=Path("/bin/here"), gone=None, lost=None)
    with pytest.raises(NoAgentCanWork, match=r"agents\.review: gone, lost: not installed"):
        check_part(Part(("agents", "review"), Role.REVIEW, ("gone", "lost")), agents)


def test_as_many_reviewers_must_be_installed_as_must_approve() -> None:
    """The first approval would be paid for, and no other one could ever come."""
    agents = installed(here=Path("/bin/here"), gone=None)
    choice = AgentChoice(implementation=("here",), review=("here", "gone"), reviews_required=2)
    implementation, review = parts(choice)
    check_part(implementation, agents)
    with pytest.raises(NoAgentCanWork, match=r"agents\.review: gone: not installed .*, and it takes 2"):
        check_part(review, agents)
