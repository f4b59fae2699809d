"""What all work packages of one run share: values, and the few services that act for them."""

from __future__ import annotations

import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import trio
from attrs import define, field, frozen

from .. import __version__
from ..agents import all_agent_ids, get_agent
from ..agents.custom import as_spec
from ..agents.failure import Failure, FailureKind
from ..agents.spec import AgentSettings, AgentSpec, Role, policy_flags
from ..host.client import HostClient
from ..host.contract.policy import PolicyMetadata
from ..host.notes import History
from ..processes.agent_process import Ending, Launch, OutputSink
from ..processes.identity import ProcessIdentity
from ..report.events import EventStream
from ..run.state import RunState, RunStore
from ..settings.values import Settings
from .agent_pool import Roster

PROGRAM = "spec-kitty-orchestrator"


class StartAttempt(Protocol):
    """Runs one agent process to its end; `process.run_attempt`, or a simulated one."""

    def __call__(
        self,
        launch: Launch,
        sink: OutputSink,
        kill_now: trio.Event,
        on_start: Callable[[ProcessIdentity], None],
    ) -> Awaitable[Ending]: ...


@define(eq=False)
class FirstClaim:
    """Lets the first claim of a run go alone.

    The host makes the mission's branch with it, and two first ones at once can collide there (3.2.7:
    LANE_ALLOCATION_FAILED, "a branch named ... already exists"; rare, seen on a busy machine).
    """

    _lock: trio.Lock = field(factory=trio.Lock, init=False)
    _made: bool = field(default=False, init=False)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Make a claim inside; others wait until one has succeeded, and from then on nobody does."""
        if not self._made:
            async with self._lock:
                if not self._made:
                    yield
                    self._made = True
                    return
        yield


@define(eq=False)
class Slots:
    """How many work packages may have an agent at work at once; `freed` is told when one gives way."""

    limiter: trio.CapacityLimiter
    freed: Callable[[], None] = lambda: None

    @property
    def are_free(self) -> bool:
        """Whether one more may start now."""
        return self.limiter.available_tokens > 0


@define(eq=False)
class Slot:
    """One work package's place among those that may have an agent at work; can be lent to others."""

    _slots: Slots
    held: bool = field(default=False, init=False)

    def take_now(self) -> None:
        """Takes a place that is free."""
        self._slots.limiter.acquire_on_behalf_of_nowait(self)
        self.held = True

    async def take(self) -> None:
        """Waits for a place, first come first served."""
        await self._slots.limiter.acquire_on_behalf_of(self)
        self.held = True

    def give_back(self) -> None:
        """Gives the place to the next one; nothing happens when there is none to give."""
        if self.held:
            self.held = False
            self._slots.limiter.release_on_behalf_of(self)
            self._slots.freed()


@frozen
class AgentKit:
    """The agents that this run knows, the programs found for them, and how a process is started."""

    specs: Mapping[str, AgentSpec]
    programs: Mapping[str, Path | None]
    environ: Mapping[str, str]
    start: StartAttempt
    kill_now: trio.Event


def new_roster(kit: AgentKit) -> Roster:
    """A roster on which the agents that are not installed are out from the start."""
    roster = Roster(trio.current_time)
    for agent, program in kit.programs.items():
        if program is None:
            roster.drop(agent, Failure(FailureKind.NOT_INSTALLED, "not installed (not on PATH)"))
    return roster


@frozen
class Run:
    """One run of one mission.

    Attributes:
        jitter: a number between 0 and 1, to spread retries apart.
        nonce: a word that nobody can guess, for review references.
    """

    repo_root: Path
    settings: Settings
    host: HostClient
    agents: AgentKit
    store: RunStore
    state: RunState
    events: EventStream
    roster: Roster
    slots: Slots
    history: History
    workspaces: dict[Path, trio.Lock] = field(factory=dict)
    first_claim: FirstClaim = field(factory=FirstClaim)
    jitter: Callable[[], float] = random.random
    nonce: Callable[[], str] = lambda: secrets.token_hex(4)

    @property
    def log_dir(self) -> Path:
        """Where this run's logs lie."""
        return self.repo_root / ".kittify" / "logs" / self.state.run_id

    def save(self, wp_id: str | None = None) -> None:
        """Stores the run state; with `wp_id`, only that record has changed."""
        self.store.save(self.state, wp_id)

    def agent_settings(self, agent: str) -> AgentSettings:
        """What the user set for an agent."""
        return self.settings.agents.settings.get(agent, AgentSettings())

    def workspace_lock(self, path: Path) -> trio.Lock:
        """Work packages of one lane share a workspace; only one may have an agent in it at a time."""
        return self.workspaces.setdefault(path, trio.Lock())

    def policy(self, agent: str, role: Role) -> PolicyMetadata:
        """What the host is told about the agent that a call is about: only what is true of it."""
        return policy_for(self.settings, self.agents.specs[agent], role)


def policy_for(settings: Settings, spec: AgentSpec, role: Role) -> PolicyMetadata:
    """The policy metadata for one agent in one role.

    Raises:
        PolicyError: a value that the host would refuse.
    """
    extra = settings.agents.settings.get(spec.agent_id, AgentSettings()).extra_args
    return PolicyMetadata(
        orchestrator_id=PROGRAM,
        orchestrator_version=__version__,
        agent_family=spec.family,
        approval_mode=settings.policy.approval_mode,
        sandbox_mode="read_only"
        if role is Role.REVIEW and spec.read_only_review
        else settings.policy.sandbox_mode,
        network_mode=settings.policy.network_mode,
        dangerous_flags=policy_flags(spec, role, extra),
    )


def known_agents(settings: Settings) -> dict[str, AgentSpec]:
    """Every agent that the settings may name: the catalogue's and the user's own."""
    known = {agent_id: get_agent(agent_id) for agent_id in all_agent_ids()}
    known.update((agent_id, as_spec(agent_id, custom)) for agent_id, custom in settings.agents.custom.items())
    return known
