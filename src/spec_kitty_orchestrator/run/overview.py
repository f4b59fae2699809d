"""How a run stands, seen from outside: our own file, its events, and if asked for the host's lanes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from ..agents.custom import CustomAgent
from ..errors import OrchestratorError
from ..host.client import HostClient
from ..host.program import HostEndpoint, find_host_binary
from ..mission.records import WpRecord
from ..report.reading import FILE_NAME, EventFile
from ..report.story import Story
from ..report.wp_story import WpStory
from ..settings.loading import load_settings
from ..settings.values import Flags
from .lock import is_locked
from .opening import KITTIFY
from .state import RunState, RunStatus
from .taking_up import kept_runs

RESUME = "spec-kitty-orchestrator resume"


@frozen
class Overview:
    """One run.

    Attributes:
        how: whether it is alive, in words; `is_alive`: the process that began it last runs.
        story: what its events tell; an empty one when they are gone.
        lanes: where each work package stands: the host's word when `is_live`, else the last that was heard.
        notices: what could not be read, for a person.
    """

    root: Path
    state: RunState
    story: Story
    how: str
    is_alive: bool
    lanes: Mapping[str, str]
    is_live: bool = False
    notices: tuple[str, ...] = ()
    dependencies: Mapping[str, tuple[str, ...]] = field(factory=dict)

    @property
    def log_dir(self) -> Path:
        """Where its logs lie."""
        return log_dir(self.root, self.state)

    def record(self, wp_id: str) -> WpRecord:
        """What is remembered of a work package; nothing for one that was never tried."""
        return self.state.work_packages.get(wp_id, WpRecord())

    def wp_story(self, wp_id: str) -> WpStory:
        """What the events tell of it, with its lane as it is known here."""
        told = self.story.work_packages.get(wp_id) or WpStory(wp_id, "", self.dependencies.get(wp_id, ()))
        return evolve(told, lane=self.lanes[wp_id])

    @property
    def current(self) -> Story:
        """The story, with every work package and its lane as they are known here."""
        return evolve(self.story, work_packages={wp_id: self.wp_story(wp_id) for wp_id in self.lanes})


def log_dir(root: Path, state: RunState) -> Path:
    """Where a run's logs lie."""
    return root / KITTIFY / "logs" / state.run_id


def overview(root: Path, state: RunState) -> Overview:
    """How a run stands as far as we know ourselves; asks nobody."""
    events, story, notices = EventFile(log_dir(root, state) / FILE_NAME), Story(), []
    try:
        for timed in events.more():
            story.take(timed.time, timed.event)
    except OSError as problem:
        notices.append(f"{events.path} cannot be read: {problem.strerror}")
    notices += events.problems
    how, is_alive = how_it_stands(state, root)
    lanes = {wp_id: wp.lane for wp_id, wp in story.work_packages.items()}
    lanes |= dict.fromkeys(sorted(state.work_packages.keys() - lanes.keys()), "")
    return Overview(root, state, story, how, is_alive, lanes, notices=tuple(notices))


async def with_live_lanes(known: Overview, environ: Mapping[str, str] = os.environ) -> Overview:
    """The same, with the lanes as the host says now.

    Raises:
        OrchestratorError: the settings cannot be read, or the host cannot be asked.
    """
    settings = load_settings(known.root / KITTIFY, environ, Flags())
    binary = find_host_binary(settings.host.binary, environ)
    endpoint = HostEndpoint(binary, known.root, settings.host.timeout_seconds, environ)
    found = await HostClient(endpoint, known.state.mission, known.state.actor).mission_state()
    lanes = {wp.wp_id: wp.lane.value for wp in found.work_packages}
    dependencies = {wp.wp_id: wp.dependencies for wp in found.work_packages}
    return evolve(known, lanes=lanes, is_live=True, dependencies=dependencies)


def unfinished_others(root: Path, shown: RunState | None) -> Iterable[RunState]:
    """The newest run of each other mission or actor, if it is not finished."""
    told = {(shown.mission, shown.actor)} if shown is not None else set()
    for run in kept_runs(root / KITTIFY).runs:
        if (run.mission, run.actor) not in told and run.is_unfinished:
            yield run
        told.add((run.mission, run.actor))


def custom_agents(root: Path, environ: Mapping[str, str]) -> Mapping[str, CustomAgent]:
    """The agents of a project's own; none while its settings are broken."""
    try:
        return load_settings(root / KITTIFY, environ, Flags()).agents.custom
    except OrchestratorError:
        return {}


def how_it_stands(state: RunState, root: Path) -> tuple[str, bool]:
    """In words, and whether its process runs."""
    if state.checkout is not None and not state.belongs_to(root):
        return f"ran in {state.checkout.root}, and its state was copied here", False
    paused = f", PAUSED since {state.paused_since}" if state.paused_since is not None else ""
    if state.status is RunStatus.FINISHED:
        return (
            "finished, the mission is accepted" if state.accepted else "finished, with something left",
            False,
        )
    if state.status is not RunStatus.RUNNING:
        return f"{state.status.value}{paused}", False
    if state.process.is_alive():
        return f"running (process {state.process.pid}){paused}", True
    if state.process.is_of_another_container and is_locked(root):
        return f"running in another container (process {state.process.pid} there)", True
    return f"was killed{paused}; go on with: {RESUME}", False
