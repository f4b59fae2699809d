"""What next? Pure decisions over values: after a failed attempt, and which agent may try.

No clock, no randomness, no effects: times and a jitter between 0 and 1 are given by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import field, frozen

from ..agents.failure import Failure
from ..agents.spec import FailureKind

NETWORK_PATIENCE = 10  # failures in a row (about six minutes of waiting) until another agent is asked
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 2.0, 60.0
FIRST_PARKING_SECONDS, LONGEST_PARKING_SECONDS = 30.0, 15 * 60.0

OUT_FOR_THE_RUN = frozenset({FailureKind.NOT_INSTALLED, FailureKind.AUTH, FailureKind.BAD_MODEL})
"""Kinds that no work package can change: the same agent would fail the same way for all of them."""

LIES_IN_THE_AGENT = OUT_FOR_THE_RUN | {FailureKind.RATE_LIMIT, FailureKind.NETWORK, FailureKind.BUDGET}
"""Kinds that say nothing about the work; a work package is never blocked for them."""


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
class DropAgent:
    """This agent is out for the whole run."""


@frozen
class ParkAgent:
    """This agent rests for the whole run; `seconds` from now it may work again. No retry is spent."""

    seconds: float


Decision = Retry | NextAgent | LastPlace | DropAgent | ParkAgent


@frozen
class Tally:
    """How often one agent failed in one role of one work package since it last brought that role to an end.

    Attributes:
        spent: failures that lie in the work or in the attempt; they count against `max_retries`.
        network: failures to reach the network, which do not.
        given_up: this agent is not to be asked again, however few its failures.
    """

    spent: int = 0
    network: int = 0
    given_up: FailureKind | None = None

    def after(self, kind: FailureKind) -> Tally:
        """The tally with one more failure of `kind`."""
        if kind is FailureKind.NETWORK:
            return Tally(self.spent, self.network + 1, self.given_up)
        return self if kind in LIES_IN_THE_AGENT else Tally(self.spent + 1, self.network, self.given_up)


def backoff(failures: int, first: float, longest: float) -> float:
    """Seconds to wait after the `failures`-th failure in a row: `first`, doubling, at most `longest`."""
    return min(longest, first * 2.0 ** min(max(failures, 1) - 1, 30))


def after_failure(failure: Failure, tally: Tally, max_retries: int, jitter: float) -> Decision:
    """What follows on a failed attempt.

    Args:
        failure: why the attempt failed.
        tally: this agent's failures, this one included.
        max_retries: how many failures are followed by another try of the same agent.
        jitter: between 0 and 1; spreads retries of many work packages apart.
    """
    if failure.kind in OUT_FOR_THE_RUN:
        return DropAgent()
    if failure.kind is FailureKind.RATE_LIMIT:
        return ParkAgent(failure.retry_after or 0.0)
    if failure.kind is FailureKind.BUDGET:
        return NextAgent()
    if failure.kind is FailureKind.NETWORK:
        count, most = tally.network, NETWORK_PATIENCE
    else:
        count, most = tally.spent, max_retries
    if count > most:
        return NextAgent()
    if failure.kind is FailureKind.WORK_CHANGED:
        return LastPlace()
    wait = backoff(count, FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)
    return Retry(min(LONGEST_RETRY_SECONDS, wait * (1 + jitter / 2)))


def parking_seconds(told: float, strikes: int) -> float:
    """How long a rate-limited agent rests: as long as it said, else 30 s doubling to 15 min."""
    return told if told > 0 else backoff(strikes, FIRST_PARKING_SECONDS, LONGEST_PARKING_SECONDS)


@frozen
class Ask:
    """This agent is next."""

    agent: str


@frozen
class WaitForAgent:
    """All who are left rest; the first of them may work again at `until` (the run's clock)."""

    until: float
    agents: tuple[str, ...]


@frozen
class NobodyLeft:
    """No agent can take the work. `in_the_work`: at least one tried it and failed at the work itself."""

    in_the_work: bool
    reasons: tuple[str, ...]


Choice = Ask | WaitForAgent | NobodyLeft


@frozen
class Availability:
    """Who can work at all in this run: why some are out, and until when others rest (the run's clock)."""

    now: float
    out: Mapping[str, Failure] = field(factory=dict)
    parked: Mapping[str, float] = field(factory=dict)


def choose_agent(candidates: Sequence[str], tallies: Mapping[str, Tally], who: Availability) -> Choice:
    """The first candidate, in the order of the settings, that is neither out, nor used up, nor resting.

    Args:
        candidates: agent ids in order of preference.
        tallies: this work package's failures in this role, by agent id.
        who: the state of the agents in the whole run.
    """
    left = [agent for agent in candidates if agent not in who.out and not _used_up(tallies.get(agent))]
    for agent in left:
        if who.parked.get(agent, who.now) <= who.now:
            return Ask(agent)
    if left:
        return WaitForAgent(min(who.parked[agent] for agent in left), tuple(left))
    return NobodyLeft(
        in_the_work=any(_failed_at_the_work(tallies.get(agent)) for agent in candidates),
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
    tries = tally.network if tally.given_up is FailureKind.NETWORK else tally.spent
    return f"{agent}: given up after {tries} failures, the last one: {tally.given_up.value}"


def reviewers(
    review: Sequence[str], implementer: str, last: Sequence[str] = (), *, single_agent: bool
) -> tuple[str, ...]:
    """Who may review, in order: the settings' list, then the implementer, then those of `last`.

    Where one agent does all, it is that one.
    """
    if single_agent:
        return (implementer,)
    return tuple(sorted(review, key=lambda agent: (agent in last, agent == implementer)))


def is_rework_allowed(rejections: int, max_retries: int) -> bool:
    """Whether a work package that was rejected `rejections` times in all may be worked on again."""
    return rejections <= max_retries
