"""One attempt: one agent, once, in one role, with its prompt, command, limits, and what came of it."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import trio
from attrs import asdict, evolve, frozen

from ..agents.agent import Agent
from ..agents.continued import newest, own_usage
from ..agents.failure import Failure
from ..agents.sessions import InSession
from ..agents.spec import FailureKind, Role, Wall
from ..agents.transcript import Transcript, TranscriptReader, Usage
from ..errors import OrchestratorError
from ..host.workspace import Workspace
from ..processes.agent_process import Limits
from ..processes.attempt_log import LogNotWritten
from ..processes.ending import Ending
from ..processes.identity import ProcessIdentity
from ..processes.keeper import Command
from ..processes.orphans import RUN_MARKER
from ..processes.starting import CommandNotStarted, ProgramMissing
from ..report.events import AttemptEnded, AttemptStarted, ProcessesLeft, ProcessesSwept
from ..report.times import utc_now
from ..walls.around import not_put_up
from ..walls.enclosure import Occupant
from .context import RunContext
from .launching import launch_elsewhere
from .records import INTERRUPTED, SUCCEEDED, AttemptRecord
from .sessions import KeptSession

READ_AT_ONCE_BYTES = 16 * 1024
"""Reading so much takes no longer than handing it to a thread is worth."""


@frozen
class Attempt:
    """Who is to do what, where, in which words it is told, and in which session of its own."""

    wp_id: str
    role: Role
    agent: Agent
    workspace: Workspace
    prompt: str
    session: KeptSession | None = None

    @property
    def in_session(self) -> InSession | None:
        """What the agent's command line says of its session."""
        return None if self.session is None else self.session.in_session


@frozen
class AttemptResult:
    """What came of an attempt: the agent's last words, and why it failed if it did."""

    transcript: Transcript
    failure: Failure | None


async def run_attempt(run: RunContext, attempt: Attempt) -> AttemptResult:
    """Runs one agent to its end, with everything recorded: prompt, log, attempt record, events.

    Raises:
        BudgetSpent: the run's budget is spent.
        Paused: the run is paused.
        LogNotWritten: the log, or a file that the agent is given, cannot be written.
        CommandNotStarted: it could not be started, and the agent is not to blame. None of these
            spends anything.
        trio.Cancelled: the run, or this work package, is being stopped; the agent is gone by then, and
            the attempt is recorded as interrupted, which spends nothing.
    """
    run.check_may_begin()  # what was done since the agent was chosen took its time
    record = _open_record(run, attempt)
    reader = attempt.agent.open_reader(partial(_note_session, run, attempt, record))
    started = trio.current_time()
    outcome = INTERRUPTED
    try:
        result = await _run(run, attempt, record, reader)
        outcome = SUCCEEDED if result.failure is None else result.failure.kind.value
        record.message = "" if result.failure is None else result.failure.message
    except OrchestratorError as problem:
        record.message = problem.message
        raise
    finally:
        record.outcome = outcome
        record.job = record.job if record.keeper is not None else None  # nothing was launched
        record.usage = _own_usage(run, attempt, reader.usage, outcome)
        record.seconds = trio.current_time() - started if record.seconds is None else record.seconds
        _close_record(run, attempt.wp_id, record)
        run.budget.look()
    _keep_session(run, attempt, result)
    return result


async def _run(
    run: RunContext, attempt: Attempt, record: AttemptRecord, reader: TranscriptReader
) -> AttemptResult:
    agent, log = attempt.agent, run.repo_root / record.log

    def note_keeper(identity: ProcessIdentity) -> None:
        record.keeper = identity
        run.save(attempt.wp_id)

    def note_end(ending: Ending) -> None:
        record.left, record.elsewhere = ending.left, ending.elsewhere  # also of one stopped with the run
        record.job = record.job if ending.elsewhere else None

    general = run.settings.agents
    limits = Limits(
        agent.settings.timeout_seconds or general.timeout_seconds,
        general.idle_timeout_seconds,
        max_log_mib=run.settings.max_log_mb,
    )
    try:
        far = launch_elsewhere(run, attempt.wp_id, record, agent, attempt.workspace)
        await run.saved()  # whoever comes after a crash knows of the attempt
        command = evolve(_command(run, attempt, log), on_end=note_end, far=far)
        ending = await run.agents.start(command, log, limits, reader, note_keeper)
    except ProgramMissing as problem:
        return AttemptResult(reader.finish(), Failure(FailureKind.NOT_INSTALLED, problem.message))
    record.seconds, record.swept, record.left = ending.seconds, ending.swept, ending.left
    transcript = await _finish(reader)
    if run.walls.of(agent) is not Wall.OFF and (complaint := not_put_up(ending, transcript)):
        raise CommandNotStarted(f"{agent.agent_id}: its sandbox could not be put up: {complaint}")
    failure = agent.judge(ending, transcript, attempt.in_session)
    if failure is None or failure.kind is FailureKind.ATTEMPT_LIMIT:
        run.pool.worked(agent.agent_id)
    return AttemptResult(transcript, failure)


async def _finish(reader: TranscriptReader) -> Transcript:
    """What is long is read beside the event loop; a stop waits for it, or work that is done would be lost."""
    if reader.unread_bytes <= READ_AT_ONCE_BYTES:
        return reader.finish()
    with trio.CancelScope(shield=True):
        transcript = await trio.to_thread.run_sync(reader.finish)
    return transcript  # noqa: RET504 - to mypy the scope may swallow what is raised in it


def _command(run: RunContext, attempt: Attempt, log: Path) -> Command:
    """The command of an attempt, behind its wall, with the files that it reads written."""
    folder, workspace = log.parent / log.stem, attempt.workspace
    line = attempt.agent.command_line(attempt.role, workspace, folder, attempt.in_session)
    environ = {**run.agents.environ, **run.traces.environ(attempt.wp_id)}
    search = (environ.get("PATH", os.defpath), str(run.host.endpoint.binary.parent))
    env = {**environ, "PATH": os.pathsep.join(search), **line.env, RUN_MARKER: run.run_id}
    inside = Occupant(attempt.agent, attempt.role, workspace, folder, env)
    walled = run.walls.around(inside, line.argv)
    prompt_file = log.with_suffix(".prompt.md")
    for path, text in {prompt_file: attempt.prompt, **line.files, **walled.files}.items():
        _write_private(path, text)
    return Command(
        argv=walled.argv,
        cwd=walled.cwd,
        env=env,
        stdin=prompt_file,
        grace=run.settings.grace_seconds,
        kill_now=run.agents.kill_now,
    )


def _open_record(run: RunContext, attempt: Attempt) -> AttemptRecord:
    work_package = run.record(attempt.wp_id)
    number = work_package.next_number(attempt.role)
    try:
        run.log_dir.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise LogNotWritten(f"cannot make {run.log_dir}: {problem.strerror}") from problem
    # One that exists was left by a run that was killed before it could save.
    while (log := run.log_dir / f"{attempt.wp_id}-{attempt.role.value}-{number}.log").exists():
        number += 1
    path = str(log.relative_to(run.repo_root))
    record = AttemptRecord(attempt.role, attempt.agent.agent_id, number, path, started_at=utc_now())
    before = work_package.sessions.pop(attempt.role, None)
    if (session := attempt.session) is not None:
        work_package.sessions[attempt.role] = session.under_way(before)
        record.session_id, record.continued = session.session_id, session.resumed
    work_package.attempts.append(record)
    run.save(attempt.wp_id)
    what = (record.role.value, record.agent, number, path, record.continued)
    run.events.emit(AttemptStarted(attempt.wp_id, *what))
    return record


# The agent's own session.


def _note_session(run: RunContext, attempt: Attempt, record: AttemptRecord, told: str) -> None:
    """Keeps the id that an agent gave its session as soon as it tells it: it may be killed at any moment."""
    kept = run.record(attempt.wp_id).sessions.get(attempt.role)
    if kept is not None and kept.session_id is None:
        run.record(attempt.wp_id).sessions[attempt.role] = evolve(kept, session_id=told)
        record.session_id = told
        run.save(attempt.wp_id)


def _own_usage(run: RunContext, attempt: Attempt, told: Usage, outcome: str) -> Usage:
    """What the attempt itself cost; what its session has cost is noted for the next one."""
    sessions, how = run.record(attempt.wp_id).sessions, attempt.agent.spec.sessions
    kept = sessions.get(attempt.role)
    if kept is None or how is None or outcome == FailureKind.SESSION_LOST.value:
        return told
    sessions[attempt.role] = evolve(kept, cost=newest(told, kept.cost))
    return own_usage(how, told, kept.cost)


def _keep_session(run: RunContext, attempt: Attempt, result: AttemptResult) -> None:
    """Keeps what may be gone on with, or nothing; the id may stand at the end of the output alone."""
    sessions = run.record(attempt.wp_id).sessions
    kept = sessions.pop(attempt.role, None)
    if kept is not None and (left := kept.after(result.failure, result.transcript)) is not None:
        if result.failure is None and attempt.session is not None:
            left = evolve(left, told=attempt.session.told)
        sessions[attempt.role] = evolve(left, session_id=left.session_id or result.transcript.session_id)
    run.save(attempt.wp_id)


def _close_record(run: RunContext, wp_id: str, record: AttemptRecord) -> None:
    assert record.outcome is not None
    assert record.seconds is not None
    run.save(wp_id)
    what = (record.role.value, record.agent, record.number, record.outcome, record.message)
    usage, session = asdict(record.usage), record.session_id
    run.events.emit(AttemptEnded(wp_id, *what, round(record.seconds, 3), **usage, session_id=session))
    if record.swept:
        run.events.emit(ProcessesSwept(wp_id, record.agent, record.swept))
    if record.elsewhere:
        run.events.emit(ProcessesLeft(wp_id, record.agent, (record.elsewhere,)))
    if record.left:
        run.events.emit(ProcessesLeft(wp_id, record.agent, record.left))


def _write_private(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        path.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise LogNotWritten(f"cannot write {path}: {problem.strerror}") from problem
