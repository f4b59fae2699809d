"""Everything that can be set, with its defaults: frozen values, and nothing that reads them."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import asdict, evolve, field, frozen

from ..agents.custom import CustomAgent
from ..agents.spec import AgentSettings, Wall
from ..host.contract.lanes import Lane
from ..processes.bounds import FAR_SECONDS
from ..processes.launcher import Launcher

DEFAULT_AGENT = "claude-code"
HERE = Launcher()


@frozen
class WpAgents:
    """`agents.by_work_package.<WP>:` who does one work package, where that is not who does the others.

    Attributes:
        model: that of its implementers, unless they are named with one.
    """

    implementation: tuple[str, ...] = ()
    review: tuple[str, ...] = ()
    model: str | None = None


@frozen
class Escalation:
    """`agents.escalate_after_rejections:` who goes first once reviewers sent a work package back so often."""

    after: int
    to: tuple[str, ...]


@frozen
class AgentChoice:
    """`agents:` who implements, who reviews, and how patient the run is with them. Times are seconds.

    Attributes:
        independent_review_wait_seconds: how long a reviewer that rests is waited for before the implementer
            may review its own work.
        reviews_required: how many agents must approve the same commit.
        continue_sessions: whether an agent goes on with its own session after a rejection or an interruption.
    """

    implementation: tuple[str, ...] = (DEFAULT_AGENT,)
    review: tuple[str, ...] = (DEFAULT_AGENT,)
    max_retries: int = 2
    timeout_seconds: float = 3600.0
    idle_timeout_seconds: float | None = None
    independent_review_wait_seconds: float = 1800.0
    single_agent_mode: bool = False
    continue_sessions: bool = True
    reviews_required: int = 1
    by_work_package: Mapping[str, WpAgents] = field(factory=dict)
    escalate_after_rejections: Escalation | None = None
    settings: Mapping[str, AgentSettings] = field(factory=dict)
    custom: Mapping[str, CustomAgent] = field(factory=dict)


@frozen
class PolicyModes:
    """`policy:` what must be enforced at least, in the words of `host/contract/policy.py`.

    The host is told what is so in any case; None asks for nothing.
    """

    approval_mode: str | None = None
    sandbox_mode: str | None = None
    network_mode: str | None = None


@frozen
class SandboxSettings:
    """`sandbox:` what is put around agents, and what it leaves open. Paths are absolute, or begin with `~/`.

    Attributes:
        use: off, bwrap or srt; `agents.settings.<id>.sandbox` says otherwise for one agent.
        writable: folders that implementers may write to, beside what the work and the agent's own CLI need.
        hidden: files and folders that no agent may read; those that do not exist are none.
        allowed_domains: whom agents may talk to beside their model, with srt.
    """

    use: Wall = Wall.OFF
    writable: tuple[str, ...] = ()
    hidden: tuple[str, ...] = (
        *("~/.ssh", "~/.aws", "~/.gnupg", "~/.config/gh"),
        *("~/.kube", "~/.docker", "~/.netrc"),
    )
    allowed_domains: tuple[str, ...] = ()


@frozen
class HostSettings:
    """`host:` which host, and how many seconds one of its calls may take."""

    binary: str | None = None
    timeout_seconds: float = 120.0


@frozen
class MergeSettings:
    """`merge:` whether an accepted mission is merged by the run, and how.

    Attributes:
        strategy: the host's word for it: merge, squash or rebase.
        target: the branch; None: the one that is checked out.
        push: have the host push the target to `origin`.
    """

    when_accepted: bool = False
    strategy: str = "merge"
    target: str | None = None
    push: bool = False


@frozen
class Settings:
    """Everything that can be set. Times are seconds.

    Attributes:
        patience_seconds: how long what is refused, or a host that breaks down, is tried again while nothing
            else happens.
        setup: commands that are run once in each new workspace, before an agent is.
        checks: commands that must succeed on a commit before it is reviewed.
        check_timeout_seconds: how long each of these may take.
        max_cost_usd: what all attempts of a run may cost, over all its starts; None: any amount.
        max_runtime_seconds: how long one start of a run may last; None: as long as it takes.
        wait_for_people: whether a run goes on waiting where only a person can move something.
        on_attention: commands that are run when something needs a person; `on_finish`: when a run ends.
        allow_sleep: whether the machine may fall asleep while a run is at work.
        otel: whether traces are sent; None: when OpenTelemetry's own variables ask for them.
    """

    max_concurrent_wps: int = 4
    approval_lane: Lane = Lane.DONE
    grace_seconds: float = 10.0
    refresh_seconds: float = 30.0
    patience_seconds: float = 600.0
    setup: tuple[tuple[str, ...], ...] = ()
    checks: tuple[tuple[str, ...], ...] = ()
    check_timeout_seconds: float = 900.0
    max_log_mb: float = 256.0
    max_cost_usd: float | None = None
    max_runtime_seconds: float | None = None
    wait_for_people: bool = False
    on_attention: tuple[tuple[str, ...], ...] = ()
    on_finish: tuple[tuple[str, ...], ...] = ()
    allow_sleep: bool = False
    otel: bool | None = None
    agents: AgentChoice = AgentChoice()
    merge: MergeSettings = MergeSettings()
    policy: PolicyModes = PolicyModes()
    sandbox: SandboxSettings = SandboxSettings()
    launcher: Launcher = HERE
    host: HostSettings = HostSettings()

    def of_agent(self, agent_id: str) -> AgentSettings:
        """What is set for one agent, with what is put around it and where it runs filled in."""
        own = self.agents.settings.get(agent_id, AgentSettings())
        return evolve(own, sandbox=own.sandbox or self.sandbox.use, launcher=own.launcher or self.launcher)

    @property
    def longest_grace(self) -> float:
        """How long an agent may take to be ended, in seconds: longer where it has to be ended elsewhere."""
        launchers = (self.launcher, *(one.launcher for one in self.agents.settings.values()))
        is_far = any(launcher is not None and launcher.is_far for launcher in launchers)
        return self.grace_seconds + FAR_SECONDS * is_far


@frozen
class Flags:
    """The flags of `orchestrate`; `resume` goes on with the same.

    Attributes:
        only: these work packages and no others; empty: all.
        until: this one and what it depends on; empty: all.
    """

    impl_agent: str | None = None
    review_agent: str | None = None
    max_concurrent: int | None = None
    only: tuple[str, ...] | None = None
    until: str | None = None
    merge: bool | None = None
    max_cost_usd: float | None = None
    max_runtime_seconds: float | None = None
    wait_for_people: bool | None = None
    allow_sleep: bool | None = None

    def over(self, recorded: Flags) -> Flags:
        """These, and for those that are not given what is recorded; which work packages is one question."""
        given = asdict(self, filter=lambda _, value: value is not None)
        if given.keys() & {"only", "until"}:
            recorded = evolve(recorded, only=None, until=None)
        return evolve(recorded, **given)


@frozen
class Asked:
    """What a person asks of single work packages when a run goes on.

    Attributes:
        wp_ids: these are to be tried again, whoever blocked them.
        retry_blocked: so are all that we blocked ourselves.
        feedback: what their implementers are to be told.
        agent: who is asked first to implement them, until they are handed over.
    """

    wp_ids: tuple[str, ...] = ()
    retry_blocked: bool = False
    feedback: str = ""
    agent: str | None = None
