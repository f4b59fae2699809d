"""`retry`: goes on with a run, with work packages that were blocked or left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import ExitCode
from .orchestrate import events_option, flag_options, plain_option, repo_root_option
from .resume import actor_option, go_on, mission_option, run_to_go_on_with


@click.command("retry", short_help="Go on with the last run, with what was blocked or left.")
@click.argument("wp_ids", metavar="WP...", nargs=-1, required=True)
@click.option("--feedback", default="", metavar="TEXT", help="What its implementer is told.")
@click.option("--agent", metavar="ID", help="Who is asked first to implement it, until it is handed over.")
@mission_option
@flag_options(*["as before"] * 8)
@actor_option
@plain_option
@events_option
@repo_root_option
@click.pass_context
def retry_command(context: click.Context, /, **options: object) -> None:
    """Go on with the last run as `resume` does, and try these work packages again.

    One that is blocked, by whomever, is unblocked; what counts against it and against agents' work on it is
    forgotten.
    """
    context.exit(retry(**options))  # type: ignore[arg-type]


def retry(
    wp_ids: tuple[str, ...],
    feedback: str = "",
    agent: str | None = None,
    mission: str | None = None,
    actor: str | None = None,
    repo_root: Path | None = None,
    **options: Any,
) -> ExitCode:
    """Runs the command; `options` are those of `go_on`.

    Raises:
        UsageError: there is no run, or what is asked for cannot be done.
        OrchestratorError: it could not be started, or the host broke.
    """
    from ..run.opening import KITTIFY, find_repo_root
    from ..run.state import RunStore
    from ..settings.values import Asked

    root = find_repo_root(repo_root)
    store = RunStore(root / KITTIFY)
    state = run_to_go_on_with(store, store.load(), mission, actor)
    asked = Asked(wp_ids, feedback=feedback.strip(), agent=agent)
    return go_on(state, root, asked, actor=actor, **options)
