"""`orchestrate`: takes a mission from where it stands to accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..errors import ExitCode
from . import completion
from .output import examples

DEFAULT_ACTOR = "spec-kitty-orchestrator"

repo_root_option = click.option(
    "--repo-root",
    type=click.Path(path_type=Path),
    help="The project. Default: the nearest folder, from here upward, that holds .kittify.",
)

events_option = click.option(
    "--events",
    type=click.Choice(["-"]),
    callback=lambda _context, _option, given: given is not None,
    help="Print events on stdout, as events.jsonl holds them; all else on stderr.",
)
plain_option = click.option("--plain", is_flag=True, help="Lines in place of a board, also on a terminal.")


class WpIds(click.ParamType[tuple[str, ...]]):
    """Ids with commas between, as a tuple; an empty text is an empty one."""

    name = "WP,..."

    def convert(
        self, value: str | tuple[str, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """A tuple stays as it is."""
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


FLAGS = (
    ("--impl-agent", str, "Agent that implements."),
    ("--review-agent", str, "Agent that reviews."),
    ("--max-concurrent", int, "Work packages with an agent at work at once."),
    ("--only", WpIds(), "These work packages and no others."),
    ("--until", str, "This work package and all that it depends on, and no others."),
    ("--merge/--no-merge", bool, "Merge the mission once it is accepted."),
    ("--max-cost-usd", float, "What the run may cost; what is begun finishes."),
    ("--max-runtime-seconds", float, "How long it may last; what is begun finishes."),
    ("--wait-for-people/--no-wait-for-people", bool, "Go on waiting where only a person can move something."),
    ("--allow-sleep/--no-allow-sleep", bool, "Do not keep the machine from falling asleep."),
)


COMPLETED = {
    "--impl-agent": completion.agents,
    "--review-agent": completion.agents,
    "--only": completion.work_packages,
    "--until": completion.work_packages,
}


def flag_options(*defaults: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The flags that outrank variables and file; `defaults` is what holds without each, for its help."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for (name, kind, words), default in reversed([*zip(FLAGS, defaults, strict=True)]):
            told = f"{words}  [default: {default}]"
            complete = COMPLETED.get(name)
            command = click.option(name, type=kind, default=None, help=told, shell_complete=complete)(command)
        return command

    return add


@click.command(
    "orchestrate",
    short_help="Take a mission from planned to accepted.",
    epilog=examples(
        "orchestrate --mission tally-01M87FAF --dry-run",
        "orchestrate --mission tally-01M87FAF --impl-agent codex --max-cost-usd 20",
    ),
)
@click.option(
    "--mission",
    required=True,
    help="Slug, id or short id of the mission.",
    shell_complete=completion.missions,
)
@flag_options("claude-code", "claude-code", "4", "all", "all", "no", "none", "none", "no", "no")
@click.option("--actor", default=DEFAULT_ACTOR, show_default=True, help="Who we are to the host.")
@plain_option
@events_option
@repo_root_option
@click.option("--dry-run", is_flag=True, help="Check everything and print the plan; write nothing.")
@click.pass_context
def orchestrate_command(context: click.Context, /, **options: object) -> None:
    """Implement and review every work package of a mission, then accept it.

    Runs until nothing is left to do. Flags outrank SK_ORCH_* variables, which outrank
    .kittify/orchestrator.yaml. Ctrl-C stops all agents; `resume` goes on.
    """
    context.exit(orchestrate(**options))  # type: ignore[arg-type]


def orchestrate(
    mission: str,
    repo_root: Path | None = None,
    actor: str = DEFAULT_ACTOR,
    dry_run: bool = False,
    plain: bool = False,
    events: bool = False,
    **flags: Any,
) -> ExitCode:
    """Runs the command; `flags` are the fields of `Flags`, None for one that is not given.

    Raises:
        OrchestratorError: it could not be started, or the host broke.
    """
    from ..run.opening import Request, find_repo_root
    from ..run.session import plan_only, supervise
    from ..settings.values import Flags

    given = Flags(**flags)
    request = Request(mission, actor, find_repo_root(repo_root), given, plain=plain, events=events)
    return plan_only(request) if dry_run else supervise(request, resume=False)
