"""The machine: what is ended with an agent, who else would end us, open files, room on the disk."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from ...errors import OrchestratorError
from ...processes.awake import INHIBITORS, inhibitor
from ...processes.open_files import BEFORE, most_open_files, open_files_for
from ..opening import check_open_files
from .findings import Case, Finding, Found, error, problem, warning

OUT_OF_REACH = (
    "what an agent has started by something that already runs (tmux, docker, systemd-run, at, cron, ssh); "
    "other users' processes"
)
REAPERS = {"init", "systemd", "launchd", "tini", "docker-init", "dumb-init", "catatonit", "podman-init"}

MIB = 2**20
LEAST_FREE = 100 * MIB
"""With less, state and events may not be written any more."""
ENOUGH_FREE = 2048 * MIB
"""Every work package has a worktree of its own, and what its agent builds there."""


async def clean_up(_: Case) -> Found:
    """What is ended with an agent, and what is not."""
    if sys.platform == "linux":
        ended = Finding("clean-up", "every process that an agent starts is ended with it")
    else:
        found = "no subreaper on this system: an agent's own group is ended, not what left it"
        ended = warning("clean-up", found, "run it on Linux, or look after a run for what is left")
    return [ended, Finding("out of reach", OUT_OF_REACH)]


async def surroundings(_: Case) -> Found:
    """What stops us in another way than we stop ourselves."""
    return surroundings_in(Path("/proc"), os.getpid())


def surroundings_in(proc: Path, pid: int) -> list[Finding]:
    """A container without an init, a unit of systemd."""
    findings = []
    first = _read(proc / "1" / "comm")
    if first and first not in REAPERS:
        found = "we are process 1" if pid == 1 else f"{first} is process 1"
        remedy = "start the container with an init: docker run --init"
        findings.append(warning("container", f"{found}, which reaps nobody's children", remedy))
    unit = _read(proc / "self" / "cgroup").rpartition("/")[2]
    if unit.endswith(".service"):
        found = f"{unit}: stopping it stops agents and host before we can, unless it has KillMode=mixed"
        findings.append(warning("systemd unit", found, "KillMode=mixed, in its section [Service]"))
    return findings


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # not on this system
        return ""


async def sleep(case: Case) -> Found:
    """Whether the machine may fall asleep under a run. That is told here alone, and is no fault."""
    if case.settings is not None and case.settings.allow_sleep:
        return [Finding("sleep", "the machine may fall asleep while a run is at it (allow_sleep)")]
    program = inhibitor(case.environ)
    if program is None:
        return [Finding("sleep", f"nothing here can hold it up ({' or '.join(INHIBITORS)})")]
    return [Finding("sleep", f"{program} is asked to hold it up while a run is at it")]


async def open_files(case: Case) -> Found:
    """Whether the limits allow for as many agents as the settings do."""
    if case.settings is None:
        return []
    agents = case.settings.max_concurrent_wps
    try:
        check_open_files(agents)
    except OrchestratorError as found:
        return [problem("open files", found)]
    hard = most_open_files()
    limits = f"limit {BEFORE}, can be raised to {hard if hard >= 0 else 'any number'}"
    return [Finding("open files", f"{limits}; {agents} agents at once need {open_files_for(agents)}")]


async def disk_space(case: Case) -> Found:
    """Whether there is room for what a run writes: logs up to their limit, and worktrees."""
    if case.root is None:
        return []
    free = shutil.disk_usage(case.root).free
    settings = case.settings
    logs = int(settings.max_log_mb * settings.max_concurrent_wps * MIB) if settings is not None else 0
    found = f"{_size(free)} free on {case.root}"
    remedy = f"make room: du -sh {case.root}/.kittify/logs {case.root}/.worktrees"
    if free < LEAST_FREE:
        return [error("disk space", found, remedy)]
    if free < logs:
        told = f"{found}; the logs of the attempts at work may take {_size(logs)} (max_log_mb)"
        return [warning("disk space", told, f"{remedy}; or lower max_log_mb")]
    if free < ENOUGH_FREE:
        return [warning("disk space", found, remedy)]
    return [Finding("disk space", found)]


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / MIB:.0f} MiB"
