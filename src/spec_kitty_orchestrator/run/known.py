"""What can be named, as far as it stands in our own files: for a shell that completes what somebody types.

Never an error: whoever types is told nothing rather than something about a damaged file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..agents import all_agent_ids
from ..converter import Unreadable, read
from ..errors import OrchestratorError
from ..report.events import RunStarted
from ..settings.loading import load_settings
from ..settings.values import Flags
from .opening import KITTIFY, find_repo_root
from .state import RunState, RunStore
from .taking_up import kept_runs

MOST_LINES = 50
"""Of a run's events, from its first: among them stands what it began with."""


def missions(repo_root: Path | None) -> list[str]:
    """The missions of all runs that are recorded, the last one first."""
    return [*dict.fromkeys(run.mission for run in _runs(repo_root))]


def work_packages(repo_root: Path | None, mission: str | None) -> list[str]:
    """Those of the last run, or of a mission's last one."""
    with suppress(OrchestratorError):
        folder = find_repo_root(repo_root) / KITTIFY / "logs"
        for run in _runs(repo_root):
            if mission is None or run.mission == mission or run.mission.endswith(f"-{mission}"):
                return sorted({*run.work_packages, *_found_at_the_start(folder / run.run_id)})
    return []


def agents(repo_root: Path | None) -> list[str]:
    """Those that we know, and those that the settings describe."""
    own: list[str] = []
    with suppress(OrchestratorError):
        own += load_settings(find_repo_root(repo_root) / KITTIFY, os.environ, Flags()).agents.custom
    return [*all_agent_ids(), *own]


def _runs(repo_root: Path | None) -> Iterator[RunState]:
    with suppress(OrchestratorError):
        kittify = find_repo_root(repo_root) / KITTIFY
        with suppress(OrchestratorError):
            last = RunStore(kittify).load()
            yield from [last] if last is not None else []
        yield from kept_runs(kittify).runs


def _found_at_the_start(folder: Path) -> list[str]:
    with suppress(OSError, ValueError), open(folder / "events.jsonl", encoding="utf-8") as lines:
        for _, line in zip(range(MOST_LINES), lines, strict=False):
            event = json.loads(line)
            with suppress(Unreadable):
                return [*read(event, RunStarted).lanes]
    return []
