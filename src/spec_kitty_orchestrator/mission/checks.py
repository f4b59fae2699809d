"""The project's own commands in a workspace: `setup:` before any agent, `checks:` before each review."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from ..errors import WorkspaceError
from ..host.workspace import Workspace
from ..processes.agent_process import Limits
from ..processes.attempt_log import LogNotWritten
from ..processes.ending import EndedBy, Ending
from ..processes.keeper import Command
from ..processes.orphans import RUN_MARKER
from ..processes.starting import ProgramMissing
from ..report.events import CommandEnded, ProcessesSwept
from .context import RunContext

OUTPUT_KEPT = 64 * 1024  # bytes of the end of a command's output
OUTPUT_TOLD = 4000  # characters of it that an agent is told

CommandLine = tuple[str, ...]


@frozen
class Red:
    """A command that failed: how, and the end of what it printed."""

    command: str
    how: str
    output: str

    @property
    def words(self) -> str:
        """What an implementer is told."""
        how = f"The project's own check `{self.command}` failed ({self.how})."
        return f"{how} The end of its output:\n{self.output}"


class Tail:
    """Keeps the end of an output, both streams as they come."""

    complete = False
    is_too_dear = False

    def __init__(self) -> None:
        self._kept = b""

    def feed_stdout(self, chunk: bytes) -> None:
        self._kept = (self._kept + chunk)[-OUTPUT_KEPT:]

    feed_stderr = feed_stdout

    @property
    def text(self) -> str:
        """The end of it, or that there was none."""
        return self._kept.decode("utf-8", "replace").strip()[-OUTPUT_TOLD:] or "(it printed nothing)"


async def run_commands(
    run: RunContext, wp_id: str, workspace: Workspace, purpose: str, commands: Sequence[CommandLine]
) -> Red | None:
    """Runs commands in a workspace, one after the other, under a keeper each, up to the first that fails.

    Args:
        purpose: `check` or `setup`, for events and the logs' names.

    Raises:
        LogNotWritten: a log cannot be written.
        WorkspaceError: a program that is looked for on PATH is not there.
        CommandNotStarted: no process or descriptor was to be had, for which no agent is to blame.
        trio.Cancelled: the run, or this work package, is being stopped; nothing of the command is left.
    """
    for command in commands:
        red = await _run(run, wp_id, workspace, purpose, command)
        if red is not None:
            return red
    return None


async def _run(
    run: RunContext, wp_id: str, workspace: Workspace, purpose: str, command: CommandLine
) -> Red | None:
    log, said, line = new_log(run, f"{wp_id}-{purpose}"), Tail(), shlex.join(command)
    limits = Limits(run.settings.check_timeout_seconds, max_log_mib=run.settings.max_log_mb)
    who = f"the {purpose} `{line}` of {wp_id}"
    environ = {**run.agents.environ, **run.traces.environ(wp_id), RUN_MARKER: run.run_id}
    spec = Command(
        command,
        workspace.path,
        environ,
        grace=run.settings.grace_seconds,
        kill_now=run.agents.kill_now,
        on_end=lambda ending: run.note_left(who, ending.left),
    )
    try:
        ending = await run.agents.start(spec, log, limits, said, lambda _: None)
    except ProgramMissing as problem:
        if os.sep not in command[0]:  # looked for on PATH, where no implementer can put it
            raise WorkspaceError(
                f"{wp_id}: the {purpose} command `{line}` is not here: {problem.message}",
                remedy="install it, or mend the command in .kittify/orchestrator.yaml, then run again",
            ) from problem
        how, output, seconds = "it could not be started", problem.message, 0.0
    else:
        how, output, seconds = how_it_failed(ending), said.text, ending.seconds
        if ending.swept:
            run.events.emit(ProcessesSwept(wp_id, who, ending.swept))
    path = str(log.relative_to(run.repo_root))
    run.events.emit(CommandEnded(wp_id, purpose, line, how or "succeeded", round(seconds, 3), path))
    return Red(line, how, output) if how else None


def how_it_failed(ending: Ending) -> str:
    """In words; empty when it succeeded."""
    if ending.ended_by is EndedBy.TIMEOUT:
        return f"stopped at its time limit after {ending.seconds:.0f} s"
    if ending.ended_by is EndedBy.LOG_FULL:
        return "stopped: it printed more than a log may hold (max_log_mb)"
    if ending.returncode is None:
        return f"ended by signal {ending.signal}" if ending.signal else "how it ended is not known"
    return f"exit status {ending.returncode}" if ending.returncode else ""


def new_log(run: RunContext, stem: str) -> Path:
    """Where the next log of that name goes; its folder is there then. Raises LogNotWritten."""
    try:
        run.log_dir.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise LogNotWritten(f"cannot make {run.log_dir}: {problem.strerror}") from problem
    number = 1
    while (log := run.log_dir / f"{stem}-{number}.log").exists():
        number += 1
    return log
