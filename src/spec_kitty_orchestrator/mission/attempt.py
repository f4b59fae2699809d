"""One attempt of one agent: prompt file, command line, environment, process, and what came of it."""

from __future__ import annotations

import os
from pathlib import Path

import trio
from attrs import frozen

from ..agents.failure import Failure, FailureKind, classify
from ..agents.spec import CommandContext, CommandLine, Role, command_line
from ..agents.transcript import Transcript, open_reader
from ..host.workspace import Workspace
from ..processes.agent_process import AgentNotStarted, Ending, Launch, Limits, LogNotWritten
from ..processes.identity import ProcessIdentity
from ..processes.orphans import RUN_MARKER
from ..report.events import AttemptEnded, AttemptStarted, ProcessesSwept
from ..report.times import utc_now
from .context import Run
from .records import INTERRUPTED, SUCCEEDED, AttemptRecord


@frozen
class Errand:
    """What an agent is sent out for."""

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


async def run_errand(run: Run, errand: Errand) -> AttemptResult:
    """Runs one agent to its end, with everything recorded: prompt, log, attempt record, events.

    Raises:
        trio.Cancelled: the run, or this work package, is being stopped; the agent is gone by then, and
            the attempt is recorded as interrupted, which spends nothing.
        LogNotWritten: its log or a file beside it cannot be written; it is recorded in the same way.
    """
    record = _open_record(run, errand)
    started = trio.current_time()
    try:
        result, ending = await _run(run, errand, record)
    except BaseException:
        record.seconds, record.outcome = trio.current_time() - started, INTERRUPTED
        _close_record(run, errand, record)
        raise
    record.seconds = ending.seconds if ending is not None else trio.current_time() - started
    record.swept = ending.swept if ending is not None else ()
    record.usage = result.transcript.usage
    record.outcome = SUCCEEDED if result.failure is None else result.failure.kind.value
    record.message = "" if result.failure is None else result.failure.message
    _close_record(run, errand, record)
    return result


async def _run(run: Run, errand: Errand, record: AttemptRecord) -> tuple[AttemptResult, Ending | None]:
    spec = run.agents.specs[errand.agent]
    reader = open_reader(spec)

    def note_keeper(identity: ProcessIdentity) -> None:
        record.keeper = identity
        run.save(errand.wp_id)

    try:
        launch = _launch(run, errand, record)
        ending = await run.agents.start(launch, reader, run.agents.kill_now, note_keeper)
    except AgentNotStarted as problem:
        return AttemptResult(reader.finish(), Failure(FailureKind.NOT_INSTALLED, problem.message)), None
    transcript = reader.finish()
    return AttemptResult(transcript, classify(spec, ending, transcript)), ending


def _launch(run: Run, errand: Errand, record: AttemptRecord) -> Launch:
    log = run.repo_root / record.log
    prompt_file = log.with_suffix(".prompt.md")
    _write_private(prompt_file, errand.prompt)
    line = attempt_command(run, errand, log.parent / log.stem)
    for path, text in line.files.items():
        _write_private(path, text)
    settings = run.settings
    limits = Limits(
        timeout=run.agent_settings(errand.agent).timeout_seconds or settings.agents.timeout_seconds,
        idle_timeout=settings.agents.idle_timeout_seconds,
        grace=settings.grace_seconds,
    )
    return Launch(line.argv, errand.workspace.path, _environment(run, line), prompt_file, log, limits)


def attempt_command(run: Run, errand: Errand, attempt_dir: Path) -> CommandLine:
    """The exact command line of an errand."""
    workspace = errand.workspace
    program = run.agents.programs[errand.agent]
    assert program is not None  # an agent without a program is never chosen
    context = CommandContext(
        binary=program,
        workspace=workspace.path,
        git_dir=workspace.git_dir,
        common_git_dir=workspace.common_git_dir,
        planning_dir=workspace.planning_dir,
        attempt_dir=attempt_dir,
        settings=run.agent_settings(errand.agent),
    )
    return command_line(run.agents.specs[errand.agent], errand.role, context)


def _environment(run: Run, line: CommandLine) -> dict[str, str]:
    host_dir = str(run.host.endpoint.binary.parent)
    path = os.pathsep.join([*run.agents.environ.get("PATH", os.defpath).split(os.pathsep), host_dir])
    return {**run.agents.environ, "PATH": path, **line.env, RUN_MARKER: run.run_id}


def _open_record(run: Run, errand: Errand) -> AttemptRecord:
    wp = run.record(errand.wp_id)
    number = wp.next_number(errand.role)
    run.log_dir.mkdir(parents=True, exist_ok=True)
    while _log_path(run, errand, number).exists():  # left by a run that was killed before it could save
        number += 1
    log = str(_log_path(run, errand, number).relative_to(run.repo_root))
    record = AttemptRecord(errand.role, errand.agent, number, log, started_at=utc_now())
    wp.attempts.append(record)
    run.save(errand.wp_id)
    run.events.emit(AttemptStarted(errand.wp_id, errand.role.value, errand.agent, number, log))
    return record


def _close_record(run: Run, errand: Errand, record: AttemptRecord) -> None:
    assert record.outcome is not None
    assert record.seconds is not None
    usage, wp_id = record.usage, errand.wp_id
    run.save(wp_id)
    run.events.emit(
        AttemptEnded(
            wp_id,
            record.role.value,
            record.agent,
            record.number,
            record.outcome,
            record.message,
            round(record.seconds, 3),
            usage.input_tokens,
            usage.output_tokens,
            usage.cost_usd,
        )
    )
    if record.swept:
        run.events.emit(ProcessesSwept(wp_id, record.agent, record.swept))


def _log_path(run: Run, errand: Errand, number: int) -> Path:
    return run.log_dir / f"{errand.wp_id}-{errand.role.value}-{number}.log"


def _write_private(path: Path, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as problem:
        raise LogNotWritten(f"cannot write {path}: {problem.strerror}") from problem
