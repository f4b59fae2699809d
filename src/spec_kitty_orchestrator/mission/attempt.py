"""One attempt: one agent, once, in one role, with its prompt file, command, limits, and what came of it."""

from __future__ import annotations

import os
from pathlib import Path

import trio
from attrs import asdict, frozen

from ..agents.failure import Failure, classify
from ..agents.spec import CommandContext, CommandLine, FailureKind, Role, command_line
from ..agents.transcript import Transcript, open_reader
from ..host.workspace import Workspace
from ..processes.agent_process import Limits, LogNotWritten
from ..processes.ending import Ending
from ..processes.identity import ProcessIdentity
from ..processes.keeper import Command, CommandNotStarted
from ..processes.orphans import RUN_MARKER
from ..report.events import AttemptEnded, AttemptStarted, ProcessesSwept
from ..report.times import utc_now
from .context import RunContext
from .records import INTERRUPTED, SUCCEEDED, AttemptRecord


@frozen
class Attempt:
    """Who is to do what, where, and in which words it is told."""

    wp_id: str
    role: Role
    agent: str
    workspace: Workspace
    prompt: str


@frozen
class AttemptResult:
    """What came of an attempt: the agent's last words, and why it failed if it did."""

    transcript: Transcript
    failure: Failure | None


async def run_attempt(run: RunContext, attempt: Attempt) -> AttemptResult:
    """Runs one agent to its end, with everything recorded: prompt, log, attempt record, events.

    Raises:
        LogNotWritten: the log, or a file that the agent is given, cannot be written.
        trio.Cancelled: the run, or this work package, is being stopped; the agent is gone by then, and
            the attempt is recorded as interrupted, which spends nothing.
    """
    record = _open_record(run, attempt)
    started = trio.current_time()
    try:
        result, ending = await _run(run, attempt, record)
    except BaseException:
        record.seconds, record.outcome = trio.current_time() - started, INTERRUPTED
        _close_record(run, attempt, record)
        raise
    record.seconds = ending.seconds if ending is not None else trio.current_time() - started
    record.swept = ending.swept if ending is not None else ()
    record.usage = result.transcript.usage
    record.outcome = SUCCEEDED if result.failure is None else result.failure.kind.value
    record.message = "" if result.failure is None else result.failure.message
    _close_record(run, attempt, record)
    return result


async def _run(
    run: RunContext, attempt: Attempt, record: AttemptRecord
) -> tuple[AttemptResult, Ending | None]:
    spec = run.agents.specs[attempt.agent]
    reader = open_reader(spec)
    log = run.repo_root / record.log

    def note_keeper(identity: ProcessIdentity) -> None:
        record.keeper = identity
        run.save(attempt.wp_id)

    try:
        command = _command(run, attempt, log)
        ending = await run.agents.start(command, log, _limits(run, attempt.agent), reader, note_keeper)
    except CommandNotStarted as problem:
        return AttemptResult(reader.finish(), Failure(FailureKind.NOT_INSTALLED, problem.message)), None
    transcript = reader.finish()
    return AttemptResult(transcript, classify(spec, ending, transcript)), ending


def _command(run: RunContext, attempt: Attempt, log: Path) -> Command:
    """The command of an attempt, with the files that it reads written."""
    prompt_file = log.with_suffix(".prompt.md")
    line = attempt_command(run, attempt, log.parent / log.stem)
    for path, text in {prompt_file: attempt.prompt, **line.files}.items():
        _write_private(path, text)
    search = os.pathsep.join(
        [run.agents.environ.get("PATH", os.defpath), str(run.host.endpoint.binary.parent)]
    )
    return Command(
        argv=line.argv,
        cwd=attempt.workspace.path,
        env={**run.agents.environ, "PATH": search, **line.env, RUN_MARKER: run.run_id},
        stdin=prompt_file,
        grace=run.settings.grace_seconds,
        kill_now=run.agents.kill_now,
    )


def _limits(run: RunContext, agent: str) -> Limits:
    general = run.settings.agents
    own = run.agent_settings(agent).timeout_seconds
    return Limits(own or general.timeout_seconds, general.idle_timeout_seconds)


def attempt_command(run: RunContext, attempt: Attempt, attempt_dir: Path) -> CommandLine:
    """The exact command line of an attempt; `attempt_dir` is for files that the agent is given."""
    workspace = attempt.workspace
    program = run.agents.programs[attempt.agent]
    assert program is not None  # an agent without a program is never chosen
    context = CommandContext(
        binary=program,
        workspace=workspace.path,
        git_dir=workspace.git_dir,
        common_git_dir=workspace.common_git_dir,
        planning_dir=workspace.planning_dir,
        attempt_dir=attempt_dir,
        settings=run.agent_settings(attempt.agent),
    )
    return command_line(run.agents.specs[attempt.agent], attempt.role, context)


def _open_record(run: RunContext, attempt: Attempt) -> AttemptRecord:
    wp = run.record(attempt.wp_id)
    number = wp.next_number(attempt.role)
    run.log_dir.mkdir(parents=True, exist_ok=True)
    while _log_path(run, attempt, number).exists():  # left by a run that was killed before it could save
        number += 1
    log = str(_log_path(run, attempt, number).relative_to(run.repo_root))
    record = AttemptRecord(attempt.role, attempt.agent, number, log, started_at=utc_now())
    wp.attempts.append(record)
    run.save(attempt.wp_id)
    run.events.emit(AttemptStarted(attempt.wp_id, attempt.role.value, attempt.agent, number, log))
    return record


def _close_record(run: RunContext, attempt: Attempt, record: AttemptRecord) -> None:
    assert record.outcome is not None
    assert record.seconds is not None
    wp_id, role, seconds = attempt.wp_id, record.role.value, round(record.seconds, 3)
    run.save(wp_id)
    what = (wp_id, role, record.agent, record.number, record.outcome, record.message, seconds)
    run.events.emit(AttemptEnded(*what, **asdict(record.usage)))
    if record.swept:
        run.events.emit(ProcessesSwept(wp_id, record.agent, record.swept))


def _log_path(run: RunContext, attempt: Attempt, number: int) -> Path:
    return run.log_dir / f"{attempt.wp_id}-{attempt.role.value}-{number}.log"


def _write_private(path: Path, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as problem:
        raise LogNotWritten(f"cannot write {path}: {problem.strerror}") from problem
