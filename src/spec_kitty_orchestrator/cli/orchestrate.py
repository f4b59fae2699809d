"""`orchestrate`: takes a mission from where it stands to accepted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from attrs import frozen

from ..errors import ExitCode

if TYPE_CHECKING:
    from ..settings.values import Flags

DEFAULT_ACTOR = "spec-kitty-orchestrator"

repo_root_option = click.option(
    "--repo-root",
    type=click.Path(path_type=Path),
    help="The project. Default: the nearest folder, from here upward, that holds .kittify.",
)


@frozen
class OrchestrateRequest:
    """The command line of `orchestrate`; None is "not given"."""

    mission: str
    repo_root: Path | None = None
    impl_agent: str | None = None
    review_agent: str | None = None
    max_concurrent: int | None = None
    actor: str = DEFAULT_ACTOR
    dry_run: bool = False

    @property
    def flags(self) -> Flags:
        """Those that outrank the configuration file."""
        from ..settings.values import Flags

        return Flags(self.impl_agent, self.review_agent, self.max_concurrent)


@click.command("orchestrate", short_help="Take a mission from planned to accepted.")
@click.option("--mission", required=True, help="Slug, id or short id of the mission.")
@click.option("--impl-agent", help="Agent that implements.  [default: claude-code]")
@click.option("--review-agent", help="Agent that reviews.  [default: claude-code]")
@click.option("--max-concurrent", type=int, help="Work packages with an agent at work at once.  [default: 4]")
@click.option("--actor", default=DEFAULT_ACTOR, show_default=True, help="Who we are to the host.")
@repo_root_option
@click.option("--dry-run", is_flag=True, help="Check everything and print the plan; write nothing.")
@click.pass_context
def orchestrate_command(context: click.Context, /, **options: object) -> None:
    """Implement and review every work package of a mission, then accept it.

    Runs until nothing is left to do. Flags outrank SK_ORCH_* variables, which outrank
    .kittify/orchestrator.yaml. Ctrl-C stops all agents; `resume` goes on.
    """
    context.exit(orchestrate(OrchestrateRequest(**options)))  # type: ignore[arg-type]


def orchestrate(request: OrchestrateRequest) -> ExitCode:
    """Runs the command.

    Raises:
        OrchestratorError: it could not be started, or the host broke.
    """
    from ..run.opening import Request, find_repo_root
    from ..run.session import plan_only, supervise

    opening = Request(request.mission, request.actor, find_repo_root(request.repo_root), request.flags)
    return plan_only(opening) if request.dry_run else supervise(opening, resume=False)
