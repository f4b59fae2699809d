"""Merges an accepted mission: what would make that fail is found before, and what came of it is looked up.

The host merges lanes into the mission's branch and that into the target in worktrees of its own, then puts
the target where it is checked out, marks the work packages as done, pushes, and at last removes the lanes'
branches and worktrees, with whatever lies uncommitted in those (3.2.7).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import frozen

from ..errors import HostError, WorkspaceError
from ..host.contract.payloads import MergeMission
from ..host.errors import HostRefused, PreflightFailed
from ..host.workspace import Workspace
from ..report.events import Notice
from ..report.run_events import MissionMerged
from ..settings.values import MergeSettings
from .checks import run_commands
from .context import PROGRAM, RunContext
from .evidence import Repository
from .proof import FILES_NAMED

OF_THE_HOST = "kitty-specs/"
"""What the host itself keeps in the primary checkout; it knows best what of that it may overwrite."""


@frozen
class Merged:
    """What came of a merge.

    Attributes:
        into: the target, when it holds the mission now; empty when it does not.
        is_good: nothing about it needs a person.
    """

    into: str
    is_good: bool
    lines: tuple[str, ...]


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
        found.append("no branch is checked out here, and merge.target names none")
    elif not await _is_there(repository, repo_root, target):
        found.append(f"the target branch {target} is neither here nor on origin")
    changed = [path for path in here.changed if not path.startswith(OF_THE_HOST)]
    if changed and target == here.branch:
        found.append(f"{target} is checked out here with changes that nobody has committed: {_some(changed)}")
    if merge.push and not await repository.has_remote(repo_root, "origin"):
        found.append("merge.push: there is no remote `origin` to push to")
    for branch in dict.fromkeys(lanes):
        if left := await repository.uncommitted(repo_root, branch):
            found.append(f"the workspace of {branch}, which the host removes, holds {_some(left)}")
    return found


async def merge_mission(run: RunContext, wp_ids: Iterable[str]) -> Merged:
    """Merges a mission whose work packages are all proven; called once, since the host cannot repeat it.

    Args:
        wp_ids: all of the mission's.

    Raises:
        WorkspaceError: the repository cannot be read.
    """
    merge, root = run.settings.merge, run.repo_root
    records = {wp_id: run.record(wp_id) for wp_id in wp_ids}
    lanes = [*dict.fromkeys(each.branch for each in records.values() if each.branch is not None)]
    approved = {wp_id: each.approved_commit for wp_id, each in records.items()}
    if lanes and not [branch for branch in lanes if await _tip(run, branch) is not None]:
        return await _gone(run, approved)
    if in_the_way := await obstacles(run.repository, root, merge, lanes):
        return _not_merged(run, in_the_way)
    target = merge.target or (await run.repository.look_at(root)).branch
    before = await _tip(run, target)
    try:
        reply = await run.host.merge_mission(merge.target, merge.strategy, merge.push)
    except PreflightFailed as refusal:
        return _not_merged(run, refusal.data.errors)
    except HostRefused as refusal:
        return _not_merged(run, [str(refusal)])
    except HostError as broken:
        return await _look_what_came_of_it(run, target, before, broken)
    return await _prove(run, reply, approved)


async def _gone(run: RunContext, approved: Mapping[str, str | None]) -> Merged:
    """What to say of a mission whose lanes have no branches any more: the host removes them at last."""
    mission, into = run.host.mission, run.merged or run.settings.merge.target
    into = into or (await run.repository.look_at(run.repo_root)).branch
    if run.merged or not await _missing(run, into, approved):
        return Merged(into, True, (f"mission {mission} was merged into {into} before",))
    words = "its lanes have no branches any more, and what was approved is not in the target"
    return Merged("", False, (f"mission {mission} was not merged: {words} {into}; see who removed them",))


async def _prove(run: RunContext, reply: MergeMission, approved: Mapping[str, str | None]) -> Merged:
    """The host's word is looked up where that can be done: a squash or a rebase makes other commits."""
    into, strategy = reply.target_branch, run.settings.merge.strategy
    lines = [f"mission {run.host.mission} merged into {into} ({strategy}), {await _short_tip(run, into)}"]
    pushed = " and pushed" if run.settings.merge.push else ""
    run.events.emit(MissionMerged(into, strategy, await _tip(run, into) or "", run.settings.merge.push))
    missing = await _missing(run, into, approved) if strategy == "merge" else []
    for wp_id in missing:
        lines.append(f"  WARNING: the approved commit of {wp_id} is not in {into}; look at it")
    good, said = await _check(run, into)
    return Merged(into, good and not missing, (lines[0] + pushed, *lines[1:], *said))


async def _look_what_came_of_it(
    run: RunContext, target: str, before: str | None, broken: HostError
) -> Merged:
    """Nobody knows what a merge did whose reply was lost; where the target stands now tells."""
    words = " ".join(str(broken).split())
    if await _tip(run, target) == before:
        return _not_merged(run, [words])
    run.events.emit(MissionMerged(target, run.settings.merge.strategy, await _tip(run, target) or "", False))
    lines = [
        f"mission {run.host.mission} is in {target}, {await _short_tip(run, target)}, but the host broke down"
    ]
    lines.append(f"  {words}")
    if run.settings.merge.push:
        lines.append(f"  whether it was pushed is not known; if not: git push origin {target}")
    lines.append("  what is left of its lanes can be removed: git worktree list, git branch --list 'kitty/*'")
    _, said = await _check(run, target)
    return Merged(target, False, (*lines, *said))


async def _check(run: RunContext, target: str) -> tuple[bool, list[str]]:
    """Runs the project's own checks once on what was merged, where it is checked out.

    Returns:
        whether they are not red, and what to say; nothing is undone.
    """
    if not run.settings.checks:
        return True, []
    here = await run.repository.look_at(run.repo_root)
    if here.branch != target:
        return True, [f"  the checks were not run on it: {target} is not checked out here"]
    git = run.repo_root / ".git"
    place = Workspace(run.repo_root, git, git, target, target, run.repo_root)
    try:
        red = await run_commands(run, "merged", place, "check", run.settings.checks)
    except WorkspaceError as problem:
        return False, [f"  WARNING: the checks could not be run on it: {problem}"]
    if red is None:
        return True, ["  the project's own checks succeed on it"]
    run.events.emit(Notice(red.words))
    return False, [f"  WARNING: on the merged tree `{red.command}` failed ({red.how}); nothing was undone"]


def _not_merged(run: RunContext, why: Iterable[str]) -> Merged:
    mission = run.host.mission
    lines = [f"  {line}" for each in why for line in each.splitlines()]
    again = f"mend that, then: {PROGRAM} orchestrate --mission {mission} --merge"
    return Merged("", False, (f"mission {mission} was not merged:", *lines, again))


async def _missing(run: RunContext, target: str, approved: Mapping[str, str | None]) -> list[str]:
    """Those whose approved commit is not in the target."""
    ref = f"refs/heads/{target}"
    return [
        wp_id
        for wp_id, commit in approved.items()
        if commit is not None and not await run.repository.is_in(run.repo_root, ref, commit)
    ]


async def _is_there(repository: Repository, repo_root: Path, branch: str) -> bool:
    for ref in (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"):
        if await repository.resolve(repo_root, ref) is not None:
            return True
    return False


async def _tip(run: RunContext, branch: str) -> str | None:
    return await run.repository.resolve(run.repo_root, f"refs/heads/{branch}")


async def _short_tip(run: RunContext, branch: str) -> str:
    return (await _tip(run, branch) or "unknown")[:12]


def _some(paths: Iterable[str]) -> str:
    paths = list(paths)
    more = len(paths) - FILES_NAMED
    return ", ".join(paths[:FILES_NAMED]) + (f" and {more} more" if more > 0 else "")
