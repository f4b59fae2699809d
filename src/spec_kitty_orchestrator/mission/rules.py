"""What next? Pure decisions over values: after a failed attempt, and which agent may try.

No clock, no randomness, no effects: times and a jitter between 0 and 1 are given by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import field, frozen

from ..agents.failure import Failure
from ..agents.spec import FailureKind


@frozen
class Rhythm:
    """How long to wait after the first, second, third failure in a row, in seconds."""

    first: float
    longest: float
    factor: float = 2.0

    def after(self, failures: int) -> float:
        """Seconds to wait after the `failures`-th failure in a row."""
        return min(self.longest, self.first * self.factor ** min(max(failures, 1) - 1, 30))


RETRIES = Rhythm(2.0, 60.0)

FOR_A_PERSON = frozenset({FailureKind.AUTH, FailureKind.BAD_MODEL, FailureKind.BUDGET})
"""Kinds that hardly pass unless somebody logs in, pays, or names another model."""

RESTS: Mapping[FailureKind, Rhythm] = {
    FailureKind.NOT_INSTALLED: Rhythm(5.0, 5.0),  # CLIs update themselves
    FailureKind.NETWORK: Rhythm(2.0, 5 * 60.0),
    FailureKind.NOT_LAUNCHED: Rhythm(2.0, 5 * 60.0),  # a cluster is what a network is
    FailureKind.RATE_LIMIT: Rhythm(30.0, 15 * 60.0),
    **dict.fromkeys(FOR_A_PERSON, Rhythm(60.0, 15 * 60.0, factor=15)),
}
TRIES_OF_A_MISSING_PROGRAM = 3
RESET_MARGIN_SECONDS = 5.0
"""Clocks differ: who asks in the very second that a limit is lifted may be told the next one."""
LONGEST_REST_SECONDS = 6 * 3600.0
"""Whatever an agent told: people buy more, and limits are lifted early."""

LIES_IN_THE_AGENT = frozenset(RESTS)
"""Kinds that say nothing about the work; a work package is never blocked for them."""
SPENDS_NOTHING = LIES_IN_THE_AGENT | {FailureKind.SESSION_LOST}
"""Kinds that count against nobody."""


@frozen
class Retry:
    """The same agent tries again after `delay` seconds."""

    delay: float


@frozen
class NextAgent:
    """This agent is done with this work package, in this role."""


@frozen
class LastPlace:
    """This agent is asked after all others from now on, in this role of this work package."""


@frozen
class ParkAgent:
    """This agent rests for the whole run, or is out of it (see `rest_seconds`). No retry is spent."""


@frozen
class Afresh:
    """The same agent tries again at once, in a session of its own that it begins anew."""


Decision = Retry | NextAgent | LastPlace | ParkAgent | Afresh


@frozen
class Tally:
    """How often one agent failed in one role of one work package since it last brought that role to an end.

    Attributes:
        spent: failures that lie in the work or in the attempt; they count against `max_retries`.
        given_up: this agent is not to be asked again, however few its failures.
    """

    spent: int = 0
    given_up: FailureKind | None = None

    def after(self, kind: FailureKind) -> Tally:
        """The tally with one more failure of `kind`."""
        return self if kind in SPENDS_NOTHING else Tally(self.spent + 1, self.given_up)


def after_failure(failure: Failure, tally: Tally, max_retries: int, jitter: float) -> Decision:
    """What follows on a failed attempt.

    Args:
        failure: why the attempt failed.
        tally: this agent's failures, this one included.
        max_retries: how many failures are followed by another try of the same agent.
        jitter: between 0 and 1; spreads retries of many work packages apart.
    """
    if failure.kind in LIES_IN_THE_AGENT:
        return ParkAgent()
    if failure.kind is FailureKind.SESSION_LOST:
        return Afresh()
    if tally.spent > max_retries:
        return NextAgent()
    if failure.kind is FailureKind.WORK_CHANGED:
        return LastPlace()
    return Retry(min(RETRIES.longest, RETRIES.after(tally.spent) * (1 + jitter / 2)))


@frozen
class Rest:
    """Why an agent rests: until when (seconds since the epoch), after how many such failures in a row."""

    until: float
    kind: FailureKind
    strikes: int
    message: str = ""

    @property
    def needs_a_person(self) -> bool:
        """It failed twice in a row with what hardly passes by itself."""
        return self.kind in FOR_A_PERSON and self.strikes > 1


def rest_seconds(kind: FailureKind, told: float | None, strikes: int) -> float | None:
    """How long an agent rests after its `strikes`-th such failure in a row; None: it is out for the run.

    Args:
        told: in how many seconds it may work again by its own words, which may be too few.
    """
    if kind is FailureKind.NOT_INSTALLED and strikes >= TRIES_OF_A_MISSING_PROGRAM:
        return None
    seconds = RESTS[kind].after(strikes)
    if told is not None:
        seconds = max(seconds, told) + RESET_MARGIN_SECONDS
    return min(seconds, LONGEST_REST_SECONDS)


@frozen
class Ask:
    """This agent is next."""

    agent: str


@frozen
class WaitForAgent:
    """Those who are waited for rest; at `until` the first may work again, or it has been waited enough.

    Then `instead` is asked, which could work now.
    """

    until: float
    agents: tuple[str, ...]
    instead: str | None = None


@frozen
class NobodyLeft:
    """No agent can take the work.

    `in_the_work`: at least one tried it and failed at the work itself, and nobody is out whom a login, a bill
    or the name of a model would bring back to try it.
    """

    in_the_work: bool
    reasons: tuple[str, ...]


Choice = Ask | WaitForAgent | NobodyLeft


@frozen
class Availability:
    """Who can work at all in this run: why some are out, and until when others rest. All in one clock."""

    now: float
    out: Mapping[str, Failure] = field(factory=dict)
    parked: Mapping[str, float] = field(factory=dict)


@frozen
class OwnWork:
    """Who made what is to be reviewed: it is not asked before `until`, while others ahead of it rest."""

    agent: str
    until: float


def choose_agent(
    candidates: Sequence[str], tallies: Mapping[str, Tally], who: Availability, own: OwnWork | None = None
) -> Choice:
    """The first candidate, in the order of the settings, that is neither out, nor used up, nor resting.

    Args:
        candidates: agent ids in order of preference.
        tallies: this work package's failures in this role, by agent id.
        who: the state of the agents in the whole run.
        own: whose work it is, where that matters.
    """
    left = [agent for agent in candidates if agent not in who.out and not _used_up(tallies.get(agent))]
    able = next((agent for agent in left if who.parked.get(agent, who.now) <= who.now), None)
    ahead = left if able is None else left[: left.index(able)]
    if able is not None and not (ahead and own is not None and own.agent == able and who.now < own.until):
        return Ask(able)
    if ahead:
        soonest = min(who.parked[agent] for agent in ahead)
        enough = own.until if able is not None and own is not None else soonest
        return WaitForAgent(min(soonest, enough), tuple(ahead), able)
    mendable = any(agent in who.out and who.out[agent].kind in FOR_A_PERSON for agent in candidates)
    return NobodyLeft(
        in_the_work=not mendable and any(_failed_at_the_work(tallies.get(agent)) for agent in candidates),
        reasons=tuple(_why_not(agent, tallies.get(agent), who) for agent in candidates),
    )


def _used_up(tally: Tally | None) -> bool:
    return tally is not None and tally.given_up is not None


def _failed_at_the_work(tally: Tally | None) -> bool:
    return tally is not None and tally.given_up is not None and tally.given_up not in LIES_IN_THE_AGENT


def _why_not(agent: str, tally: Tally | None, who: Availability) -> str:
    if agent in who.out:
        return f"{agent}: {who.out[agent].message}"
    assert tally is not None  # otherwise it would have been chosen
    assert tally.given_up is not None
    return f"{agent}: given up after {tally.spent} failures, the last one: {tally.given_up.value}"


def reviewers(review: Sequence[str], implementer: str, last: Sequence[str] = ()) -> tuple[str, ...]:
    """Who may review, in order: the settings' list, then the implementer, then those of `last`."""
    return tuple(sorted(review, key=lambda agent: (agent in last, agent == implementer)))


def is_rework_allowed(rejections: int, max_retries: int) -> bool:
    """Whether a work package that was rejected `rejections` times in all may be worked on again."""
    return rejections <= max_retries
