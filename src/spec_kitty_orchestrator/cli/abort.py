"""`abort`: stops a live run and records it as aborted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ExitCode
from .orchestrate import repo_root_option

if TYPE_CHECKING:
    from ..run.state import RunState, RunStore


@click.command("abort", short_help="Stop the live run; record it as aborted.")
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
        RunLocked: a run is just starting.
    """
    import trio

    from ..errors import UsageError
    from ..run.lock import run_lock
    from ..run.opening import KITTIFY, find_repo_root
    from ..run.state import RunStore

    root = find_repo_root(repo_root)
    store = RunStore(root / KITTIFY)
    if store.load() is None:
        raise UsageError(f"{root}: no run to abort")
    left = trio.run(_end_everything, root, store)
    with run_lock(root, store):
        state = store.load()
        if state is not None:
            click.echo(_record(store, state))
        if cleanup:
            store.delete()
            click.echo(f"deleted {store.path}; the worktrees belong to the host and stay")
    return ExitCode.ATTENTION if left else ExitCode.ACCEPTED


def _record(store: RunStore, state: RunState) -> str:
    """A run that has finished stays so: there was nothing to stop, and there is nothing to go on with."""
    from ..run.state import RunStatus

    if state.status is RunStatus.FINISHED:
        return f"run {state.run_id} has finished"
    state.status, state.reason = RunStatus.ABORTED, "aborted by a person"
    store.save(state)
    return f"run {state.run_id} is recorded as aborted"


async def _end_everything(root: Path, store: RunStore) -> tuple[str, ...]:
    """The live run, if there is one; and what a run that was killed may have left.

    Returns what could not be ended.
    """
    from ..errors import OrchestratorError
    from ..processes.orphans import still_running, sweep_run
    from ..run.lock import is_locked
    from ..run.opening import KITTIFY
    from ..run.stopping import stop_live_run
    from ..settings.loading import load_settings
    from ..settings.values import Flags

    state = store.load()
    assert state is not None
    try:
        grace = load_settings(root / KITTIFY, os.environ, Flags()).grace_seconds
    except OrchestratorError:  # a broken configuration must not keep a run from being stopped
        grace = 10.0
    if is_locked(root) and state.process.is_alive():
        click.echo(f"stopping run {state.run_id} (process {state.process.pid}) ...", err=True)
        by_itself = await stop_live_run(
            state.process, grace, lambda seconds: click.echo(f"  waiting, {seconds:.0f} s", err=True)
        )
        click.echo("it stopped by itself" if by_itself else "it had to be killed", err=True)
    swept = await sweep_run(state.run_id, grace)
    for survivor in swept.ended:
        click.echo(f"ended what was left: {survivor}", err=True)
    state = store.load() or state
    attempts = [attempt for record in state.work_packages.values() for attempt in record.attempts]
    left = still_running((*swept.left, *(name for attempt in attempts for name in attempt.left)))
    for survivor in left:
        click.echo(f"WARNING: could NOT be ended: {survivor} (another user's?)", err=True)
    return left
