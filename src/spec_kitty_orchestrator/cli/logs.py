"""`logs`: one attempt of an agent as text that can be read, as it was, or as it grows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click
from attrs import frozen

from ..errors import ExitCode, UsageError
from . import completion
from .orchestrate import repo_root_option
from .output import end_with_the_reader, examples
from .step_text import StepText

if TYPE_CHECKING:
    from ..report.wp_story import AttemptStory
    from ..run.following import Following

PROMPT_SUFFIX = ".prompt.md"


@frozen
class Wanted:
    """What is asked of one work package: which attempt, and how it is shown."""

    wp_id: str
    attempt: int | None = None
    role: str | None = None
    follow: bool = False
    prompt: bool = False
    raw: bool = False
    full: bool = False


@click.command(
    "logs",
    short_help="Read what an agent said and did.",
    epilog=examples(
        "logs WP02",
        "logs WP02 --follow",
        "logs WP02 --role review --attempt 1 --prompt",
        "logs WP02 --raw | less -R",
    ),
)
@click.argument("wp_id", metavar="WP", shell_complete=completion.work_packages)
@click.option(
    "--attempt", type=click.IntRange(1), help="Its number, as in the log's name.  [default: the last]"
)
@click.option("--role", type=click.Choice(["implementation", "review"]), help="Attempts of this role only.")
@click.option("--follow", is_flag=True, help="Go on as the log grows, and with the next attempts.")
@click.option("--prompt", is_flag=True, help="Print what the agent was told instead.")
@click.option("--raw", is_flag=True, help="Print the file as it is, byte for byte.")
@click.option("--full", is_flag=True, help="Leave nothing out of what tools were given and gave back.")
@click.option("--run", "run_id", metavar="ID", help="In this run; its first or last characters are enough.")
@click.option(
    "--mission",
    help="In the last run of this mission.  [default: in the last run]",
    shell_complete=completion.missions,
)
@repo_root_option
@click.pass_context
def logs_command(
    context: click.Context,
    /,
    repo_root: Path | None,
    mission: str | None,
    run_id: str | None,
    **asked: object,
) -> None:
    """Show an attempt at a work package: what its agent said, what it ran, what came back, in order.

    By default the last attempt of the last run. With --follow it goes on until the run, or the work
    package, is through (with --attempt until that attempt is); Ctrl-C leaves it.
    """
    context.exit(logs(repo_root, mission, run_id, Wanted(**asked)))  # type: ignore[arg-type]


def logs(repo_root: Path | None, mission: str | None, run_id: str | None, wanted: Wanted) -> ExitCode:
    """Runs the command.

    Raises:
        UsageError: no such run, work package, attempt or file.
    """
    from ..run.following import Following
    from ..run.opening import find_repo_root
    from ..run.recorded import recorded_run

    if wanted.prompt and wanted.follow:
        raise UsageError("a prompt does not grow", remedy="give either --prompt or --follow")
    run = recorded_run(find_repo_root(repo_root), run_id, mission)
    for problem in run.problems:
        click.echo(problem, err=True)
    following = Following(run, wanted.wp_id, wanted.role, wanted.attempt, wanted.follow)
    if wanted.prompt:
        _print_prompt(following)
        return ExitCode.ACCEPTED
    for attempt in following.attempts():
        if wanted.raw:
            _print_raw(following, attempt)
        else:
            _print_text(following, attempt, full=wanted.full)
    return ExitCode.ACCEPTED


def _print_prompt(following: Following) -> None:
    """What the agent was given on its stdin."""
    from ..agents.steps import plain
    from ..run.growing import pieces

    path = following.log(next(following.attempts())).with_suffix(PROMPT_SUFFIX)
    told = b"".join(pieces(path, lambda: True)).decode("utf-8", "replace")
    click.echo(plain(told).rstrip())


def _print_raw(following: Following, attempt: AttemptStory) -> None:
    for piece in following.pieces(attempt):
        sys.stdout.buffer.write(piece)
        if not piece:
            _reach_the_reader()
    sys.stdout.buffer.flush()


def _print_text(following: Following, attempt: AttemptStory, *, full: bool) -> None:
    from ..agents.step_reader import StepReader
    from ..run.following import output_of

    colours = _has_colours()
    reader = StepReader(output_of(following.run.root, attempt.agent))
    text = StepText(colours=colours, full=full)
    for line in _head(following, attempt):
        click.echo(line)
    shown = 0
    for piece in chain(following.pieces(attempt), [None]):
        told = "".join(map(text.of, reader.finish() if piece is None else reader.feed(piece)))
        click.echo(told, nl=False, color=colours)
        shown += len(told)
        if piece == b"":
            _reach_the_reader()
    click.echo(text.end(), nl=False)
    for line in _foot(following, attempt, shown, reader.left_out):
        click.echo(line)


def _head(following: Following, attempt: AttemptStory) -> Iterator[str]:
    """Who, when, what came of it, and where its log is."""
    who = f"{following.wp_id} {attempt.role} {attempt.number}: {attempt.agent}"
    if attempt.ended is not None:
        yield f"{who}, {_clock(attempt.started)} to {_clock(attempt.ended)}"
        yield _outcome(attempt)
    else:
        stands = "at work" if following.is_alive() else "cut off with its run"
        yield f"{who}, since {_clock(attempt.started)}, {stands}"
    yield str(following.log(attempt))
    yield ""


def _foot(following: Following, attempt: AttemptStory, shown: int, left_out: int) -> Iterator[str]:
    """What is to be known at the end, apart from the steps by an empty line."""
    lines = [] if shown else ["It has printed nothing."]
    if left_out:
        lines.append(f"Lines left out that say nothing, or say it again: {left_out} (--raw shows them).")
    if following.goes_on:
        lines.append(_outcome(attempt) if attempt.ended is not None else "Cut off with its run.")
    yield from ["", *lines] if lines else []
    if following.goes_on:
        yield ""


def _outcome(attempt: AttemptStory) -> str:
    from ..agents.steps import plain

    assert attempt.ended is not None
    said = f": {plain(attempt.message)}" if attempt.message else ""
    return f"{attempt.outcome} after {attempt.seconds(attempt.ended):.1f} s{said}"


def _clock(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, timezone.utc).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _has_colours() -> bool:
    """By the usual variables (NO_COLOR, FORCE_COLOR, TERM) and whether stdout is a terminal."""
    from rich.console import Console

    console = Console()
    return console.is_terminal and not console.no_color and not console.is_dumb_terminal


def _reach_the_reader() -> None:
    """Before a wait: all that was printed leaves, and a reader that is gone is noticed."""
    sys.stdout.flush()
    end_with_the_reader()
