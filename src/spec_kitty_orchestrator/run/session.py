"""One run from the first signal handler to the exit code: the outermost nursery, and the run's last word."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import click
import trio
from attrs import evolve, frozen

from ..errors import ExitCode, find_known
from ..host.client import HostClient
from ..host.notes import Notes
from ..host.program import Runner
from ..mission.context import AgentKit, RunContext, new_pool
from ..mission.mission import Mission, MissionEnd
from ..mission.slots import Slots
from ..processes.agent_process import run_agent
from ..processes.ending import Swept
from ..processes.orphans import RUN_MARKER, adopt_orphans, still_running, sweep_run
from ..report.board import Board, open_display
from ..report.events import EventStream, JsonLines, Notice, RunEnded, RunStarted
from ..report.lines import Lines
from ..settings.loading import load_settings
from .lock import run_lock
from .opening import KITTIFY, Opened, Request, check_everything
from .plan import plan_lines
from .state import RunState, RunStatus, RunStore, open_state
from .stopping import StopControl

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
    grace = load_settings(request.repo_root / KITTIFY, request.environ, request.flags).grace_seconds
    stop = StopControl(grace)
    with stop.handlers():
        return trio.run(_stoppable, request, stop, resume)


async def _stoppable(request: Request, stop: StopControl, resume: bool) -> ExitCode:
    code = ExitCode.INTERNAL
    async with trio.open_nursery() as nursery:
        work = trio.CancelScope()
        nursery.start_soon(stop.watch, work.cancel, _say)
        with work:
            code = await _supervise(request, stop, resume)
        nursery.cancel_scope.cancel()
    return stop.exit_code if work.cancelled_caught and stop.exit_code is not None else code


async def _supervise(request: Request, stop: StopControl, resume: bool) -> ExitCode:
    store = RunStore(request.repo_root / KITTIFY)
    before = store.load()  # a damaged file is told before anything else is done
    with ExitStack() as held:
        swept = Swept()
        if before is not None:
            held.enter_context(run_lock(request.repo_root, store))
            # What a killed run left in flight must not land after the host was asked how things stand.
            swept = await sweep_run(before.run_id, stop.grace)
        opened = await check_everything(request)
        if before is None:  # the lock writes, and a first run writes nothing before all is checked
            held.enter_context(run_lock(request.repo_root, store))
        state = open_state(opened, store, resume=resume)
        adopt_orphans()
        run = open_run(opened, store, state, opened.agent_kit(run_agent, stop.kill_now))
        session = Session(opened, store, state, stop, run, swept.left)
        with open_display() as display, session.recording(display):
            session.tell_what_begins(swept, resumed=resume)
            return await session.run_mission(display)


def open_run(
    opened: Opened, store: RunStore, state: RunState, kit: AgentKit, ask_host: Runner | None = None
) -> RunContext:
    """The services of a run; `ask_host` runs the host's commands in place of a process for each."""
    environ = {**opened.request.environ, RUN_MARKER: state.run_id}
    endpoint = evolve(opened.host.endpoint, environ=environ, kill_now=kit.kill_now)
    host, events = HostClient(endpoint, state.mission, state.actor, ask_host), EventStream()
    return RunContext(
        repo_root=opened.request.repo_root,
        run_id=state.run_id,
        settings=opened.settings,
        host=host,
        agents=kit,
        record=state.record,
        save=lambda wp_id: store.save(state, wp_id),
        events=events,
        notes=Notes(host, events),
        pool=new_pool(kit),
        slots=Slots(trio.CapacityLimiter(opened.settings.max_concurrent_wps)),
    )


@frozen
class Session:
    """A run that has been opened: what it works with, what it remembers, and what stops it.

    `left` is what its predecessor left and could not be ended.
    """

    opened: Opened
    store: RunStore
    state: RunState
    stop: StopControl
    run: RunContext
    left: tuple[str, ...] = ()

    def tell_what_begins(self, swept: Swept, *, resumed: bool) -> None:
        """The first events: the run, what its predecessor left behind, who is missing."""
        state, emit = self.state, self.run.events.emit
        lanes = {wp.wp_id: wp.lane.value for wp in self.opened.mission.work_packages}
        emit(RunStarted(state.run_id, state.mission, state.actor, lanes, resumed))
        for survivor in swept.ended:
            emit(Notice(f"ended what the last run left behind: {survivor}"))
        for survivor in swept.left:
            emit(Notice(f"WARNING: the last run left what could NOT be ended: {survivor}"))
        for agent_id, agent in self.opened.agents.items():
            if agent.program is None:
                emit(Notice(f"{agent_id} is not installed; the run goes on without it"))

    async def run_mission(self, display: Board | Lines) -> ExitCode:
        """The mission, with the display's clock beside it."""
        async with trio.open_nursery() as nursery:
            if isinstance(display, Board):
                nursery.start_soon(_redraw, display)
            end = await Mission(self.run, self.opened.mission).orchestrate()
            nursery.cancel_scope.cancel()
        finished = end.exit_code in (ExitCode.ACCEPTED, ExitCode.ATTENTION)
        return self._end(RunStatus.FINISHED if finished else RunStatus.STOPPED, end)

    @contextmanager
    def recording(self, display: Board | Lines) -> Iterator[None]:
        """Whatever ends the run, its status says so, and its events are on the disk."""
        lines = JsonLines(self.run.log_dir / "events.jsonl")
        self.run.events.add(lines)
        self.run.events.add(display)
        try:
            yield
        except BaseException as problem:
            self._end(*_how_it_broke_off(problem, self.stop.exit_code or ExitCode.INTERRUPTED))
            raise
        finally:
            lines.close()

    def _end(self, status: RunStatus, end: MissionEnd) -> ExitCode:
        attempts = [attempt for record in self.state.work_packages.values() for attempt in record.attempts]
        end = end.with_left(still_running((*self.left, *(name for each in attempts for name in each.left))))
        self.state.status, self.state.reason = status, "\n".join(end.lines)
        self.store.save(self.state)
        self.run.events.emit(RunEnded(status.value, int(end.exit_code), self.state.reason))
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


async def _redraw(board: Board) -> None:
    while True:
        await trio.sleep(0.5)
        board.tick()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
