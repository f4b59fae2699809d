"""`stop --after-current`: has a live run end once what is at work has finished."""

from __future__ import annotations

from pathlib import Path

import click

from .orchestrate import repo_root_option
from .output import examples
from .pause import give


@click.command(
    "stop",
    short_help="Have the live run end when what is at work has finished.",
    epilog=examples("stop --after-current"),
)
@click.option(
    "--after-current",
    is_flag=True,
    help="Let agents at work finish and hand over. To stop them at once there is `abort`.",
)
@repo_root_option
@click.pass_context
def stop_command(context: click.Context, after_current: bool, repo_root: Path | None) -> None:
    """Have the live run end when what is at work has finished; `resume` goes on."""
    from ..errors import UsageError
    from ..run.ordering import Order

    if not after_current:
        raise UsageError("stop: say --after-current", remedy="to stop at once: spec-kitty-orchestrator abort")
    context.exit(give(Order.STOP, repo_root))
