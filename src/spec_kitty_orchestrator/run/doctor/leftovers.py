"""What earlier runs, and programs that were killed, have left: processes, worktrees, git's lock."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from pathlib import Path

from ...errors import OrchestratorError
from ...host.workspace import WORKTREES
from ...processes.orphans import marked_by_runs
from ..lock import is_locked
from ..opening import KITTIFY
from ..state import RunStore
from ..taking_up import kept_runs
from .findings import Case, Finding, Found, error, warning

GIT_IS_BUSY_SECONDS = 60.0
"""What holds git's lock for longer was killed, or an editor that waits for somebody."""
MOST_NAMED = 5


async def processes(case: Case) -> Found:
    """Keepers, agents and what they started, of runs of this project that are dead."""
    if case.root is None:
        return []
    live = is_locked(case.root)
    left = []
    for run_id, names in marked_by_runs().items():
        if run_id in _run_ids(case.root) and not (live and run_id == _last_run(case.root)):
            left += names
    if not left:
        return [Finding("processes", "nothing is left of earlier runs")]
    more = f" and {len(left) - MOST_NAMED} more" if len(left) > MOST_NAMED else ""
    found = f"left of a run that is dead: {', '.join(left[:MOST_NAMED])}{more}"
    return [warning("processes", found, "spec-kitty-orchestrator abort")]


def _last_run(root: Path) -> str:
    try:
        state = RunStore(root / KITTIFY).load()
    except OrchestratorError:  # which `last run` tells
        return ""
    return "" if state is None else state.run_id


def _run_ids(root: Path) -> set[str]:
    """Of every run that has ever been recorded here."""
    folders = {path.name for path in (root / KITTIFY / "logs").glob("*") if path.is_dir()}
    return {_last_run(root), *folders, *(run.run_id for run in kept_runs(root / KITTIFY).runs)} - {""}


async def worktrees(case: Case) -> Found:
    """Folders where the host makes worktrees that are none, and worktrees that are gone."""
    if case.root is None:
        return []
    found = [*_no_worktrees(case.root), *_gone(case.root)]
    return found or [Finding("worktrees", f"those in {WORKTREES} are worktrees of this repository")]


def _no_worktrees(root: Path) -> Iterator[Finding]:
    for folder in sorted((root / WORKTREES).glob("*")):
        if folder.is_dir() and (why := _flaw(root, folder)):
            what = f"{WORKTREES}/{folder.name} {why}"
            found = f"{what}: the host takes it for a worktree, and an agent would commit elsewhere"
            away = root.parent / f"{folder.name}.moved"
            remedy = f"mv {shlex.quote(str(folder))} {shlex.quote(str(away))}; git worktree prune"
            yield error("worktrees", found, remedy)


def _flaw(root: Path, folder: Path) -> str:
    pointer = folder / ".git"
    if not pointer.is_file():
        return "is a plain folder" if not pointer.exists() else "is a repository of its own"
    try:
        named = pointer.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
    except (OSError, UnicodeDecodeError):
        return "has a .git file that cannot be read"
    git_dir = (folder / named).resolve()
    if not git_dir.is_dir():
        return "is broken: its git folder is gone"
    return (
        "" if git_dir.parent == (root / ".git" / "worktrees").resolve() else "belongs to another repository"
    )


def _gone(root: Path) -> Iterator[Finding]:
    """git itself removes what it knows of these, sooner or later; until then their branches count as out."""
    for git_dir in sorted((root / ".git" / "worktrees").glob("*")):
        try:
            there = Path((git_dir / "gitdir").read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError):
            continue
        if not (git_dir / there).exists() and not (git_dir / "locked").exists():
            yield warning("worktrees", f"{(git_dir / there).parent} is gone", "git worktree prune")


async def index_lock(case: Case) -> Found:
    """git's lock on the checkout's index, or a worktree's, and since when it is there."""
    if case.root is None:
        return []
    git = case.root / ".git"
    locks = [git / "index.lock", *sorted((git / "worktrees").glob("*/index.lock"))]
    return [found for lock in locks if (found := _lock(lock)) is not None] or [
        Finding("index.lock", "no git is at work")
    ]


def _lock(path: Path) -> Finding | None:
    try:
        age = max(0.0, time.time() - path.stat().st_mtime)
    except FileNotFoundError:
        return None
    found = f"{path} is there since {_since(age)}: the host breaks down as long as it is"
    if age < GIT_IS_BUSY_SECONDS:
        return warning("index.lock", found, "wait until the git that holds it is done")
    remedy = f"when no git and no editor of git's is at work: rm {shlex.quote(str(path))}"
    return error("index.lock", found, remedy)


def _since(seconds: float) -> str:
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
