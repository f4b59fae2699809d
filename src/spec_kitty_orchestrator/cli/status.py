"""`status`: shows the last run, from our own file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ExitCode
from .orchestrate import repo_root_option
from .resume import run_to_go_on_with

COMMIT_SHOWN = 12  # of its digits; the state file has them all

if TYPE_CHECKING:
    from ..run.state import RunState


@click.command("status", short_help="Show the last run.")
@click.option("--mission", help="Show the last run of this mission.  [default: the last run]")
@repo_root_option
@click.pass_context
def status_command(context: click.Context, mission: str | None, repo_root: Path | None) -> None:
    """Show the last run: is it alive, and per work package the agents, retries, last error and logs.

    Reads our own file only; where a work package stands is the host's to say (mission-state).
    """
    context.exit(status(repo_root, mission))


def status(repo_root: Path | None, mission: str | None = None) -> ExitCode:
    """Runs the command.

    Raises:
        UsageError: no project, no run of that mission, or a damaged state file.
    """
    from ..errors import StateFileError
    from ..run.opening import KITTIFY, find_repo_root
    from ..run.state import RunStore
    from ..run.taking_up import kept_runs

    root = find_repo_root(repo_root)
    store = RunStore(root / KITTIFY)
    try:
        state = store.load()
    except StateFileError as problem:
        if mission is None:
            raise
        click.echo(f"the last run is left out: {problem.message}", err=True)
        state = None
    if mission is not None:
        state = run_to_go_on_with(store, state, mission, None)
    if state is None:
        click.echo(f"No run in {root} yet.")
    else:
        for line in head_lines(state, root):
            click.echo(line)
        _print_table(state)
        for line in state.totals.lines():
            click.echo(line)
    for line in _of_others(kept_runs(root / KITTIFY).runs, state):
        click.echo(line)
    return ExitCode.ACCEPTED


def _of_others(kept: Iterable[RunState], shown: RunState | None) -> Iterator[str]:
    """A line for the newest run of each other mission or actor that is not finished."""
    from ..run.taking_up import how_to_come_back

    told = {(shown.mission, shown.actor)} if shown is not None else set()
    for run in kept:
        if (run.mission, run.actor) not in told and run.is_unfinished:
            yield how_to_come_back(run)
        told.add((run.mission, run.actor))


def head_lines(state: RunState, root: Path) -> list[str]:
    """The run itself, one fact a line."""
    lines = [
        f"run {state.run_id}: {_how_it_stands(state, root)}",
        f"mission {state.mission}, actor {state.actor}",
        f"started {state.started_at}, last change {state.updated_at}",
    ]
    logs = f"logs in .kittify/logs/{state.run_id}/"
    return [*lines, logs, *state.reason.splitlines()]


def _how_it_stands(state: RunState, root: Path) -> str:
    from ..run.lock import is_locked
    from ..run.state import RunStatus

    if state.checkout is not None and not state.belongs_to(root):
        return f"ran in {state.checkout.root}, and its state was copied here"
    paused = f", PAUSED since {state.paused_since}" if state.paused_since is not None else ""
    if state.status is RunStatus.FINISHED:
        return "finished, the mission is accepted" if state.accepted else "finished, with something left"
    if state.status is not RunStatus.RUNNING:
        return f"{state.status.value}{paused}"
    if state.process.is_alive():
        return f"running (process {state.process.pid}){paused}"
    if state.process.is_of_another_container and is_locked(root):
        return f"running in another container (process {state.process.pid} there)"
    return f"was killed{paused}; go on with: spec-kitty-orchestrator resume"


def _print_table(state: RunState) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ..report.totals import NOTHING

    table = Table()
    for heading in (
        "WP",
        "attempts",
        "agents",
        "failures",
        "sent back",
        "tokens",
        "cost",
        "approved",
        "last error",
        "last log",
    ):
        table.add_column(heading, overflow="fold")
    by_work_package = state.totals.by_work_package
    for wp_id, record in sorted(state.work_packages.items()):
        agents = dict.fromkeys(attempt.agent for attempt in record.attempts)
        failures = sum(attempt.failed for attempt in record.attempts)
        total = by_work_package.get(wp_id, NOTHING)
        log = Path(record.attempts[-1].log).name if record.attempts else ""
        cells = (
            wp_id,
            str(len(record.attempts)),
            ", ".join(agents),
            str(failures),
            str(record.rejections),
            total.tokens,
            total.cost,
            (record.approved_commit or "")[:COMMIT_SHOWN],
            record.last_error or "",
            log,
        )
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)
