"""`status`: shows the last run, from our own file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ExitCode
from .orchestrate import repo_root_option

COMMIT_SHOWN = 12  # of its digits; the state file has them all

if TYPE_CHECKING:
    from ..run.state import RunState


@click.command("status", short_help="Show the last run.")
@repo_root_option
@click.pass_context
def status_command(context: click.Context, repo_root: Path | None) -> None:
    """Show the last run: is it alive, and per work package the agents, retries, last error and logs.

    Reads our own file only; where a work package stands is the host's to say (mission-state).
    """
    context.exit(status(repo_root))


def status(repo_root: Path | None) -> ExitCode:
    """Runs the command.

    Raises:
        UsageError: no project, or a damaged state file.
    """
    from ..run.opening import KITTIFY, find_repo_root
    from ..run.state import RunStore

    root = find_repo_root(repo_root)
    state = RunStore(root / KITTIFY).load()
    if state is None:
        click.echo(f"No run in {root} yet.")
        return ExitCode.ACCEPTED
    for line in head_lines(state, root):
        click.echo(line)
    _print_table(state)
    return ExitCode.ACCEPTED


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
    if state.status is not RunStatus.RUNNING:
        return str(state.status.value)
    if state.process.is_alive():
        return f"running (process {state.process.pid})"
    if state.process.is_of_another_container and is_locked(root):
        return f"running in another container (process {state.process.pid} there)"
    return "was killed; go on with: spec-kitty-orchestrator resume"


def _print_table(state: RunState) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for heading in (
        "WP",
        "attempts",
        "agents",
        "failures",
        "sent back",
        "approved",
        "last error",
        "last log",
    ):
        table.add_column(heading, overflow="fold")
    for wp_id, record in sorted(state.work_packages.items()):
        agents = dict.fromkeys(attempt.agent for attempt in record.attempts)
        failures = sum(attempt.failed for attempt in record.attempts)
        log = Path(record.attempts[-1].log).name if record.attempts else ""
        cells = (
            wp_id,
            str(len(record.attempts)),
            ", ".join(agents),
            str(failures),
            str(record.rejections),
            (record.approved_commit or "")[:COMMIT_SHOWN],
            record.last_error or "",
            log,
        )
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)
