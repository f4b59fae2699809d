"""The end of a mission: accepted on proof, or left with what a person must know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import trio
from attrs import evolve, frozen

from ..errors import ExitCode, HostError
from ..host.contract.lanes import Lane
from ..host.contract.payloads import AcceptMission
from ..host.errors import AcceptanceImpossible, HostRefused, MissionNotReady
from ..report.events import Notice
from .context import PROGRAM, RunContext
from .merging import merge_mission
from .outcome import Ended, Outcome
from .patience import FIRST_PAUSE_SECONDS, HOST, Patience
from .records import WpRecord

GRAVEST_FIRST = (
    (Ended.INTERNAL, ExitCode.INTERNAL),
    (Ended.BUDGET, ExitCode.NO_AGENT),  # graver than what it kept from being tried again
    (Ended.BROKEN, ExitCode.HOST),
    (Ended.NO_AGENT, ExitCode.NO_AGENT),
)


@frozen
class MissionEnd:
    """How a run ended: the program's exit code, and what a person must know, one line each.

    Attributes:
        is_accepted: the host has accepted the mission, whatever became of merging it.
    """

    exit_code: ExitCode
    lines: tuple[str, ...]
    is_accepted: bool = False

    def with_left(self, left: tuple[str, ...]) -> MissionEnd:
        """The same end with processes that still run and cannot be ended: that needs attention."""
        if not left:
            return self
        code = self.exit_code or ExitCode.ATTENTION
        line = f"still running, and not to be ended by us: {', '.join(left)}; see whose they are, end them"
        return evolve(self, exit_code=code, lines=(*self.lines, line))


async def accept(run: RunContext, lanes: Mapping[str, Lane], unproven: Mapping[str, str]) -> MissionEnd:
    """Accepts a mission whose work packages are all approved or done, unless there is no proof for some.

    Then it is merged, if that is asked for; also where the host can accept it only after that.

    Args:
        unproven: those that somebody else moved there while an agent of ours was at work, and how.

    Raises:
        HostError: the host gave no answer that can be trusted.
    """
    mission = run.host.mission
    if missing := {**unproven, **await _lost_commits(run, lanes)}:
        lines = [f"  {wp_id} {lanes[wp_id].value}: {why}" for wp_id, why in missing.items()]
        command = f"spec-kitty orchestrator-api accept-mission --mission {mission} --actor YOUR-NAME"
        how = f"look at them; if all is well, accept it yourself with: {command}"
        return _attention(f"mission {mission} was not accepted:", *lines, how)
    try:
        accepted = await _accepted(run)
    except MissionNotReady as refusal:
        return _attention(
            f"mission {mission} was not accepted, open: {', '.join(refusal.data.incomplete_wps)}"
        )
    except HostRefused as refusal:
        return _attention(f"mission {mission} was not accepted: {refusal}")
    except AcceptanceImpossible as crash:
        return await _merged_first(run, lanes, crash)
    said = f"mission {mission} accepted: {len(accepted.accepted_wps)} work packages"
    judged = _judged(run, lanes)
    if not run.settings.merge.when_accepted:
        return MissionEnd(ExitCode.ACCEPTED, (f"{said}; {_merge(mission)}", *judged), is_accepted=True)
    merged = await merge_mission(run, lanes)
    lines = [said, *judged, *merged.lines]
    if merged.is_in and not merged.was_before:
        # What the host wrote down of it lay in the checkout, and its merge puts that back (3.2.7).
        try:
            await _accepted(run)
        except HostError as problem:
            lines.append(f"  the host did not accept it once more after the merge: {problem}")
    code = ExitCode.ACCEPTED if merged.is_good else ExitCode.ATTENTION
    return MissionEnd(code, tuple(lines), is_accepted=True)


async def _merged_first(
    run: RunContext, lanes: Mapping[str, Lane], crash: AcceptanceImpossible
) -> MissionEnd:
    """The end of a mission of which the host can record the acceptance only once it is merged."""
    mission, judged = run.host.mission, _judged(run, lanes)
    said = f"mission {mission}: all {len(lanes)} work packages are done, but the host cannot accept it"
    after = f"once it is merged, the host can accept it: {PROGRAM} orchestrate --mission {mission}"
    if not run.settings.merge.when_accepted:
        return _attention(f"{said}; {_merge(mission)}", f"  {crash.message}", *judged, after)
    merged = await merge_mission(run, lanes)
    if not merged.is_in:
        return _attention(f"{said}:", f"  {crash.message}", *judged, *merged.lines)
    try:
        accepted = await _accepted(run)
    except HostError as problem:
        words = f"  the host did not accept it after that either: {problem}"
        return _attention(f"{said}:", *judged, *merged.lines, words)
    said = f"mission {mission} accepted, once it was merged: {len(accepted.accepted_wps)} work packages"
    code = ExitCode.ACCEPTED if merged.is_good else ExitCode.ATTENTION
    return MissionEnd(code, (said, *judged, *merged.lines), is_accepted=True)


async def _accepted(run: RunContext) -> AcceptMission:
    """Asks for acceptance, and again for a while where that breaks down or another rule stands in the way."""
    patience = Patience(trio.current_time, run.settings.patience_seconds)
    while True:
        try:
            return await run.host.accept_mission()
        except (MissionNotReady, AcceptanceImpossible):
            raise
        except HostError as problem:
            pause = patience.put_off(HOST)
            if patience.is_over:
                raise
            if pause <= FIRST_PAUSE_SECONDS:
                run.events.emit(Notice(f"the mission could not be accepted yet: {problem}"))
        await trio.sleep(pause)


def unfinished(
    run: RunContext, outcomes: Mapping[str, Outcome], left: Sequence[str], done: Sequence[str] = ()
) -> MissionEnd:
    """What is left, a line for each; the gravest of the reasons gives the exit code.

    Args:
        done: the work packages that were asked for, when it was for those alone and all of them are through.
    """
    endings, mission = {outcome.ended for outcome in outcomes.values()}, run.host.mission
    code = next((code for ended, code in GRAVEST_FIRST if ended in endings), ExitCode.ATTENTION)
    if code is ExitCode.NO_AGENT and Ended.BUDGET in endings and run.budget.is_ended_by_a_person:
        code = ExitCode.TERMINATED
    if done:
        rest = f"for the rest: {PROGRAM} orchestrate --mission {mission}"
        return MissionEnd(code, (f"what was asked for is done: {', '.join(done)}; {rest}", *left))
    lines = (f"mission {mission} is not finished:", *left)
    if Ended.BUDGET in endings or (run.budget.is_spent and run.settings.wait_for_people):
        lines += (f"{run.budget.words}; go on with: {PROGRAM} {run.budget.how_to_go_on}",)
    return MissionEnd(code, lines)


def _attention(*lines: str) -> MissionEnd:
    return MissionEnd(ExitCode.ATTENTION, lines)


def _merge(mission: str) -> str:
    return f"merge it with: spec-kitty orchestrator-api merge-mission --mission {mission}"


def _judged(run: RunContext, lanes: Mapping[str, Lane]) -> list[str]:
    records = {wp_id: run.record(wp_id) for wp_id in lanes}
    return [
        f"  {wp_id} {record.approved_commit[:12]} on {record.branch}{_reviewers(run, record)}"
        for wp_id, record in records.items()
        if record.approved_commit
    ]


def _reviewers(run: RunContext, record: WpRecord) -> str:
    by = [each.agent for each in record.approvals]
    several = f", approved by {' and '.join(by)}" if len(by) > 1 else ""
    is_own = any(run.agents.are_same(agent, record.implementer) for agent in (*by, record.approved_by))
    return several + (f", reviewed by its own implementer, {record.implementer}" if is_own else "")


async def _lost_commits(run: RunContext, lanes: Mapping[str, Lane]) -> dict[str, str]:
    """Those whose approved commit is neither in their lane's branch nor, merged already, in HEAD."""
    lost = {}
    for wp_id in lanes:
        record = run.record(wp_id)
        if record.approved_commit is None or record.branch is None:
            continue
        for ref in (f"refs/heads/{record.branch}", "HEAD"):
            if await run.repository.is_in(run.repo_root, ref, record.approved_commit):
                break
        else:
            if not await _was_merged(run, record.approved_commit):
                lost[wp_id] = f"its approved commit {record.approved_commit} is not in {record.branch}"
    return lost


async def _was_merged(run: RunContext, commit: str) -> bool:
    """By a run of ours, as another commit; of one that was cut off meanwhile the target tells."""
    merge = run.merge()
    if merge is None or commit not in merge.commits:
        return False
    ref = f"refs/heads/{merge.target}"
    return merge.is_done or await run.repository.holds_work(run.repo_root, ref, commit, merge.before)
