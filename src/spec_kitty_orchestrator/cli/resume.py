"""`resume`: goes on with the last run, or with the last one of a mission."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ExitCode
from . import completion
from .orchestrate import events_option, flag_options, plain_option, repo_root_option
from .output import examples

if TYPE_CHECKING:
    from ..run.state import RunState, RunStore
    from ..settings.values import Asked

mission_option = click.option(
    "--mission",
    help="Go on with the last run of this mission.  [default: with the last run]",
    shell_complete=completion.missions,
)
actor_option = click.option("--actor", help="Who we are to the host.  [default: as before]")


@click.command(
    "resume",
    short_help="Go on with the last run.",
    epilog=examples("resume", "resume --retry-blocked --max-cost-usd 40"),
)
@mission_option
@click.option("--retry-blocked", is_flag=True, help="Unblock what we blocked, and try it again.")
@flag_options(*["as before"] * 10)
@actor_option
@plain_option
@events_option
@repo_root_option
@click.pass_context
def resume_command(context: click.Context, /, **options: object) -> None:
    """Go on with the last run, with the same mission, actor and flags.

    Flags that are given outrank those of before, and are kept for the next time.
    """
    context.exit(resume(**options))  # type: ignore[arg-type]


def resume(
    mission: str | None = None,
    actor: str | None = None,
    repo_root: Path | None = None,
    retry_blocked: bool = False,
    **options: Any,
) -> ExitCode:
    """Runs the command; `options` are those of `go_on`.

    Raises:
        UsageError: there is no run to go on with.
        OrchestratorError: it could not be started, or the host broke.
    """
    from ..errors import UsageError
    from ..run.opening import KITTIFY, find_repo_root
    from ..run.state import RunStore
    from ..settings.values import Asked

    root = find_repo_root(repo_root)
    store = RunStore(root / KITTIFY)
    state = run_to_go_on_with(store, store.load(), mission, actor)
    if not state.is_resumable:
        raise UsageError(
            f"run {state.run_id} of mission {state.mission} has finished: {state.reason}",
            remedy=f"start a new one: spec-kitty-orchestrator orchestrate --mission {state.mission}",
        )
    return go_on(state, root, Asked(retry_blocked=retry_blocked), actor=actor, **options)


def go_on(
    state: RunState,
    root: Path,
    asked: Asked,
    *,
    actor: str | None,
    plain: bool = False,
    events: bool = False,
    **flags: Any,
) -> ExitCode:
    """Goes on with a run.

    Args:
        flags: the fields of `Flags`; one that is given (not None) outranks that of before.

    Raises:
        OrchestratorError: it could not be started, or the host broke.
    """
    from ..run.opening import Request
    from ..run.session import supervise
    from ..settings.values import Flags

    given = Flags(**flags).over(state.flags)
    agents = tuple(record.asked_agent for record in state.work_packages.values() if record.asked_agent)
    who = actor or state.actor
    request = Request(state.mission, who, root, given, asked=asked, agents=agents, plain=plain, events=events)
    return supervise(request, resume=True)


def run_to_go_on_with(
    store: RunStore, last: RunState | None, mission: str | None, actor: str | None
) -> RunState:
    """The last run, or with `mission` (its slug, or the short id at its end) the last one of that mission.

    Raises:
        UsageError: there is none.
    """
    from ..errors import UsageError
    from ..run.taking_up import find_run

    def is_meant(run: RunState) -> bool:
        return run.mission == mission or run.mission.endswith(f"-{mission}")

    def is_theirs(run: RunState) -> bool:
        return is_meant(run) and actor in (None, run.actor)

    state = last
    if mission is not None:
        state = find_run(store, last, is_theirs)[0] or find_run(store, last, is_meant)[0]
    if state is None:
        of_it = "" if mission is None else f" of mission {mission}"
        raise UsageError(
            f"{store.path.parent.parent}: no run{of_it} to go on with",
            remedy=f"start one: spec-kitty-orchestrator orchestrate --mission {mission or '...'}",
        )
    return state
