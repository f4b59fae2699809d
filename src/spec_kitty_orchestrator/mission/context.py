"""What all work packages of one run share: values, and the few services that act for them."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import trio
from attrs import field, frozen

from .. import __version__
from ..agents.failure import Failure
from ..agents.spec import AgentSettings, AgentSpec, FailureKind, Role, policy_flags
from ..host.client import HostClient
from ..host.contract.policy import PolicyMetadata
from ..host.notes import Notes
from ..processes.agent_process import RunAgent
from ..report.events import EventStream
from ..settings.values import Settings
from .agent_pool import AgentPool
from .records import WpRecord
from .slots import FirstClaim, Slots

PROGRAM = "spec-kitty-orchestrator"


@frozen
class AgentKit:
    """The agents that this run knows, the programs found for them, and how a process is started."""

    specs: Mapping[str, AgentSpec]
    programs: Mapping[str, Path | None]
    environ: Mapping[str, str]
    start: RunAgent
    kill_now: trio.Event


def new_pool(kit: AgentKit) -> AgentPool:
    """A pool in which the agents that are not installed are out from the start."""
    pool = AgentPool(trio.current_time)
    for agent, program in kit.programs.items():
        if program is None:
            pool.drop(agent, Failure(FailureKind.NOT_INSTALLED, "not installed (not on PATH)"))
    return pool


@frozen
class RunContext:
    """One run of one mission.

    Attributes:
        record: what is remembered of a work package, by its id.
        save: puts that on the disk.
        jitter: a number between 0 and 1, to spread retries apart.
        nonce: a word that nobody can guess, for review references.
    """

    repo_root: Path
    run_id: str
    settings: Settings
    host: HostClient
    agents: AgentKit
    record: Callable[[str], WpRecord]
    save: Callable[[str], None]
    events: EventStream
    pool: AgentPool
    slots: Slots
    notes: Notes
    workspaces: dict[Path, trio.Lock] = field(factory=dict)
    first_claim: FirstClaim = field(factory=FirstClaim)
    jitter: Callable[[], float] = random.random
    nonce: Callable[[], str] = lambda: secrets.token_hex(4)

    @property
    def log_dir(self) -> Path:
        """Where this run's logs lie."""
        return self.repo_root / ".kittify" / "logs" / self.run_id

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
