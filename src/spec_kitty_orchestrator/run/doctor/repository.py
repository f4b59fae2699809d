"""The project: its checkout and branch, its settings, and whether we can write where we have to."""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import ConfigError, OrchestratorError
from ...mission.evidence import GitRepository
from ...settings.loading import FILE_NAME, load_settings
from ...settings.reading import NotPlain, read_yaml
from ...settings.values import Flags
from ..opening import KITTIFY, find_repo_root
from ..state import RunStore
from .findings import Case, Finding, Found, error, problem, warning

ALWAYS_PROTECTED = ("main", "master")
HATCH = "SPEC_KITTY_ALLOW_PROTECTED_BRANCH_COMMITS"
"""The host's own (3.2.7): no branch is protected where it is set."""
HIDES_GLOBAL_CONFIG = "gemini"
OURS = ("", "logs", "logs/orchestrator.lock", "orchestrator-run-state.json")
"""Below `.kittify`, what a run writes to."""


async def project(case: Case) -> Found:
    """Whether there is one, and it is a primary checkout."""
    if case.root is not None:
        return [Finding("project", f"{case.root}, the primary checkout")]
    return []


async def branch(case: Case) -> Found:
    """Whether the host will commit on the branch that is checked out; and who commits, for one agent."""
    if case.root is None:
        return []
    try:
        about = await GitRepository().about(case.root)
    except OrchestratorError as unreadable:
        return [problem("branch", unreadable)]
    found = [_branch(case, about.branch, about.main_branch)]
    if any(agent.spec.agent_id == HIDES_GLOBAL_CONFIG for agent in case.agents.values()):
        found.append(_committer(about.names_committer))
    return found


def _branch(case: Case, checked_out: str, main_branch: str) -> Finding:
    assert case.root is not None
    if not checked_out:
        found = "none is checked out (detached HEAD): the host breaks down on every call"
        return error("branch", found, "git switch BRANCH, the one that the mission was planned on")
    protected = protected_branches(case.root, main_branch)
    if checked_out not in protected or case.environ.get(HATCH, "").lower() in ("1", "true", "yes"):
        return Finding("branch", checked_out)
    found = f"{checked_out} is protected: the host plans no mission on it, and runs none of another branch"
    return warning("branch", found, "git switch BRANCH, the one that the mission was planned on")


def protected_branches(root: Path, main_branch: str) -> tuple[str, ...]:
    """As the host has it (3.2.7): what its config lists, else the usual ones and the remote's main branch."""
    try:
        config = read_yaml((root / KITTIFY / "config.yaml").read_text(encoding="utf-8")).plain
    except (OSError, UnicodeDecodeError, NotPlain):  # what is wrong with it the host will say
        config = None
    protection = config.get("protection") if isinstance(config, dict) else None
    listed = protection.get("protected_branches") if isinstance(protection, dict) else None
    if isinstance(listed, list):
        return tuple(map(str, listed))
    return (*ALWAYS_PROTECTED, main_branch)


def _committer(is_named: bool) -> Finding:
    what = f"committer for {HIDES_GLOBAL_CONFIG}"
    if is_named:
        return Finding(what, "the repository's own config names one")
    found = "its shell hides the global git settings, and the repository has no user.name and user.email"
    remedy = 'git config user.name "YOUR NAME"; git config user.email YOU@EXAMPLE.COM'
    return warning(what, found, remedy)


async def settings(case: Case) -> Found:
    """Whether they can be read, and what they say is possible."""
    if case.root is None:
        return []
    try:
        load_settings(case.root / KITTIFY, case.environ, Flags())
    except ConfigError as found:
        return [problem("settings", found)]
    file = f"{KITTIFY}/{FILE_NAME}"
    there = "" if (case.root / file).exists() else " is not there, so that the defaults hold"
    return [Finding("settings", f"{file}{there}; SK_ORCH_* and flags outrank it")]


async def writable(case: Case) -> Found:
    """Whether our files can be written; nothing is."""
    if case.root is None:
        return []
    kittify = case.root / KITTIFY
    for name in OURS:
        path = kittify / name
        if path.exists() and not os.access(path, os.W_OK | (os.X_OK if path.is_dir() else 0)):
            return [error("our files", f"{path} may not be written", f"sudo chown -R $(id -un) {kittify}")]
    if os.statvfs(kittify).f_flag & os.ST_RDONLY:
        return [error("our files", f"{kittify} is on a file system that is read-only", "mount it writable")]
    return [Finding("our files", f"{KITTIFY} can be written")]


async def last_run(case: Case) -> Found:
    """What is recorded of the last run, if that can be read."""
    from ..lock import is_locked

    if case.root is None:
        return []
    try:
        state = RunStore(case.root / KITTIFY).load()
    except OrchestratorError as found:
        return [problem("last run", found)]
    if state is None:
        return [Finding("last run", "none")]
    return [Finding("last run", f"{state.run_id}, {'alive' if is_locked(case.root) else state.status.value}")]


def the_project(given: Path | None) -> tuple[Path | None, Found]:
    """The folder of the project, or why there is none."""
    try:
        return find_repo_root(given), ()
    except OrchestratorError as found:
        return None, (problem("project", found),)
