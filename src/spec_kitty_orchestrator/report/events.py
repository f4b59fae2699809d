"""What happened in a run, as typed values: fields for programs, and a line for people."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from .totals import Totals

NO_COSTS = Totals()


@frozen
class Event:
    """Anything that happened; its `line` is what a person reads, its fields what `events.jsonl` holds."""

    @property
    def line(self) -> str:
        """One line for a person."""
        raise NotImplementedError


@frozen
class RunStarted(Event):
    """`lanes` says where each work package was found.

    Attributes:
        dependencies: what each depends on, by its id.
        max_concurrent_wps: how many may be at work at once; None in files of release 1.0.
        max_cost_usd, max_runtime_seconds: the budgets; None: no limit.
        wanted: the work packages that are asked for; None: all.
    """

    run_id: str
    mission: str
    actor: str
    lanes: Mapping[str, str]
    resumed: bool
    dependencies: Mapping[str, tuple[str, ...]] = field(factory=dict)
    max_concurrent_wps: int | None = None
    max_cost_usd: float | None = None
    max_runtime_seconds: float | None = None
    wanted: tuple[str, ...] | None = None

    @property
    def line(self) -> str:
        verb = "goes on with" if self.resumed else "takes"
        return f"run {self.run_id} {verb} mission {self.mission}: {len(self.lanes)} work packages"


@frozen
class WpEvent(Event):
    """Something that happened to one work package."""

    wp_id: str


@frozen
class LaneChanged(WpEvent):
    """The host moved a work package on our behalf (`by_us`), or was found to have moved it."""

    lane: str
    by_us: bool = True
    detail: str = ""

    @property
    def line(self) -> str:
        who = "" if self.by_us else " (by someone else)"
        return f"{self.wp_id} → {self.lane}{who}{f': {self.detail}' if self.detail else ''}"


@frozen
class AttemptStarted(WpEvent):
    """`continued`: the agent goes on with its own session of an earlier attempt."""

    role: str
    agent: str
    number: int
    log: str
    continued: bool = False

    @property
    def line(self) -> str:
        verb = "goes on" if self.continued else "starts"
        return f"{self.wp_id} {self.role} {self.number}: {self.agent} {verb}, log {self.log}"


@frozen
class AttemptEnded(WpEvent):
    """`outcome` is `succeeded`, `interrupted` or a failure kind; `session_id` is the agent's own."""

    role: str
    agent: str
    number: int
    outcome: str
    message: str
    seconds: float
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    session_id: str | None = None

    @property
    def line(self) -> str:
        said = f": {self.message}" if self.message else ""
        what = f"{self.wp_id} {self.role} {self.number}: {self.agent}"
        return f"{what} {self.outcome} after {self.seconds:.1f} s{said}"


@frozen
class ProcessesSwept(WpEvent):
    """An attempt, or a command of the settings, left processes behind; they were ended."""

    agent: str
    swept: tuple[str, ...]

    @property
    def line(self) -> str:
        left = f"{self.agent} left {len(self.swept)} processes"
        return f"{self.wp_id} warning: {left}, ended: {', '.join(self.swept)}"


@frozen
class ProcessesLeft(WpEvent):
    """An attempt left processes behind that could not be ended: another user's, or stuck in the kernel."""

    agent: str
    left: tuple[str, ...]

    @property
    def line(self) -> str:
        return f"{self.wp_id} WARNING: {self.agent} left what could NOT be ended: {', '.join(self.left)}"


@frozen
class HandoverRefused(WpEvent):
    reason: str

    @property
    def line(self) -> str:
        return f"{self.wp_id} not ready for review: {' '.join(self.reason.split())}"


@frozen
class VerdictGiven(WpEvent):
    """`commit` is the one that was judged; `own_work`: the reviewer judged what it had made itself."""

    reviewer: str
    review_ref: str
    verdict: str
    feedback: str
    commit: str = ""
    own_work: bool = False

    @property
    def line(self) -> str:
        said = f": {' '.join(self.feedback.split())}" if self.feedback else ""
        whose = " (its own work)" if self.own_work else ""
        return f"{self.wp_id} {self.verdict} by {self.reviewer}{whose}, commit {self.commit[:12]}{said}"


@frozen
class CommandEnded(WpEvent):
    """A command of the project's own has ended; `outcome` is `succeeded` or says why not."""

    purpose: str
    command: str
    outcome: str
    seconds: float
    log: str

    @property
    def line(self) -> str:
        command = " ".join(self.command.split())
        return f"{self.wp_id} {self.purpose} `{command}`: {self.outcome} after {self.seconds:.1f} s"


@frozen
class FilesMovedAway(WpEvent):
    """Files that belong to nobody's work were moved out of a workspace, into the run's logs."""

    left_by: str
    files: tuple[str, ...]
    folder: str

    @property
    def line(self) -> str:
        return f"{self.wp_id} moved away what {self.left_by} left, to {self.folder}: {', '.join(self.files)}"


@frozen
class SentBack(WpEvent):
    """Work went back from review to its implementer without a reviewer's verdict."""

    reason: str

    @property
    def line(self) -> str:
        return f"{self.wp_id} goes back to its implementer: {' '.join(self.reason.split())}"


@frozen
class Escalated(WpEvent):
    """A work package was sent back so often that others go first among its implementers."""

    rejections: int
    to: tuple[str, ...]

    @property
    def line(self) -> str:
        times = "once" if self.rejections == 1 else f"{self.rejections} times"
        return f"{self.wp_id} was sent back {times}: {', '.join(self.to)} will implement it, if they can"


@frozen
class RetryPlanned(WpEvent):
    role: str
    agent: str
    delay: float
    reason: str

    @property
    def line(self) -> str:
        return f"{self.wp_id} {self.role}: {self.agent} tries again in {self.delay:.0f} s ({self.reason})"


@frozen
class WaitingForAgents(WpEvent):
    """`instead` could work at once, but made itself what is to be reviewed."""

    agents: tuple[str, ...]
    seconds: float
    instead: str | None = None

    @property
    def line(self) -> str:
        why = f", as {self.instead} made it itself" if self.instead else ""
        return f"{self.wp_id} waits for {', '.join(self.agents)}, resting for {self.seconds:.0f} s{why}"


@frozen
class WpPutOff(WpEvent):
    """A work package was refused, or the host broke down on it; it is tried again after `seconds`."""

    reason: str
    seconds: float

    @property
    def line(self) -> str:
        return f"{self.wp_id} is tried again in {self.seconds:.0f} s: {' '.join(self.reason.split())}"


@frozen
class WpLeft(WpEvent):
    """A work package is left where it is; the run goes on with the others."""

    reason: str

    @property
    def line(self) -> str:
        return f"{self.wp_id} left as it is: {self.reason}"


@frozen
class Notice(Event):
    """Something that a person should know and that changes nothing."""

    text: str

    @property
    def line(self) -> str:
        return self.text


@frozen
class RunEnded(Event):
    """`status` is a RunStatus, `exit_code` the program's, `totals` what all its starts have cost."""

    status: str
    exit_code: int
    summary: str
    totals: Totals = NO_COSTS

    @property
    def line(self) -> str:
        return "\n".join((self.summary, *self.totals.lines()))
