"""Opens a run: repository, settings, agents, host, mission, lock and run state, checked in this order."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import trio
from attrs import field, frozen
from filelock import FileLock, Timeout

from ..agents import find_binary
from ..agents.spec import AgentSpec, Role
from ..errors import NoAgentCanWork, RunLocked, StateFileError, UsageError
from ..host.client import HostClient, HostEndpoint, find_host_binary
from ..host.contract.payloads import MissionState
from ..mission.context import AgentKit, StartAttempt, known_agents, policy_for
from ..processes.identity import ProcessIdentity
from ..settings.loading import load_settings
from ..settings.values import Flags, Settings
from .state import INTERRUPTED, RunState, RunStatus, RunStore, utc_now

KITTIFY = ".kittify"
LOCK_NAME = "orchestrator.lock"


@frozen
class Request:
    """What the user asked for; `mission` is empty to go on with the last run."""

    mission: str
    actor: str
    repo_root: Path
    flags: Flags = field(factory=Flags)
    environ: Mapping[str, str] = field(factory=lambda: dict(os.environ))


@frozen
class Opened:
    """Everything that could be checked, checked; nothing is written yet."""

    request: Request
    settings: Settings
    specs: Mapping[str, AgentSpec]
    programs: Mapping[str, Path | None]
    host: HostClient
    mission: MissionState

    def agent_kit(self, start: StartAttempt, kill_now: trio.Event) -> AgentKit:
        """The agents, and how one is started."""
        return AgentKit(self.specs, self.programs, self.request.environ, start, kill_now)


def find_repo_root(given: Path | None) -> Path:
    """The primary checkout of a project: the folder given, or the nearest one above with `.kittify`.

    Raises:
        UsageError: there is none, or it is not the primary checkout of a git repository.
    """
    start = (given or Path.cwd()).resolve()
    candidates = [start] if given is not None else [start, *start.parents]
    root = next((folder for folder in candidates if (folder / KITTIFY).is_dir()), None)
    if root is None:
        raise UsageError(
            f"{start}: no spec-kitty project here{'' if given else ' or above'} (no {KITTIFY} folder)",
            remedy="go to the project, give --repo-root, or make one with: spec-kitty init",
        )
    git = root / ".git"
    if git.is_file():
        raise UsageError(
            f"{root} is a linked worktree", remedy="run it in the primary checkout, or give --repo-root"
        )
    if not git.is_dir():
        raise UsageError(f"{root} is not a git repository", remedy="make it one with: git init")
    return root


async def check_everything(request: Request) -> Opened:
    """Checks all that can be checked before a run, what costs nothing first. Changes nothing.

    Raises:
        OrchestratorError: the first thing that is wrong, with its remedy.
    """
    settings = load_settings(request.repo_root / KITTIFY, request.environ, request.flags)
    specs = known_agents(settings)
    programs = {agent: find_binary(specs[agent], request.environ) for agent in _named(settings)}
    for role in Role:
        check_role(role, getattr(settings.agents, role.value), programs)
        for agent in getattr(settings.agents, role.value):
            policy_for(settings, specs[agent], role)
    binary = find_host_binary(settings.host.binary, request.environ)
    endpoint = HostEndpoint(binary, request.repo_root, settings.host.timeout_seconds, request.environ)
    host = HostClient(endpoint, request.mission, request.actor)
    await host.contract_version()
    mission = await host.mission_state()
    host.mission = mission.mission_slug
    return Opened(request, settings, specs, programs, host, mission)


def _named(settings: Settings) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*settings.agents.implementation, *settings.agents.review)))


def check_role(role: Role, agents: tuple[str, ...], programs: Mapping[str, Path | None]) -> None:
    """Raises NoAgentCanWork when none of a role's agents is installed."""
    if not any(programs[agent] for agent in agents):
        raise NoAgentCanWork(
            f"agents.{role.value}: {', '.join(agents)}: not installed (not on PATH)",
            remedy="install it, or name another one; `spec-kitty-orchestrator agents` shows what is here",
        )


@contextmanager
def run_lock(repo_root: Path, store: RunStore) -> Iterator[None]:
    """Holds the repository for one run; the system gives it back when we die, however that happens.

    Raises:
        RunLocked: another run holds it.
        StateFileError: our own folder cannot be written.
    """
    logs = repo_root / KITTIFY / "logs"
    lock = FileLock(logs / LOCK_NAME, timeout=0)
    try:
        logs.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        state = store.load()
        who = f"run {state.run_id} (process {state.process.pid})" if state else "another run"
        raise RunLocked(
            f"{who} holds {repo_root}", remedy="wait for it, or end it with: spec-kitty-orchestrator abort"
        ) from None
    except OSError as problem:
        raise StateFileError(
            f"cannot write {logs}: {problem.strerror}", remedy="make it writable"
        ) from problem
    try:
        yield
    finally:
        lock.release()


def is_locked(repo_root: Path) -> bool:
    """Whether a live run holds the repository."""
    path = repo_root / KITTIFY / "logs" / LOCK_NAME
    if not path.exists():
        return False
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    lock.release()
    return False


def open_state(opened: Opened, store: RunStore, *, resume: bool) -> RunState:
    """The state of this run, stored: with `resume` the last run's, if there was one, else a new one.

    Raises:
        UsageError: an unfinished run of another mission would be forgotten.
        StateFileError: the state cannot be read or stored.
    """
    request, before = opened.request, store.load()
    if resume and before is not None:
        state = continue_state(before, request.actor)
    else:
        state = begin_state(request, opened.mission.mission_slug, before)
    store.save(state)
    return state


def begin_state(request: Request, slug: str, before: RunState | None) -> RunState:
    """The state of a new run; what an earlier run of this mission, as this actor, holds stays held.

    Raises:
        UsageError: an unfinished run of another mission would be forgotten.
    """
    same = before is not None and (before.mission, before.actor) == (slug, request.actor)
    if before is not None and before.mission != slug and before.status.is_unfinished:
        raise UsageError(
            f"run {before.run_id} of mission {before.mission} is not finished",
            remedy="go on with it (resume) or give it up (abort), then start this one",
        )
    now = datetime.now(timezone.utc)
    state = RunState(
        run_id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        mission=slug,
        actor=request.actor,
        started_at=utc_now(),
        process=ProcessIdentity.of(os.getpid()),
        flags=request.flags,
    )
    if same and before is not None:
        state.work_packages = {wp_id: old.for_a_new_run() for wp_id, old in before.work_packages.items()}
    return state


def continue_state(state: RunState, actor: str) -> RunState:
    """The state of a run that goes on: attempts cut short are marked so, and nothing was spent on them."""
    state.process, state.status, state.reason = ProcessIdentity.of(os.getpid()), RunStatus.RUNNING, ""
    if actor != state.actor:  # what the other actor holds is not ours
        state.actor = actor
        for record in state.work_packages.values():
            record.ours = False
    for record in state.work_packages.values():
        record.forgive()
        for attempt in record.attempts:
            attempt.outcome = attempt.outcome or INTERRUPTED
    return state
