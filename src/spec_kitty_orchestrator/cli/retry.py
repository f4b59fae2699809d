"""`retry`: goes on with a run, with work packages that were blocked or left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import ExitCode
from . import completion
from .orchestrate import events_option, flag_options, plain_option, repo_root_option
from .output import examples
from .pause import give_to_live_run
from .resume import actor_option, go_on, mission_option, run_to_go_on_with


@click.command(
    "retry",
    short_help="Go on with the last run, with what was blocked or left.",
    epilog=examples("retry WP05", "retry WP05 WP07 --agent codex --feedback 'The parser must take CRLF.'"),
)
@click.argument("wp_ids", metavar="WP...", nargs=-1, required=True, shell_complete=completion.work_packages)
@click.option("--feedback", default="", metavar="TEXT", help="What its implementer is told.")
@click.option(
    "--agent",
    metavar="ID",
    help="Who is asked first to implement it, until it is handed over.",
    shell_complete=completion.agents,
)
@mission_option
@flag_options(*["as before"] * 10)
@actor_option
@plain_option
@events_option
@repo_root_option
@click.pass_context
def retry_command(context: click.Context, /, **options: object) -> None:
    """Try these work packages again: by the live run, or going on with the last one as `resume` does.

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
    from ..run.ordering import Order
    from ..run.state import RunStore
    from ..settings.values import Asked

    root = find_repo_root(repo_root)
    store = RunStore(root / KITTIFY)
    asked = Asked(wp_ids, feedback=feedback.strip(), agent=agent)
    shown = {name: options.get(name, False) for name in ("plain", "events")}
    given = [mission, actor, *(value for name, value in options.items() if name not in shown)]
    for_any_run = all(value is None for value in given) and not any(shown.values())
    if for_any_run and (said := give_to_live_run(Order.RETRY, root, store, asked)) is not None:
        click.echo(said)
        return ExitCode.ACCEPTED
    state = run_to_go_on_with(store, store.load(), mission, actor)
    return go_on(state, root, asked, actor=actor, **options)
