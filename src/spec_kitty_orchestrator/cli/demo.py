"""`demo`: makes a project in a new folder, runs its mission, and shows what was built."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from ..errors import ExitCode
from .output import examples


@click.command(
    "demo",
    short_help="Have a small project built by a scripted agent.",
    epilog=examples("demo", "demo --dir my-demo"),
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    help="An empty or new folder for the project. Default: a new one in the system's temporary folder.",
)
@click.pass_context
def demo_command(context: click.Context, folder: Path | None) -> None:
    """Make a small project and have it built, without credentials and without network.

    The project is made with the host's own commands: four work packages with dependencies. A scripted
    agent implements and reviews them; one is sent back once in review. Takes about a minute.
    """
    context.exit(run_demo(folder))


def run_demo(folder: Path | None) -> ExitCode:
    """The whole demo; its words go to stdout.

    Raises:
        OrchestratorError: the project could not be made, or not be run.
    """
    from ..demo.run import make_demo, merge_and_try
    from ..host.program import find_host_binary
    from ..report.outlet import Voice
    from .orchestrate import orchestrate

    host = find_host_binary(None, os.environ)
    root = (folder or Path(tempfile.mkdtemp(prefix="spec-kitty-demo-"))).absolute()
    click.echo(f"Making a project and a mission of four work packages in {root} ...")
    project = make_demo(root, host)
    click.echo(f"$ spec-kitty-orchestrator orchestrate --mission {project.mission} --repo-root {root}")
    code = orchestrate(project.mission, root)
    with Voice() as say:
        if code is not ExitCode.ACCEPTED:
            say(f"Not accepted; see: spec-kitty-orchestrator status --repo-root {root}")
            return code
        say(f"$ spec-kitty orchestrator-api merge-mission --mission {project.mission}")
        printed = merge_and_try(project)
        for path in sorted((root / "tally").glob("*.py")):
            say(f"built: {path.relative_to(root)}")
        say(f"$ python -m tally text.txt\n{printed}")
        say(f"The project is yours to look at: {root}")
    return code
