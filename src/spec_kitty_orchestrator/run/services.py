"""The services of a run, put together from what was opened and what is remembered."""

from __future__ import annotations

from functools import partial

from attrs import evolve

from ..host.client import HostClient
from ..host.notes import Notes
from ..host.program import Runner
from ..mission.budget import Budget
from ..mission.context import AgentKit, RunContext, new_pool
from ..mission.evidence import GitRepository, Repository
from ..mission.pause import Pause
from ..mission.records import MergeRecord
from ..mission.slots import Slots
from ..processes.orphans import RUN_MARKER
from ..report.stream import EventStream
from ..report.untraced import Untraced
from .opening import Opened
from .writer import StateWriter


def _note_merge(writer: StateWriter, merge: MergeRecord) -> None:
    writer.state.merge = merge
    writer.mark()


def open_run(
    opened: Opened,
    writer: StateWriter,
    kit: AgentKit,
    repository: Repository | None = None,
    ask_host: Runner | None = None,
) -> RunContext:
    """The services of a run.

    Args:
        repository: what is committed, if not what git has.
        ask_host: runs the host's commands, in place of a process for each.
    """
    state = writer.state
    environ = {**opened.request.environ, RUN_MARKER: state.run_id}
    settings, pause = opened.settings, Pause(state.paused_since)
    endpoint = evolve(
        opened.host.endpoint,
        environ=environ,
        kill_now=kit.kill_now,
        tell_left=lambda who, left: run.note_left(who, left),
    )
    host, events = HostClient(endpoint, state.mission, state.actor, ask_host), EventStream()
    pool = new_pool(kit, events, state.resting, writer.mark)
    pool.waits_for_people, pause.over = settings.wait_for_people, pool.put_back
    limits = (settings.max_cost_usd, settings.max_runtime_seconds)
    run = RunContext(
        repo_root=opened.request.repo_root,
        run_id=state.run_id,
        settings=settings,
        host=host,
        agents=kit,
        record=state.record,
        save=writer.mark,
        saved=writer.saved,
        events=events,
        notes=Notes(host, events),
        pool=pool,
        budget=Budget(*limits, state.work_packages, events.emit, pause),
        pause=pause,
        repository=repository or GitRepository(),
        slots=Slots(settings.max_concurrent_wps),
        wanted=opened.wanted,
        merge=lambda: state.merge,
        note_merge=partial(_note_merge, writer),
        walls=opened.walls,
        left=state.left,
    )
    return run


def with_traces(run: RunContext, traces: Untraced) -> RunContext:
    """The same run, with what happens in it, its host calls included, told to its traces."""
    run.events.add(traces)
    run.host.watch = traces.host_call
    return evolve(run, traces=traces)
