"""`abort`: stops a live run and records it as aborted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ExitCode
from .orchestrate import repo_root_option
from .output import examples

if TYPE_CHECKING:
    from ..processes.launcher import FarJob
    from ..report.outlet import Voice
    from ..run.lock import Holder
    from ..run.state import RunState, RunStore


@click.command(
    "abort",
    short_help="Stop the live run; record it as aborted.",
    epilog=examples("abort", "abort --cleanup-worktrees"),
)
@click.option(
    "--cleanup-worktrees",
    is_flag=True,
    help="Then delete our state file. The worktrees themselves belong to the host and stay.",
)
@repo_root_option
@click.pass_context
def abort_command(context: click.Context, cleanup_worktrees: bool, repo_root: Path | None) -> None:
    """Stop the live run, wait until everything is gone, and record it as aborted."""
    context.exit(abort(cleanup_worktrees, repo_root))


def abort(cleanup: bool, repo_root: Path | None) -> ExitCode:
    """Runs the command.

    Raises:
        UsageError: there is no run, or its process belongs to another user.
        StateFileError: what is recorded of it cannot be read or written; a live run was stopped all the same.
        RunLocked: it cannot be reached from here, or another run has begun meanwhile.
    """
    import trio

    from ..report.outlet import Voice
    from ..run.lock import run_lock
    from ..run.opening import KITTIFY, find_repo_root
    from ..run.state import RunStore

    root = find_repo_root(repo_root)
    store = RunStore(root / KITTIFY)
    with Voice() as say:
        left, unsettled = trio.run(_end_everything, root, store, say)
        with run_lock(root, store.load(), for_a_run=False):
            state = store.load()
            if state is not None and state.belongs_to(root):
                state.settle_jobs(unsettled)
            say("nothing is recorded of it" if state is None else _record(root, store, state, say))
            if cleanup and unsettled:
                say(f"kept {store.path}: what may still run elsewhere is known by it alone", err=True)
            elif cleanup:
                store.delete()
                say(f"deleted {store.path}; the worktrees belong to the host and stay")
    return ExitCode.ATTENTION if left else ExitCode.ACCEPTED


def _record(root: Path, store: RunStore, state: RunState, say: Voice) -> str:
    """A run that has finished stays so: there was nothing to stop."""
    from ..run.state import RunStatus

    if state.checkout is not None and not state.belongs_to(root):
        say(f"run {state.run_id} ran in {state.checkout.root}: nothing of it was stopped from this copy")
    if state.status is RunStatus.FINISHED:
        store.save(state)  # what is known of its jobs by now
        return f"run {state.run_id} has finished"
    state.status, state.reason = RunStatus.ABORTED, "aborted by a person"
    store.save(state)
    return f"run {state.run_id} is recorded as aborted"


async def _stop(live: Holder, grace: float, say: Voice) -> None:
    from ..run.stopping import stop_live_run

    say(f"stopping {live} ...", err=True)
    by_itself = await stop_live_run(
        live.process, grace, lambda seconds: say(f"  waiting, {seconds:.0f} s", err=True)
    )
    say("it stopped by itself" if by_itself else "it had to be killed", err=True)


def _graces(root: Path) -> tuple[float, float]:
    """What agents have between SIGTERM and SIGKILL, and the longest that one may need; in seconds."""
    from ..errors import OrchestratorError
    from ..run.opening import KITTIFY
    from ..settings.loading import load_settings
    from ..settings.values import Flags

    try:
        settings = load_settings(root / KITTIFY, os.environ, Flags())
    except OrchestratorError:  # a broken configuration must not keep a run from being stopped
        return 10.0, 10.0
    return settings.grace_seconds, settings.longest_grace


async def _end_everything(
    root: Path, store: RunStore, say: Voice
) -> tuple[tuple[str, ...], tuple[FarJob, ...]]:
    """Ends the live run, if there is one, and what one that was killed has left, here and elsewhere.

    Returns what could not be ended, in words, and the jobs among that.
    """
    from ..errors import StateFileError, UsageError
    from ..processes.orphans import still_running, sweep_run
    from ..run.jobs import Settled, end_jobs
    from ..run.stopping import await_live_run

    state, trouble = None, None
    try:
        state = store.load()
    except StateFileError as problem:  # what is recorded must not keep a run from being stopped
        trouble = problem
    live = await await_live_run(root, state)
    if live is None and state is None:
        raise trouble or UsageError(f"{root}: no run to abort")
    grace, longest = _graces(root)
    if live is not None:
        await _stop(live, longest, say)
    runs = {state.run_id} if state is not None and state.belongs_to(root) else set()
    left: list[str] = []
    for run_id in runs | {live.run_id if live is not None else ""} - {""}:
        swept = await sweep_run(run_id, grace)
        for survivor in swept.ended:
            say(f"ended what was left: {survivor}", err=True)
        left += swept.left
    if trouble is not None:
        raise trouble
    state, settled = store.load(), Settled()
    if state is not None and state.belongs_to(root):
        left += state.known_left()
        settled = await end_jobs(state.far_jobs(), os.environ)
    still = still_running(left)
    for survivor in still:
        say(f"WARNING: could NOT be ended: {survivor} (another user's?)", err=True)
    for warning in settled.warnings:
        say(warning, err=True)
    return still + settled.words, settled.unsettled
