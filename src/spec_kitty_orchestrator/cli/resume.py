"""`resume`: goes on with the last run."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import ExitCode
from .orchestrate import repo_root_option


@click.command("resume", short_help="Go on with the last run.")
@click.option("--actor", help="Who we are to the host.  [default: as in the run that goes on]")
@repo_root_option
@click.pass_context
def resume_command(context: click.Context, actor: str | None, repo_root: Path | None) -> None:
    """Go on with the last run, with the same mission, actor and flags."""
    context.exit(resume(actor, repo_root))


def resume(actor: str | None, repo_root: Path | None) -> ExitCode:
    """Runs the command.

    Raises:
        UsageError: there is no run to go on with.
        OrchestratorError: it could not be started, or the host broke.
    """
    from ..errors import UsageError
    from ..run.opening import KITTIFY, Request, find_repo_root
    from ..run.session import supervise
    from ..run.state import RunStore

    root = find_repo_root(repo_root)
    state = RunStore(root / KITTIFY).load()
    if state is None:
        raise UsageError(
            f"{root}: no run to go on with",
            remedy="start one: spec-kitty-orchestrator orchestrate --mission ...",
        )
    if not state.status.is_resumable:
        raise UsageError(
            f"run {state.run_id} of mission {state.mission} has finished: {state.reason}",
            remedy=f"start a new one: spec-kitty-orchestrator orchestrate --mission {state.mission}",
        )
    return supervise(Request(state.mission, actor or state.actor, root, state.flags), resume=True)
