"""What begins agents on other machines, where the settings ask for that."""

from __future__ import annotations

from ...processes.jobs import why_not_launchable
from ..jobs import launchers_in
from .findings import Case, Finding, Found, error


async def launchable(case: Case) -> Found:
    """Whether each launcher could begin something now; nothing where all agents run here."""
    found: list[Finding] = []
    for launcher, names in launchers_in(case.agents).items():
        what = f"{launcher.use.value} for {', '.join(names)}"
        if why := await why_not_launchable(launcher, case.environ):
            found.append(error(what, why, "mend launcher in .kittify/orchestrator.yaml, or what it asks for"))
        else:
            found.append(Finding(what, "could begin an agent; whether it may is known once it has begun"))
    return found
