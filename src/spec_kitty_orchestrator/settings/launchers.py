"""What must be true of `launcher:`, and of the launchers of single agents, beyond types."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..agents.names import agent_of
from ..converter import Problem
from ..processes.launcher import Launcher, LauncherKind, fill
from .cast import parts
from .reading import KeyPath
from .values import Settings

MOST_WORK_PACKAGES_AT_ONCE = 200
"""A bound on what one orchestrator can hold of agents that run elsewhere, not a target."""

MOST_ON_THIS_MACHINE = 64
"""The same where agents run on the orchestrator's own."""

LEAST_SILENCE_SECONDS, MOST_SILENCE_SECONDS = 5, 3600
MOST_START_SECONDS = 30 * 24 * 3600
MOST_CPUS = 4096

PLACES = {"workspace": "/", "repository": "/"}
"""What a command of the user's may name, beside `$name`."""

_OURS = (
    *("job-name", "jobid", "clusters", "ntasks", "chdir", "input", "output", "error", "pty", "export"),
    *("label", "quit-on-interrupt", "disable-status", "test-only", "multi-prog"),
)
_OURS_SHORT = re.compile(r"-[nJMDioeulX]")
"""Options of `srun` that would take from us what we end a job by, or hear of it by."""


def launchers_of(settings: Settings) -> Iterator[tuple[KeyPath, Launcher]]:
    """Every launcher that is set, with the path to it."""
    yield ("launcher",), settings.launcher
    for agent_id, one in settings.agents.settings.items():
        if one.launcher is not None:
            yield ("agents", "settings", agent_id, "launcher"), one.launcher


def launcher_ranges(settings: Settings) -> list[tuple[KeyPath, float | None, float, float]]:
    """The numbers in them: the path to each, what it is, the least and the most that it may be."""
    ranges: list[tuple[KeyPath, float | None, float, float]] = []
    for at, one in launchers_of(settings):
        ranges += [
            ((*at, "silence_seconds"), one.silence_seconds, LEAST_SILENCE_SECONDS, MOST_SILENCE_SECONDS),
            ((*at, "start_within_seconds"), one.start_within_seconds, 1, MOST_START_SECONDS),
            ((*at, "slurm", "cpus"), one.slurm.cpus, 1, MOST_CPUS),
        ]
    return ranges


def launcher_problems(settings: Settings) -> Iterator[Problem]:
    """Everything that is wrong with the launchers, and with how many agents are to run here at once."""
    for at, launcher in launchers_of(settings):
        yield from _problems(at, launcher)
    cast = dict.fromkeys(agent_of(name) for part in parts(settings.agents) for name in part.names)
    here = [name for name in cast if not _of(settings, name).is_far]
    if here and MOST_ON_THIS_MACHINE < settings.max_concurrent_wps <= MOST_WORK_PACKAGES_AT_ONCE:
        told = f"expected {MOST_ON_THIS_MACHINE} or fewer, as {', '.join(here)} would run on this machine"
        yield Problem(("max_concurrent_wps",), told)


def _of(settings: Settings, agent_id: str) -> Launcher:
    return settings.of_agent(agent_id).launcher or settings.launcher


def _is_ours(word: str) -> bool:
    """An option of ours, also when its name is cut short, as `srun` takes it."""
    name = word.partition("=")[0]
    if name.startswith("--"):
        return len(name) > len("--") and any(each.startswith(name[2:]) for each in _OURS)
    return bool(_OURS_SHORT.match(word))


def _problems(at: KeyPath, launcher: Launcher) -> Iterator[Problem]:
    if not launcher.python.strip():
        yield Problem((*at, "python"), "expected a program")
    for name in ("partition", "memory", "time", "account"):
        value = getattr(launcher.slurm, name)
        if value is not None and not value.strip():
            yield Problem((*at, "slurm", name), "expected what srun is to be told")
    for index, word in enumerate(launcher.slurm.extra_args):
        if _is_ours(word):
            yield Problem((*at, "slurm", "extra_args", index), f"{word.split('=')[0]} is ours to say")
    command = launcher.command
    if launcher.use is LauncherKind.COMMAND and not (command.prefix and command.prefix[0].strip()):
        yield Problem((*at, "command", "prefix"), "expected a list of words, the program first")
    for name in ("prefix", "cleanup"):
        for index, word in enumerate(getattr(command, name)):
            try:
                fill((word,), "name", PLACES)
            except (KeyError, ValueError):
                told = "$name, $workspace and $repository are all it may name; write $$ for a dollar sign"
                yield Problem((*at, "command", name, index), told)
