"""One run from the first signal handler to the exit code: the outermost nursery, and the run's last word."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import click
import trio
from attrs import frozen

from ..errors import ExitCode, StateFileError, find_known
from ..mission.acceptance import MissionEnd
from ..mission.asked import carry_out
from ..mission.context import RunContext
from ..mission.mission import Mission
from ..processes.agent_process import run_agent
from ..processes.awake import keep_awake
from ..processes.bounds import hard_exit_seconds
from ..processes.ending import Swept
from ..processes.open_files import raise_open_files
from ..processes.orphans import RUN_MARKER, adopt_orphans, still_running, sweep_run
from ..report.board import Board, open_display
from ..report.events import Notice, RunEnded
from ..report.lines import Lines
from ..report.reading import FILE_NAME, EventFile
from ..report.run_events import RunPaused
from ..report.stream import Records
from ..report.times import clock_time
from ..settings.loading import load_settings
from .clock import SteadyClock
from .first_words import run_started
from .jobs import Settled, end_jobs
from .last_words import overhear
from .leaving import leave_page
from .lock import RunLock, run_lock
from .notices import Notices
from .obeying import Obeying
from .opening import KITTIFY, Opened, Request, check_everything
from .ordering import OrderBox, orders_folder
from .ownership import give_back
from .plan import cost_not_told, plan_lines
from .services import open_run, with_traces
from .state import RunState, RunStatus, RunStore
from .stopping import StopControl, exit_hard_when_late
from .taking_up import take_up
from .tracing import open_traces
from .writer import StateWriter

MEND_SECONDS = 1.0
"""How long a `git clean` may hide a live run from whoever looks for it by name; its lock holds meanwhile."""
HOW_TO_GO_ON = "go on with: spec-kitty-orchestrator resume"


def plan_only(request: Request) -> ExitCode:
    """`--dry-run`: checks everything and prints the plan. Writes nothing.

    Raises:
        OrchestratorError: the first thing that is wrong.
    """
    RunStore(request.repo_root / KITTIFY).load()
    opened = trio.run(check_everything, request)
    for line in plan_lines(opened):
        click.echo(line)
    return ExitCode.ACCEPTED


def supervise(request: Request, *, resume: bool) -> ExitCode:
    """Runs a mission to its end, or until it is stopped; everything that was started is gone then.

    Raises:
        OrchestratorError: it could not be started, or the host broke.
    """
    settings = load_settings(request.repo_root / KITTIFY, request.environ, request.flags)
    stop = StopControl(settings.grace_seconds)
    exit_hard_when_late(stop, hard_exit_seconds(settings.longest_grace, settings.host.timeout_seconds))
    overheard = overhear(request.repo_root, settings.agents.custom)
    shown_on = sys.stderr if request.events else sys.stdout  # then that carries events alone
    with stop.handlers(), open_display(shown_on, plain=request.plain, overheard=overheard) as display:
        stop.leave_terminal = partial(display.__exit__, None, None, None)  # bounded
        raise_open_files()
        return trio.run(_stoppable, request, stop, display, resume, clock=SteadyClock())


async def _stoppable(request: Request, stop: StopControl, display: Board | Lines, resume: bool) -> ExitCode:
    code = ExitCode.INTERNAL
    async with trio.open_nursery() as nursery:
        work = trio.CancelScope()
        nursery.start_soon(stop.watch, work.cancel, display.notice)
        with work:
            code = await _supervise(request, stop, display, resume)
        nursery.cancel_scope.cancel()
    return stop.exit_code if work.cancelled_caught and stop.exit_code is not None else code


async def _supervise(request: Request, stop: StopControl, display: Board | Lines, resume: bool) -> ExitCode:
    store = RunStore(request.repo_root / KITTIFY)
    before = store.load()  # a damaged file is told before anything else is done
    with run_lock(request.repo_root, before) as lock:
        # What a killed run left in flight must not land after the host was asked how things stand.
        swept, settled = await _sweep(before, request, stop.grace)
        opened = await check_everything(request)
        traces = await open_traces(opened.settings.otel, request.environ, opened.agents, display.notice)
        taken = await trio.to_thread.run_sync(partial(take_up, opened, store, resume=resume))
        taken.state.left = list(dict.fromkeys((*taken.state.left, *swept.left)))
        taken.state.settle_jobs(settled.unsettled)
        writer = StateWriter(store, taken.state)
        writer.mark()
        await writer.saved()
        await trio.to_thread.run_sync(taken.is_stored)
        lock.name_run(writer.state.run_id)
        adopt_orphans()
        run = with_traces(open_run(opened, writer, opened.agent_kit(run_agent, stop.kill_now)), traces)
        session = Session(opened, writer, lock, stop, run, Notices(run, stop))
        async with session.recording(display):
            session.tell_what_begins(swept, (*taken.notices, *settled.warnings), resumed=resume)
            if before is not None and not before.belongs_to(request.repo_root):
                run.events.emit(Notice(f"{_is_a_copy(before)}; nothing of that run is touched"))
            return await session.run_mission()


async def _sweep(before: RunState | None, request: Request, grace: float) -> tuple[Swept, Settled]:
    """Ends what the last run left, unless that ran in another checkout, where it may be alive."""
    if before is None or not before.belongs_to(request.repo_root):
        return Swept(), Settled()
    swept = await sweep_run(before.run_id, grace)
    return swept, await end_jobs(before.far_jobs(), request.environ)


def _is_a_copy(before: RunState) -> str:
    where = before.checkout.root if before.checkout is not None else "another checkout"
    return f"the state of run {before.run_id} was copied here from {where}"


@frozen
class Session:
    """A run that has been opened: what it works with, what it remembers, and what stops it."""

    opened: Opened
    writer: StateWriter
    lock: RunLock
    stop: StopControl
    run: RunContext
    notices: Notices

    def tell_what_begins(self, swept: Swept, notices: tuple[str, ...], *, resumed: bool) -> None:
        """The first events: the run, how it came about, what its predecessors left behind, who is missing."""
        state, emit = self.writer.state, self.run.events.emit
        self.run.traces.follow(state.traceparent)
        emit(run_started(self.opened, state, resumed=resumed))
        self._tell_traces()
        if state.paused_since is not None:
            emit(RunPaused(state.paused_since))
        for notice in notices:
            emit(Notice(notice))
        if self.opened.shortcoming:
            emit(Notice(f"WARNING: {self.opened.shortcoming}"))
        if self.opened.settings.max_cost_usd is not None and (untold := cost_not_told(self.opened.agents)):
            emit(Notice(untold))
        for survivor in swept.ended:
            emit(Notice(f"ended what the last run left behind: {survivor}"))
        for survivor in still_running(state.known_left()):
            emit(Notice(f"WARNING: an earlier run left what could NOT be ended: {survivor}"))
        for agent_id, agent in self.opened.agents.items():
            if agent.program is None:
                emit(Notice(f"{agent_id} is not installed; the run goes on without it"))
            elif (rest := self.run.pool.remembered.get(agent_id)) is not None:
                emit(Notice(f"{agent_id} rests until {clock_time(rest.until)}: {rest.message}"))

    def _tell_traces(self) -> None:
        traces = self.run.traces
        if traces.traceparent:
            self.writer.state.traceparent = traces.traceparent
            self.writer.mark()
        if traces.notice:
            self.run.events.emit(Notice(traces.notice))

    async def run_mission(self) -> ExitCode:
        """The mission to its end, with its state on the disk and its lock in place."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.writer.keep)
            nursery.start_soon(self._stay_known)
            nursery.start_soon(self.notices.keep)
            if not self.run.settings.allow_sleep:
                nursery.start_soon(self._keep_awake)
            first = await carry_out(self.opened.request.asked, self.run, self.opened.mission)
            mission = Mission(self.run, first)
            box = OrderBox(orders_folder(self.run.repo_root), self.writer.state.process)
            nursery.start_soon(Obeying(self.run, self.writer, mission, box).obey)
            end = await mission.orchestrate()
            nursery.cancel_scope.cancel()
        self.writer.state.accepted = end.is_accepted
        finished = end.exit_code in (ExitCode.ACCEPTED, ExitCode.ATTENTION)
        return await self._end(RunStatus.FINISHED if finished else RunStatus.STOPPED, end)

    async def _keep_awake(self) -> None:
        environ = {**self.run.agents.environ, RUN_MARKER: self.run.run_id}
        await keep_awake(environ, self.run.repo_root, self.stop.kill_now)

    async def _stay_known(self) -> None:
        """Puts lock file and state file back when a `git clean` takes them away: `abort` needs them."""
        while True:
            await trio.sleep(MEND_SECONDS)
            await trio.to_thread.run_sync(self.lock.mend)
            if not await trio.to_thread.run_sync(self.writer.store.path.exists):
                self.writer.mark()

    @asynccontextmanager
    async def recording(self, display: Board | Lines) -> AsyncIterator[None]:
        """Whatever ends the run, its status says so, and its events are on the disk."""
        file = self.run.log_dir / FILE_NAME
        with suppress(OSError):  # it is only to be shown
            display.recall(await trio.to_thread.run_sync(EventFile(file).more))
        try:
            lines = Records(file, display.notice, sys.stdout if self.opened.request.events else None)
        except OSError as problem:
            raise StateFileError(f"cannot write {self.run.log_dir}: {problem.strerror}") from problem
        self.run.events.add(lines)
        self.run.events.add(display)
        self.run.events.add(self.notices)
        try:
            yield
        except BaseException as problem:
            await self._end(*_how_it_broke_off(problem, self.stop.exit_code or ExitCode.INTERRUPTED))
            raise
        finally:
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as nursery:  # each may wait: for a disk, for a network
                    nursery.start_soon(trio.to_thread.run_sync, self.run.traces.close)
                    nursery.start_soon(trio.to_thread.run_sync, lines.close)
                page = await leave_page(file, display.notice)
                await self.notices.finish(page, display.notice)
                await trio.to_thread.run_sync(give_back, self.run.log_dir, self.run.repo_root / KITTIFY)

    async def _end(self, status: RunStatus, end: MissionEnd) -> ExitCode:
        state = self.writer.state
        left = still_running(dict.fromkeys(state.known_left()))
        end = end.with_left((*left, *map(str, state.far_jobs())))
        state.status, state.reason = status, "\n".join(end.lines)
        try:
            await self.writer.save_at_last()
        finally:
            self.run.events.emit(RunEnded(status.value, int(end.exit_code), state.reason, state.totals))
        return end.exit_code


def _how_it_broke_off(problem: BaseException, stopped: ExitCode) -> tuple[RunStatus, MissionEnd]:
    """Nurseries wrap what they let out, a cancellation included, in groups."""
    known = find_known(problem)
    if known is not None:
        return RunStatus.STOPPED, MissionEnd(known.exit_code, (f"{known.message}; {HOW_TO_GO_ON}",))
    if _is_cancellation(problem):
        return RunStatus.INTERRUPTED, MissionEnd(stopped, (f"Stopped; {HOW_TO_GO_ON}",))
    return RunStatus.STOPPED, MissionEnd(ExitCode.INTERNAL, (f"{problem!r}; {HOW_TO_GO_ON}",))


def _is_cancellation(problem: BaseException) -> bool:
    inside = getattr(problem, "exceptions", ())
    return isinstance(problem, trio.Cancelled) or (bool(inside) and all(map(_is_cancellation, inside)))
