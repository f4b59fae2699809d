"""`pause`: has a live run begin nothing new until it is told to go on; and how any order is given to one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ExitCode
from .orchestrate import repo_root_option
from .output import examples

if TYPE_CHECKING:
    from ..errors import UsageError
    from ..run.ordering import Order
    from ..run.state import RunStore
    from ..settings.values import Asked


@click.command(
    "pause",
    short_help="Have the live run begin nothing new.",
    epilog=examples("pause"),
)
@repo_root_option
@click.pass_context
def pause_command(context: click.Context, repo_root: Path | None) -> None:
    """Have the live run begin nothing new until `unpause`.

    Agents at work finish, and what they did is handed over. A paused run stays so over a stop and `resume`.
    """
    from ..run.ordering import Order

    context.exit(give(Order.PAUSE, repo_root))


def give(order: Order, repo_root: Path | None, asked: Asked | None = None) -> ExitCode:
    """Gives an order to the live run, and says what that answered.

    Raises:
        UsageError: there is none, it does not answer, or it cannot do it.
        RunLocked: it cannot be reached from here.
    """
    from ..run.opening import KITTIFY, find_repo_root
    from ..run.state import RunStore

    root = find_repo_root(repo_root)
    store = RunStore(root / KITTIFY)
    said = give_to_live_run(order, root, store, asked)
    if said is None:
        raise no_live_run(order, root, store)
    click.echo(said)
    return ExitCode.ACCEPTED


def give_to_live_run(order: Order, root: Path, store: RunStore, asked: Asked | None = None) -> str | None:
    """What the live run answered, once it has taken the order; None when there is no live run.

    Raises as `give` does.
    """
    import trio

    from ..errors import StateFileError, UsageError
    from ..run.ordering import Ordered, give_order
    from ..run.stopping import await_live_run
    from ..settings.values import Asked

    try:
        state = store.load()
    except StateFileError:  # who is alive says its lock
        state = None
    live = trio.run(await_live_run, root, state)
    if live is None:
        return None
    answer = trio.run(give_order, root, live, Ordered(order, live.process, asked or Asked()))
    if not answer.taken:
        raise UsageError(answer.line)
    return answer.line


def no_live_run(order: Order, root: Path, store: RunStore) -> UsageError:
    """What to say where there is nobody to order. Raises StateFileError when the last run is not known."""
    from ..errors import UsageError

    state = store.load()
    remedy = "start one: spec-kitty-orchestrator orchestrate --mission ..."
    if state is not None and state.is_resumable:
        paused = ", which is paused still" if state.paused_since is not None else ""
        remedy = f"go on with run {state.run_id}{paused}: spec-kitty-orchestrator resume"
    return UsageError(f"{root}: no live run to {order.value}", remedy=remedy)
