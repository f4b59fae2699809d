"""`doctor`: checks what a run needs, each check with a remedy."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import ExitCode
from . import completion
from .orchestrate import repo_root_option
from .output import examples, json_option


@click.command(
    "doctor",
    short_help="Check what a run needs.",
    epilog=examples("doctor", "doctor --mission tally-01M87FAF --json"),
)
@json_option
@click.option(
    "--mission", help="Also what the host can do for this mission.", shell_complete=completion.missions
)
@repo_root_option
@click.pass_context
def doctor_command(
    context: click.Context, as_json: bool, mission: str | None, repo_root: Path | None
) -> None:
    """Check the project, the settings, the agents and the host; say for each what to do."""
    context.exit(doctor(repo_root, mission))


def doctor(repo_root: Path | None, mission: str | None = None) -> ExitCode:
    """Runs all checks; the exit code is that of the first that failed."""
    import trio

    from ..run.doctor import examine

    code = ExitCode.ACCEPTED
    for finding in trio.run(examine, repo_root, mission):
        mark = "ok  " if finding.problem is None else "FAIL"
        click.echo(f"{mark} {finding.what}: {finding.found if finding.problem is None else finding.problem}")
        if finding.problem is not None and code is ExitCode.ACCEPTED:
            code = finding.problem.exit_code
    return code
