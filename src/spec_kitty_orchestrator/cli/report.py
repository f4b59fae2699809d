"""`report`: tells a run from its events, as text, Markdown, or a page."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import ExitCode
from . import completion
from .orchestrate import repo_root_option
from .output import examples, say

STDOUT = Path("-")


@click.command(
    "report",
    short_help="Tell what happened in a run, and what it cost.",
    epilog=examples("report", "report --mission tally-01M87FAF --html report.html"),
)
@click.option("--run", metavar="ID", help="Of this run; its first or last characters are enough.")
@click.option(
    "--mission",
    help="Of the last run of this mission.  [default: of the last run]",
    shell_complete=completion.missions,
)
@click.option("--markdown", is_flag=True, help="As Markdown.")
@click.option(
    "--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page into FILE; - is stdout."
)
@repo_root_option
@click.pass_context
def report_command(context: click.Context, /, **options: object) -> None:
    """Tell what happened in a run: verdicts, feedback, checks, time, cost, waits.

    Reads the run's events alone. At the end of every run the page is written
    beside them, as .kittify/logs/RUN/report.html.
    """
    context.exit(report(**options))  # type: ignore[arg-type]


def report(
    repo_root: Path | None = None,
    run: str | None = None,
    mission: str | None = None,
    markdown: bool = False,
    html: Path | None = None,
) -> ExitCode:
    """Runs the command.

    Raises:
        UsageError: no project, no such run, nothing in it that can be read, or FILE cannot be written.
    """
    from ..errors import UsageError
    from ..report import text
    from ..report.composing import compose
    from ..report.page import put_page, render_page
    from ..run.opening import KITTIFY, find_repo_root
    from ..run.runs import find_past_run, story_of

    if markdown and html is not None:
        raise UsageError("--markdown and --html are two forms of a report", remedy="name one of them")
    past = find_past_run(find_repo_root(repo_root) / KITTIFY / "logs", run, mission)
    story, problems = story_of(past)
    document = compose(story, problems)
    if html is None:
        say(text.markdown(document) if markdown else text.plain(document))
    elif html == STDOUT:
        say([render_page(story, document)])
    else:
        try:
            put_page(html, render_page(story, document))
        except OSError as problem:
            raise UsageError(f"--html {html}: cannot be written: {problem.strerror}") from problem
    return ExitCode.ACCEPTED
