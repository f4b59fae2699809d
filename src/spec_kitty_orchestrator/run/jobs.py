"""What earlier runs began elsewhere is ended first; and whether anything could begin there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import trio
from attrs import frozen

from ..agents.agent import Agent
from ..errors import UsageError
from ..processes.jobs import end_job, why_not_launchable
from ..processes.launcher import FarJob, Launcher, LauncherKind


@frozen
class Settled:
    """What was made sure of: the jobs of which nobody knows whether they have ended, and why, in words."""

    unsettled: tuple[FarJob, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person must know."""
        return tuple(f"WARNING: {each}" for each in self.words)


async def end_jobs(jobs: Iterable[FarJob], environ: Mapping[str, str]) -> Settled:
    """Ends them, side by side; bounded."""
    troubles: dict[FarJob, str] = {}
    untold: list[str] = []

    async def end(job: FarJob) -> None:
        if job.kind is LauncherKind.COMMAND and not job.cleanup:  # told once: asking again would tell no more
            untold.append(f"{job}: nobody can be asked whether it has ended (launcher.command.cleanup)")
        elif trouble := await end_job(job, environ):
            troubles[job] = f"{job}: nobody knows whether it has ended ({trouble})"

    async with trio.open_nursery() as nursery:
        for job in dict.fromkeys(jobs):
            nursery.start_soon(end, job)
    return Settled(tuple(troubles), (*troubles.values(), *untold))


async def check_launchers(agents: Mapping[str, Agent], environ: Mapping[str, str]) -> None:
    """Raises UsageError when nothing could be begun by a launcher that somebody would be sent with."""
    for launcher, names in launchers_in(agents).items():
        if why := await why_not_launchable(launcher, environ):
            raise UsageError(
                f"launcher {launcher.use.value} of {', '.join(names)}: {why}",
                remedy="mend launcher in .kittify/orchestrator.yaml, or what it asks for",
            )


def launchers_in(agents: Mapping[str, Agent]) -> dict[Launcher, list[str]]:
    """Every launcher to elsewhere that somebody would be sent with, and whom."""
    found: dict[Launcher, list[str]] = {}
    for name, agent in agents.items():
        if agent.settings.launcher is not None and agent.settings.launcher.is_far:
            found.setdefault(agent.settings.launcher, []).append(name)
    return found
