"""What would make a merge fail, or lose something, told before it: by reading the repository alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ..host.workspace import LANE_BRANCHES
from ..settings.values import MergeSettings
from .evidence import Repository
from .proof import FILES_NAMED

OF_THE_HOST = re.compile(
    r"[^/]+/[^/]+/(?:[^/]+/)*(?:meta\.json|status\.json|status\.events\.jsonl|decisions\.events\.jsonl"
    r"|acceptance-matrix\.json|issue-matrix\.[^/]*|traces/.*|review-cycle-[^/]*)"
)
"""What the host keeps for itself in a mission's folder, and overwrites in a merge (3.2.7)."""


async def obstacles(
    repository: Repository, repo_root: Path, merge: MergeSettings, lanes: Iterable[str] = ()
) -> list[str]:
    """What would make a merge fail, or lose something, as far as the repository tells; nothing is changed.

    Args:
        lanes: the branches of the mission's lanes, as far as they are known.

    Raises:
        WorkspaceError: the repository cannot be read.
    """
    here, found = await repository.look_at(repo_root), []
    target = merge.target or here.branch
    if not target:
        return ["no branch is checked out here, and merge.target names none"]
    if await repository.resolve(repo_root, f"refs/heads/{target}") is None:
        return [f"there is no branch {target} here to merge into"]
    changed = [path for path in here.changed if not OF_THE_HOST.fullmatch(path)]
    if changed and target == here.branch:
        found.append(f"{target} is checked out here with changes that nobody has committed: {_some(changed)}")
    if await repository.is_locked(repo_root):
        found.append("another git is at work here, or was killed: there is .git/index.lock")
    if merge.push and not await repository.has_remote(repo_root, "origin"):
        found.append("merge.push: there is no remote `origin` to push to")
    for branch in dict.fromkeys(lanes):
        if left := await repository.uncommitted(repo_root, branch):
            found.append(f"the workspace of {branch}, which the host removes, holds {_some(left)}")
        # Where both have changed a file, the host's squash takes the mission's without a word (3.2.7).
        if merge.strategy == "squash" and await repository.resolve(repo_root, f"refs/heads/{branch}"):
            both = await repository.both_changed(repo_root, target, branch)
            slug = branch.removeprefix(LANE_BRANCHES).rpartition("-lane-")[0]
            if both := tuple(path for path in both if f"/{slug}/" not in path):  # planning is the host's own
                found.append(f"a squash would undo what {target} has changed since in {_some(both)}")
    return found


def _some(paths: Iterable[str]) -> str:
    paths = list(paths)
    more = len(paths) - FILES_NAMED
    return ", ".join(paths[:FILES_NAMED]) + (f" and {more} more" if more > 0 else "")
