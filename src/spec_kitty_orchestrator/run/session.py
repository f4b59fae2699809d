"""One run from the first signal handler to the exit code: the outermost nursery, and the run's last word."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import click
import trio
from attrs import evolve

from ..errors import ExitCode, find_known
from ..host.client import HostClient, Runner
from ..host.notes import History
from ..mission.context import AgentKit, Run, Slots, new_roster
from ..mission.mission import Mission, MissionEnd
from ..processes.agent_process import adopt_orphans, run_attempt
from ..report.board import Board, Display, open_display
from ..report.events import EventStream, JsonLines, Notice, RunEnded, RunStarted
from ..settings.loading import load_settings
from .opening import KITTIFY, Opened, Request, check_everything, open_state, run_lock
from .plan import plan_lines
from .state import RunState, RunStatus, RunStore
from .stopping import RUN_MARKER, StopControl, sweep_run

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
        swept: tuple[str, ...] = ()
        if before is not None:
            held.enter_context(run_lock(request.repo_root, store))
            # What a killed run left in flight must not land after the host was asked how things stand.
            swept = await sweep_run(before.run_id, stop.grace)
        opened = await check_everything(request)
        if before is None:  # the lock writes, and a first run writes nothing before all is checked
            held.enter_context(run_lock(request.repo_root, store))
        state = open_state(opened, store, resume=resume)
        adopt_orphans()
        run = open_run(opened, store, state, opened.agent_kit(run_attempt, stop.kill_now))
        with open_display() as display, _recording(run, display, stop):
            _tell_what_begins(run, opened, swept, resumed=resume)
            return await _run_mission(run, opened, display)


def open_run(
    opened: Opened, store: RunStore, state: RunState, kit: AgentKit, ask_host: Runner | None = None
) -> Run:
    """The services of a run; `ask_host` runs the host's commands in place of a process for each."""
    environ = {**opened.request.environ, RUN_MARKER: state.run_id}
    endpoint = evolve(opened.host.endpoint, environ=environ, kill_now=kit.kill_now)
    host, events = HostClient(endpoint, state.mission, state.actor, ask_host), EventStream()
    return Run(
        repo_root=opened.request.repo_root,
        settings=opened.settings,
        host=host,
        agents=kit,
        store=store,
        state=state,
        events=events,
        history=History(host, events),
        roster=new_roster(kit),
        slots=Slots(trio.CapacityLimiter(opened.settings.max_concurrent_wps)),
    )


def _tell_what_begins(run: Run, opened: Opened, swept: tuple[str, ...], *, resumed: bool) -> None:
    state = run.state
    lanes = {wp.wp_id: wp.lane.value for wp in opened.mission.work_packages}
    run.events.emit(RunStarted(state.run_id, state.mission, state.actor, lanes, resumed))
    for survivor in swept:
        run.events.emit(Notice(f"ended what the last run left behind: {survivor}"))
    for agent, program in opened.programs.items():
        if program is None:
            run.events.emit(Notice(f"{agent} is not installed; the run goes on without it"))


async def _run_mission(run: Run, opened: Opened, display: Display) -> ExitCode:
    async with trio.open_nursery() as nursery:
        if isinstance(display, Board):
            nursery.start_soon(_redraw, display)
        end = await Mission(run, opened.mission).orchestrate()
        nursery.cancel_scope.cancel()
    finished = end.exit_code in (ExitCode.ACCEPTED, ExitCode.ATTENTION)
    _last_word(run, RunStatus.FINISHED if finished else RunStatus.STOPPED, end)
    return end.exit_code


@contextmanager
def _recording(run: Run, display: Display, stop: StopControl) -> Iterator[None]:
    """Whatever ends the run, its status says so, and its events are on the disk."""
    lines = JsonLines(run.log_dir / "events.jsonl")
    run.events.add(lines)
    run.events.add(display)
    try:
        yield
    except BaseException as problem:
        _last_word(run, *_how_it_broke_off(problem, stop.exit_code or ExitCode.INTERRUPTED))
        raise
    finally:
        lines.close()


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


def _last_word(run: Run, status: RunStatus, end: MissionEnd) -> None:
    run.state.status, run.state.reason = status, "\n".join(end.lines)
    run.save()
    run.events.emit(RunEnded(status.value, int(end.exit_code), run.state.reason))


async def _redraw(board: Board) -> None:
    while True:
        await trio.sleep(0.5)
        board.tick()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
