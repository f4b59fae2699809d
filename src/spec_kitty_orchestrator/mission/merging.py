"""Merges an accepted mission, once, and looks up what came of it.

The host merges lanes into the mission's branch and that into the target in worktrees of its own, then puts
the target where it is checked out, marks the work packages as done, pushes, and at last removes the lanes'
branches and worktrees, with whatever lies uncommitted in those (3.2.7). It can break down, or refuse, in the
middle; and it does not look whether anything was approved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import evolve, frozen

from ..errors import HostError, WorkspaceError
from ..host.errors import HostRefused, PreflightFailed
from ..host.workspace import LANE_BRANCHES, Workspace
from ..processes.attempt_log import LogNotWritten
from ..processes.starting import CommandNotStarted
from ..report.events import Notice
from ..report.run_events import MissionMerged
from .checks import run_commands
from .context import PROGRAM, RunContext
from .obstacles import obstacles
from .records import MergeRecord, WpRecord


@frozen
class Merged:
    """What came of a merge.

    Attributes:
        is_in: the target holds the mission; `was_before`: it did so already.
        is_good: nothing about it needs a person.
    """

    is_in: bool
    is_good: bool
    lines: tuple[str, ...]
    was_before: bool = False


@frozen
class _Merger:
    """One merge of a mission.

    Attributes:
        target: where to; named to the host as well, which may know of another one.
        approved: each work package's approved commit, where one is known.
        lanes: their branches.
    """

    run: RunContext
    target: str
    approved: Mapping[str, str]
    lanes: tuple[str, ...]

    @property
    def commits(self) -> tuple[str, ...]:
        """What is to be in the target."""
        return tuple(sorted(self.approved.values()))

    async def tip(self, branch: str) -> str:
        """A branch's last commit; empty when there is none."""
        return await self.run.repository.resolve(self.run.repo_root, f"refs/heads/{branch}") or ""

    async def beyond_what_was_approved(self) -> list[str]:
        """The lanes whose last commit nobody has approved: the host would merge it all the same."""
        judged = {self.run.record(wp_id).branch for wp_id in self.approved}
        tips = {branch: await self.tip(branch) for branch in self.lanes if branch in judged}
        return [
            f"the last commit of {branch}, {tip[:12]}, is not one that was approved"
            for branch, tip in tips.items()
            if tip and tip not in self.commits
        ]

    async def missing(self, before: str) -> list[str]:
        """The work packages whose approved commit, or what it did, is not in the target.

        A squash and a rebase make other commits of it. Of a rebase it is not known where others have changed
        the same files.

        Args:
            before: the target's tip before it was merged.
        """
        run, ref, repository = self.run, f"refs/heads/{self.target}", self.run.repository
        missing = []
        for wp_id, commit in self.approved.items():
            is_there = await repository.is_in(run.repo_root, ref, commit)
            if not is_there and run.settings.merge.strategy != "merge":
                is_there = await repository.holds_work(run.repo_root, ref, commit, before)
            if not is_there:
                missing.append(wp_id)
        return missing


async def merge_mission(run: RunContext, wp_ids: Iterable[str]) -> Merged:
    """Merges a mission whose work packages are all proven; never a second time, which the host cannot do.

    Args:
        wp_ids: all of the mission's.
    """
    before = run.merge()
    try:
        return await _merge(run, wp_ids)
    except (
        WorkspaceError,
        LogNotWritten,
        CommandNotStarted,
    ) as problem:  # it is accepted all the same
        if run.merge() == before:
            return _not_merged(run, [str(problem)])
        mission = run.host.mission
        said = f"whether mission {mission} is merged and in order is not known: {problem}"
        return Merged(False, False, (said, f"to find out: {_again(mission)}"))


async def _merge(run: RunContext, wp_ids: Iterable[str]) -> Merged:
    merge, records = run.settings.merge, {wp_id: run.record(wp_id) for wp_id in wp_ids}
    approved = {wp_id: each.approved_commit for wp_id, each in records.items() if each.approved_commit}
    try:
        lanes = await _lanes(run, records)
    except HostError as problem:
        return _not_merged(run, [str(problem)])
    here = (await run.repository.look_at(run.repo_root)).branch
    merger = _Merger(run, merge.target or here, approved, lanes)
    if (before := await _was_merged_before(merger)) is not None:
        return before
    in_the_way = await obstacles(run.repository, run.repo_root, merge, lanes)
    if in_the_way := in_the_way or await merger.beyond_what_was_approved():
        return _not_merged(run, in_the_way)
    begun = MergeRecord(merger.target, await merger.tip(merger.target), merger.commits)
    run.note_merge(begun)
    await run.saved()  # a run after this one must know, whatever becomes of us meanwhile
    try:
        await run.host.merge_mission(merger.target, merge.strategy, merge.push)
    except HostError as problem:
        return await _look_what_came_of_it(merger, begun, problem)
    run.note_merge(evolve(begun, is_done=True))
    return await _prove(merger, begun)


async def _lanes(run: RunContext, records: Mapping[str, WpRecord]) -> tuple[str, ...]:
    """The branches of the lanes, of work that others did too: the host removes what lies in those as well."""
    branches = []
    for wp_id, record in records.items():
        branches.append(record.branch or (await run.host.resolve_workspace(wp_id)).lane_branch or "")
    return tuple(branch for branch in dict.fromkeys(branches) if branch.startswith(LANE_BRANCHES))


async def _was_merged_before(merger: _Merger) -> Merged | None:
    """By a run of ours that noted it, or, where the same commits are to be found, by whomever."""
    run, noted = merger.run, merger.run.merge()
    mission = run.host.mission
    if noted is not None and (noted.commits, noted.target) == (merger.commits, merger.target):
        if noted.is_done:
            return _before(run, merger.target)
        if await merger.tip(merger.target) != noted.before:  # killed while the host was at it, maybe
            if not await merger.missing(noted.before):
                said = f"mission {mission} was merged into {merger.target} by a run that was cut off then"
                return await _all_the_same(merger, noted, [said], is_good=not run.settings.merge.push)
            if run.settings.merge.strategy == "rebase":
                words = (
                    f"a merge of mission {mission} was begun, its end was not seen, and {merger.target} moved"
                )
                how = f"look whether it is in there; if not: {_by_hand(mission, merger.target)}"
                return Merged(False, False, (f"{words} from {noted.before[:12]}; {how}",))
    if merger.lanes and not [branch for branch in merger.lanes if await merger.tip(branch)]:
        if merger.approved and not await merger.missing(await merger.tip(merger.target)):
            return _before(run, merger.target)
        words = f"its lanes have no branches any more, and what was approved is not in {merger.target}"
        return Merged(False, False, (f"mission {mission} was not merged: {words}; see who removed them",))
    return None


def _before(run: RunContext, target: str) -> Merged:
    said = f"mission {run.host.mission} was merged into {target} before"
    return Merged(True, True, (said,), was_before=True)


async def _prove(merger: _Merger, begun: MergeRecord) -> Merged:
    """The host's word is looked up, as far as that can be done."""
    run, into, merge = merger.run, merger.target, merger.run.settings.merge
    tip = await merger.tip(into)
    pushed = " and pushed" if merge.push else ""
    lines = [f"mission {run.host.mission} merged into {into} ({merge.strategy}), {tip[:12]}{pushed}"]
    run.events.emit(MissionMerged(into, merge.strategy, tip, merge.push))
    missing = [] if merge.strategy == "rebase" else await merger.missing(begun.before)
    lines += [f"  WARNING: what was approved of {wp_id} is not in {into}; look at it" for wp_id in missing]
    good, said = await _check(run, into)
    return Merged(True, good and not missing, (*lines, *said))


async def _look_what_came_of_it(merger: _Merger, begun: MergeRecord, problem: HostError) -> Merged:
    """Refused or broken down: also after the target was moved. Where that stands now tells."""
    run, target = merger.run, merger.target
    errors = problem.data.errors if isinstance(problem, PreflightFailed) else [str(problem)]
    tip = await merger.tip(target)
    if tip in ("", begun.before):
        return _not_merged(run, errors)
    how = "refused" if isinstance(problem, HostRefused) else "broke down"
    said = [f"mission {run.host.mission} is in {target}, {tip[:12]}, but the host {how} after that:"]
    said += [f"  {line}" for each in errors for line in each.splitlines()]
    said.append("  what is left of its lanes can be removed: git worktree list, git branch --list 'kitty/*'")
    return await _all_the_same(merger, begun, said, is_good=False)


async def _all_the_same(merger: _Merger, begun: MergeRecord, said: list[str], *, is_good: bool) -> Merged:
    """The end of a merge that came about, though nobody saw the host finish it."""
    run, target = merger.run, merger.target
    run.note_merge(evolve(begun, is_done=True))
    run.events.emit(MissionMerged(target, run.settings.merge.strategy, await merger.tip(target), False))
    said = [*said, f"  see that the checkout is at {target}'s tip: git status"]
    if run.settings.merge.push:
        said.append(f"  whether it was pushed is not known; if not: git push origin {target}")
    is_green, checked = await _check(run, target)
    return Merged(True, is_good and is_green, (*said, *checked))


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
    return Merged(
        False, False, (f"mission {mission} was not merged:", *lines, f"mend that, then: {_again(mission)}")
    )


def _again(mission: str) -> str:
    return f"{PROGRAM} orchestrate --mission {mission} --merge"


def _by_hand(mission: str, target: str) -> str:
    return f"spec-kitty orchestrator-api merge-mission --mission {mission} --target {target}"
