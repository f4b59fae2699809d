"""What all work packages of one run share: values, and the few services that act for them."""

from __future__ import annotations

import random
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import trio
from attrs import field, frozen

from .. import __version__
from ..agents.agent import Agent
from ..agents.enforced import enforced_modes
from ..agents.failure import Failure
from ..agents.spec import FailureKind, Role
from ..host.client import HostClient
from ..host.contract.policy import PolicyMetadata
from ..host.notes import Notes
from ..processes.agent_process import RunAgent
from ..report.events import Notice
from ..report.stream import EventStream
from ..report.untraced import Untraced
from ..settings.values import Settings
from ..walls.around import Walls
from .agent_pool import AgentPool
from .budget import Budget
from .claims import Claims
from .evidence import Repository
from .pause import Pause
from .records import MergeRecord, WpRecord
from .rules import Rest
from .slots import Slots
from .turns import Turns

PROGRAM = "spec-kitty-orchestrator"


@frozen
class AgentKit:
    """The agents that the settings name, by their ids, how a process is started, and the time of day."""

    known: Mapping[str, Agent]
    environ: Mapping[str, str]
    start: RunAgent
    kill_now: trio.Event
    now: Callable[[], float] = time.time

    def are_same(self, one: str | None, other: str | None) -> bool:
        """Whether two names are one agent: it may be named with the model that it has anyway."""
        if one == other:
            return one is not None
        agents = [self.known.get(name) for name in (one, other) if name is not None]
        known = [(agent.spec.agent_id, agent.settings.model) for agent in agents if agent is not None]
        return len(known) == 2 and known[0] == known[1]


def new_pool(
    kit: AgentKit, events: EventStream, resting: dict[str, Rest], save: Callable[[None], None]
) -> AgentPool:
    """A pool in which the agents that are not installed are out from the start, and those rest that did."""
    missing = Failure(FailureKind.NOT_INSTALLED, "not installed (not on PATH)")
    out = {agent_id: missing for agent_id, agent in kit.known.items() if agent.program is None}
    return AgentPool(kit.now, events.emit, resting, partial(save, None), out)


@frozen
class RunContext:
    """One run of one mission.

    Attributes:
        record: what is remembered of a work package, by its id.
        save: has that put on the disk soon, or with None what concerns the whole run; returns at once.
        saved: returns when all that `save` was told until now is there; for where the order matters.
        budget: what the run may still cost, and how long it may still last.
        pause: whether a person holds it back.
        repository: reads what is committed.
        wanted: the work packages that are asked for; None: all.
        merge: the last merge of the mission that was begun, by this run or one before it.
        note_merge: keeps that.
        walls: what is put around the agents.
        left: what nobody could end of what was started beside the attempts, each as "pid name".
        traces: where what happens is sent as spans, or nothing.
        prepared: the workspaces in which `setup:` has been run; `left_by_setup`: what it must not leave.
        jitter: a number between 0 and 1, to spread retries apart.
        nonce: a word that nobody can guess, for review references.
        new_session_id: a UUID for an agent's own session; each is used once.
    """

    repo_root: Path
    run_id: str
    settings: Settings
    host: HostClient
    agents: AgentKit
    record: Callable[[str], WpRecord]
    save: Callable[[str | None], None]
    saved: Callable[[], Awaitable[None]]
    events: EventStream
    pool: AgentPool
    budget: Budget
    pause: Pause
    repository: Repository
    slots: Slots
    notes: Notes
    wanted: frozenset[str] | None = None
    merge: Callable[[], MergeRecord | None] = lambda: None
    note_merge: Callable[[MergeRecord], None] = lambda _: None
    walls: Walls = field(factory=Walls)
    turns: Turns = field(factory=Turns)
    left: list[str] = field(factory=list)
    prepared: set[Path] = field(factory=set)
    left_by_setup: dict[Path, set[str]] = field(factory=dict)
    claims: Claims = field(factory=Claims)
    traces: Untraced = field(factory=Untraced)
    jitter: Callable[[], float] = random.random
    nonce: Callable[[], str] = lambda: secrets.token_hex(4)
    new_session_id: Callable[[], str] = lambda: str(uuid.uuid4())

    @property
    def log_dir(self) -> Path:
        """Where this run's logs lie."""
        return self.repo_root / ".kittify" / "logs" / self.run_id

    def check_may_begin(self) -> None:
        """Before anything begins: a claim, an attempt, a review. Raises BudgetSpent or Paused."""
        self.budget.check()
        self.pause.check()

    def note_error(self, wp_id: str, words: str) -> None:
        """Keeps why a work package could not go on."""
        record = self.record(wp_id)
        if record.last_error != words:
            record.last_error = words
            self.save(wp_id)

    def note_left(self, who: str, left: tuple[str, ...]) -> None:
        """Tells, and keeps in mind, what a command that is no attempt left behind and nobody could end."""
        if left:
            self.left.extend(left)
            self.save(None)
            self.events.emit(Notice(f"WARNING: {who} left what could NOT be ended: {', '.join(left)}"))

    def policy(self, agent: str, role: Role) -> PolicyMetadata:
        """What the host is told about the agent that a call is about: only what is true of it."""
        return policy_for(self.agents.known[agent], role)


def policy_for(agent: Agent, role: Role) -> PolicyMetadata:
    """The policy metadata for one agent in one role; what the settings ask of it was checked before.

    Raises:
        PolicyError: a value that the host would refuse.
    """
    return PolicyMetadata(
        orchestrator_id=PROGRAM,
        orchestrator_version=__version__,
        agent_family=agent.spec.family,
        **enforced_modes(agent.spec, agent.settings, role),
        dangerous_flags=agent.policy_flags(role),
    )
