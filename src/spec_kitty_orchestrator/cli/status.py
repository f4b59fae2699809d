"""`status`: shows the last run, once or for as long as it lasts, to a person or to a program."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ExitCode
from . import completion
from .orchestrate import plain_option, repo_root_option
from .output import examples, json_option, say, say_json
from .resume import run_to_go_on_with

if TYPE_CHECKING:
    from ..run.overview import Overview
    from ..run.state import RunState, RunStore


@click.command(
    "status",
    short_help="Show the last run.",
    epilog=examples("status", "status --mission tally-01M87FAF --watch"),
)
@click.option(
    "--mission",
    help="Show the last run of this mission.  [default: the last run]",
    shell_complete=completion.missions,
)
@click.option("--live", is_flag=True, help="Ask the host where each work package stands now.")
@click.option("--watch", is_flag=True, help="Show it as it goes on, as its own terminal does.")
@json_option
@plain_option
@repo_root_option
@click.pass_context
def status_command(context: click.Context, /, **options: object) -> None:
    """Show the last run: is it alive, and for each work package its lane, attempts, cost, and last error.

    Reads our own files only, unless --live is given. Lanes are then those of the moment, else the last
    that the run has heard of. Ctrl-C leaves --watch; the run goes on.
    """
    context.exit(status(**options))  # type: ignore[arg-type]


def status(
    repo_root: Path | None = None,
    mission: str | None = None,
    as_json: bool = False,
    watch: bool = False,
    **how: bool,
) -> ExitCode:
    """Runs the command; `how` holds `live` and `plain`.

    Raises:
        UsageError: no project, no run of that mission, a damaged state file, or wrong flags.
        OrchestratorError: with `live`, the host could not be asked.
    """
    import time

    from ..errors import UsageError
    from ..run.opening import KITTIFY, find_repo_root
    from ..run.overview import unfinished_others
    from ..run.overview_facts import facts_of
    from ..run.state import RunStore

    if watch and (as_json or how.get("live")):
        raise UsageError("--watch shows the run's own events", remedy="leave out --json and --live")
    root = find_repo_root(repo_root)
    state = _asked_for(RunStore(root / KITTIFY), mission)
    if watch and state is not None:
        return _watch(root, state, how.get("plain", False))
    found = None if state is None else _look(root, state, how.get("live", False))
    others = [*unfinished_others(root, state)]
    for notice in () if found is None else found.notices:
        click.echo(notice, err=True)
    if as_json:
        say_json(facts_of(found, others, time.time()))
        return ExitCode.ACCEPTED
    if found is None:
        say([f"No run in {root} yet."])
    else:
        _show(found)
    say(_of_others(others))
    return ExitCode.ACCEPTED


def _asked_for(store: RunStore, mission: str | None) -> RunState | None:
    from ..errors import StateFileError

    try:
        last = store.load()
    except StateFileError as problem:
        if mission is None:
            raise
        click.echo(f"the last run is left out: {problem.message}", err=True)
        last = None
    return last if mission is None else run_to_go_on_with(store, last, mission, None)


def _look(root: Path, state: RunState, live: bool) -> Overview:
    import trio

    from ..run.overview import overview, with_live_lanes

    found = overview(root, state)
    return trio.run(with_live_lanes, found) if live else found


def _show(found: Overview) -> None:
    import time
    from functools import partial

    from rich.console import Console

    from ..report.outlet import heard_or_not
    from ..run.overview_text import text_of

    console = Console()
    for line in text_of(found, time.time(), console.width):
        heard_or_not(partial(console.print, line, soft_wrap=True, highlight=False))


def _of_others(others: list[RunState]) -> Iterator[str]:
    from ..run.taking_up import how_to_come_back

    return (how_to_come_back(run) for run in others)


def _watch(root: Path, state: RunState, plain: bool) -> ExitCode:
    """Returns when the run is over, or at Ctrl-C."""
    from contextlib import suppress

    from ..errors import UsageError
    from ..report.board import open_display
    from ..report.reading import FILE_NAME, EventFile
    from ..run.last_words import overhear
    from ..run.overview import custom_agents, how_it_stands, log_dir
    from ..run.watching import watch

    file = EventFile(log_dir(root, state) / FILE_NAME)
    overheard = overhear(root, custom_agents(root, os.environ))
    _end_in_order()
    try:
        with suppress(KeyboardInterrupt), open_display(plain=plain, overheard=overheard) as display:
            watch(file, lambda: how_it_stands(state, root)[1], display)
    except OSError as problem:
        raise UsageError(f"{file.path} cannot be read: {problem.strerror}") from problem
    return ExitCode.ACCEPTED


def _end_in_order() -> None:
    """SIGTERM and SIGHUP unwind the stack, so that the terminal is the user's again."""
    import signal

    def end(signum: int, _: object) -> None:
        raise SystemExit(128 + signum)

    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) != signal.SIG_IGN:
            signal.signal(each, end)
