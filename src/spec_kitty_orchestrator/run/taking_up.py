"""Which run this is: one that goes on, or a new one; and where another mission's is kept meanwhile."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from attrs import frozen

from ..errors import StateFileError
from ..mission.records import INTERRUPTED
from ..processes.identity import ProcessIdentity
from ..processes.orphans import still_running
from ..report.times import utc_now
from .checkout import Checkout
from .opening import Opened, Request
from .ownership import give_back
from .state import RunState, RunStatus, RunStore

KEPT_NAME = "run-state.json"
"""In a run's own log folder: its state as the run of another mission, or of another actor, found it."""


@frozen
class TakenUp:
    """The state of this run, not stored yet, and what a person should know about how it came to it.

    Attributes:
        superseded: where it was kept until now.
    """

    state: RunState
    notices: tuple[str, ...] = ()
    superseded: Path | None = None

    def is_stored(self) -> None:
        """It is the last run's now: a copy that grows old must not be found when that is thrown away."""
        if self.superseded is not None:
            self.superseded.unlink(missing_ok=True)


@frozen
class Kept:
    """The runs that were kept, those that changed last first, and what of them cannot be read, in words."""

    runs: tuple[RunState, ...]
    unreadable: tuple[str, ...]


def kept_runs(kittify: Path) -> Kept:
    """Every run that is kept below `.kittify`; raises nothing for one that is damaged."""
    runs, unreadable = [], []
    for path in sorted((kittify / "logs").glob(f"*/{KEPT_NAME}")):
        try:
            run = RunStore(path.parent, KEPT_NAME).load()
        except StateFileError as problem:
            unreadable.append(f"what was kept of an earlier run is left out: {problem.message}")
        else:
            runs += [run] if run is not None else []
    return Kept(tuple(sorted(runs, key=lambda run: run.updated_at, reverse=True)), tuple(unreadable))


def find_run(
    store: RunStore, last: RunState | None, fits: Callable[[RunState], bool]
) -> tuple[RunState | None, tuple[str, ...]]:
    """The last run if it fits, else the newest of those kept that does; and what of those cannot be read."""
    if last is not None and fits(last):
        return last, ()
    kept = kept_runs(store.path.parent)
    return next(filter(fits, kept.runs), None), kept.unreadable


def take_up(opened: Opened, store: RunStore, *, resume: bool) -> TakenUp:
    """The state of this run: with `resume` that of its mission's last one, if there is one, else a new one.

    The last run is kept when it is of another mission or actor. Blocks for one fsync then.

    Raises:
        StateFileError: the last run's state cannot be read, or not be kept.
    """
    request, slug, last = opened.request, opened.mission.mission_slug, store.load()
    before, notices = find_run(store, last, lambda run: (run.mission, run.actor) == (slug, request.actor))
    superseded = _kept(store, before).path if before is not None and before is not last else None
    if before is None and resume:  # as somebody else than until now
        before, _ = find_run(store, last, lambda run: run.mission == slug)
    if last is not None and (last.mission, last.actor) != (slug, request.actor):
        _keep(store, last)
        notices += (how_to_come_back(last),) if last.is_unfinished else ()
    if resume and before is not None:
        if before.status is RunStatus.ABORTED:
            notices += (f"run {before.run_id} was aborted by a person; going on with it",)
        state = continue_state(before, request)
    else:
        state = begin_state(request, slug, before)
    if last is not None:  # a limit is an account's, whatever the mission
        state.resting = last.resting
    state.checkout = Checkout.of(request.repo_root)
    return TakenUp(state, notices, superseded)


def begin_state(request: Request, slug: str, before: RunState | None) -> RunState:
    """The state of a new run; what an earlier run of this mission, as this actor, holds stays held.

    So does what must be known of its end: who was at work then, and what could not be ended.
    """
    state = RunState(
        run_id=_new_run_id(),
        mission=slug,
        actor=request.actor,
        started_at=utc_now(),
        process=ProcessIdentity.of(os.getpid()),
        flags=request.flags,
    )
    if before is not None:
        state.jobs = before.far_jobs()
        state.left, state.merge = list(still_running(before.known_left())), before.merge
        state.work_packages = {wp_id: old.for_a_new_run() for wp_id, old in before.work_packages.items()}
    return state


def continue_state(state: RunState, request: Request) -> RunState:
    """The state of a run that goes on: attempts cut short are marked so, and nothing was spent on them.

    What was copied here with its project goes on as a run of its own, since the other one may be alive; so
    does what another actor began, since what that one holds is not ours, and stays known as theirs.
    """
    if state.actor != request.actor or not state.belongs_to(request.repo_root):
        state.run_id = _new_run_id()
    state.process, state.status, state.reason = ProcessIdentity.of(os.getpid()), RunStatus.RUNNING, ""
    state.accepted, state.flags = False, request.flags
    for record in state.work_packages.values():
        if state.actor != request.actor:
            record.holds_claim = record.holds_review = False
        record.forgive()
        for attempt in record.attempts:
            attempt.outcome = attempt.outcome or INTERRUPTED
    state.actor = request.actor
    return state


def _new_run_id() -> str:
    """An id for a run, whose beginning sorts by time."""
    return f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _kept(store: RunStore, run: RunState) -> RunStore:
    return RunStore(store.path.parent / "logs" / run.run_id, KEPT_NAME)


def _keep(store: RunStore, last: RunState) -> None:
    """Puts the last run's state, as it is, where `kept_runs` finds it."""
    kept = _kept(store, last)
    folder = kept.path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise StateFileError(f"cannot make {folder}: {problem.strerror}") from problem
    kept.write(store.path.read_text(encoding="utf-8"))
    give_back(folder, store.path.parent)


def how_to_come_back(run: RunState) -> str:
    """What to say of a run that waits for a person to go on with it."""
    command = f"spec-kitty-orchestrator resume --mission {run.mission} --actor {shlex.quote(run.actor)}"
    return f"run {run.run_id} of mission {run.mission} is not finished; it is kept, go on with: {command}"
