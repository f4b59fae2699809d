"""`unpause`: has a paused run go on."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import ExitCode
from .orchestrate import repo_root_option
from .output import examples
from .pause import give_to_live_run, no_live_run


@click.command(
    "unpause",
    short_help="Have the paused run go on.",
    epilog=examples("unpause"),
)
@repo_root_option
@click.pass_context
def unpause_command(context: click.Context, repo_root: Path | None) -> None:
    """Have the paused run go on at once.

    When it is not alive, it is recorded that `resume` need not go on paused.
    """
    context.exit(unpause(repo_root))


def unpause(repo_root: Path | None) -> ExitCode:
    """Runs the command.

    Raises:
        UsageError: there is no live run, and none that was paused.
        RunLocked: it cannot be reached from here, or another run has begun meanwhile.
        StateFileError: the state of a run that is not alive cannot be read or written.
    """
    from ..run.lock import run_lock
    from ..run.opening import KITTIFY, find_repo_root
    from ..run.ordering import Order
    from ..run.state import RunStore

    root = find_repo_root(repo_root)
    store = RunStore(root / KITTIFY)
    said = give_to_live_run(Order.UNPAUSE, root, store)
    if said is None:
        with run_lock(root, store.load(), for_a_run=False):
            state = store.load()
            if state is not None and state.paused_since is not None and state.belongs_to(root):
                state.paused_since = None
                store.save(state)
                then = "go on with: spec-kitty-orchestrator resume"
                said = f"run {state.run_id} is not paused any more; {then}"
    if said is None:
        raise no_live_run(Order.UNPAUSE, root, store)
    click.echo(said)
    return ExitCode.ACCEPTED
