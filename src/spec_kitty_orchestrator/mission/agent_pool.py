"""Who can work in this run: agents that are out, agents that rest, and who waits for them. Shared by all.

One of the two places with mutable state (the other is `records.py`). Only work-package tasks change it,
through its methods. A limit is remembered for the next run of the project; that asks everybody else afresh.

Times are seconds since the epoch: a limit is lifted at a time of day, whether this machine was awake or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio
from attrs import define, evolve, field

from ..agents.failure import Failure
from ..agents.spec import FailureKind
from ..report.events import Event
from ..report.run_events import AgentDropped, AgentParked, AgentsNeedAPerson
from .rules import LONGEST_REST_SECONDS, Availability, Rest, rest_seconds

LOOK_SECONDS = 30.0
"""How often a wait looks at the time of day, which jumps when the machine was suspended."""
PROBE_SECONDS = 60.0
"""How long one work package tries an agent alone that has failed, until others follow; most fail sooner."""
LONG_REST_SECONDS = 3600.0
"""A rest that is told each time; shorter ones only when they grow."""


def _nothing() -> None:
    pass


@define
class AgentPool:
    """The agents' state during one run.

    Attributes:
        now: the time of day, in seconds since the epoch.
        tell: is given what a person should know.
        remembered: what the next run is to know; `save` has it stored.
        out: why agents are out for this run.
        nothing_else: whether no work package is at work, or could be, beside those that wait for an agent.
        waits_for_people: whether those who need a person are asked again and again, for however long.
        review_since: when a work package's review could have begun, had those who were asked taken no time.
    """

    now: Callable[[], float]
    tell: Callable[[Event], None] = lambda _: None
    remembered: dict[str, Rest] = field(factory=dict)
    save: Callable[[], None] = _nothing
    out: dict[str, Failure] = field(factory=dict)
    nothing_else: Callable[[], bool] = lambda: True
    waits_for_people: bool = False
    review_since: dict[str, float] = field(factory=dict)
    _called_for: frozenset[str] = frozenset()
    _rests: dict[str, dict[FailureKind, Rest]] = field(factory=dict, init=False)
    _probes: dict[str, tuple[str, float]] = field(factory=dict, init=False)
    _told: dict[str, float] = field(factory=dict, init=False)
    _waiting: dict[str, tuple[str, ...]] = field(factory=dict, init=False)
    _changed: trio.Event = field(factory=trio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        for agent, rest in [*self.remembered.items()]:
            if not 0.0 < rest.until - self.now() <= LONGEST_REST_SECONDS:  # over, or the clock was wrong
                del self.remembered[agent]
            else:
                self._rests[agent] = {rest.kind: rest}

    def availability(self, wp_id: str) -> Availability:
        """The state as one work package sees it, for `rules.choose_agent`."""
        parked = {agent: rest.until for agent in self._rests if (rest := self._rest(agent)) is not None}
        for agent, (prober, until) in self._probes.items():
            if prober != wp_id:
                parked[agent] = max(until, parked.get(agent, until))
        return Availability(self.now(), dict(self.out), parked)

    def takes(self, wp_id: str, agent: str) -> None:
        """A work package is about to ask an agent; one that has failed is tried by one alone."""
        if agent in self._rests and self._probes.get(agent, ("", 0.0))[0] != wp_id:
            self._probes[agent] = (wp_id, self.now() + PROBE_SECONDS)

    def park(self, agent: str, failure: Failure) -> None:
        """Lets an agent rest for the whole run, or takes it out, as `rules.rest_seconds` says.

        An agent that rests already (its attempts side by side all failed) gets no further strike, and of two
        kinds of trouble the longer rest counts.
        """
        now, rests = self.now(), self._rests.setdefault(agent, {})
        failure = evolve(failure, message=failure.message.removeprefix(f"{agent}: "))
        before = rests.get(failure.kind, Rest(now, failure.kind, 0))
        rested = not now < before.until <= now + LONGEST_REST_SECONDS
        strikes = before.strikes + rested
        seconds = rest_seconds(failure.kind, failure.retry_after, strikes)
        if seconds is None:
            self._drop(agent, failure)
            return
        until = now + seconds if rested else max(now + seconds, before.until)
        rests[failure.kind] = Rest(until, failure.kind, strikes, failure.message)
        self._probes.pop(agent, None)
        if failure.kind is FailureKind.RATE_LIMIT:
            self.remembered[agent] = rests[failure.kind]
            self.save()
        self._tell_rest(agent, rested)

    def worked(self, agent: str) -> None:
        """An attempt got through: whatever there was is over, and who waits may go on at once."""
        if self._rests.pop(agent, None) is not None:
            self._probes.pop(agent, None)
            self._told.pop(agent, None)
            self._called_for -= {agent}
            if self.remembered.pop(agent, None) is not None:
                self.save()
            self._change()

    @contextmanager
    def waiting(self, wp_id: str, agents: tuple[str, ...]) -> Iterator[None]:
        """While a work package does nothing until one of these may work again."""
        self._waiting[wp_id] = agents
        try:
            yield
        finally:
            del self._waiting[wp_id]

    def put_back(self, seconds: float) -> None:
        """The run was paused so long: that is not how long anybody waited for a reviewer."""
        self.review_since = {wp_id: since + seconds for wp_id, since in self.review_since.items()}

    async def pause(self, until: float) -> None:
        """Returns at `until`, or earlier: when something has changed, or to have a look."""
        with trio.move_on_after(min(LOOK_SECONDS, max(0.0, until - self.now()))):
            await self._changed.wait()
        self._give_up()

    def _give_up(self) -> None:
        """Takes those out who need a person, when all that is left to do waits for them."""
        waited_for = {agent for agents in self._waiting.values() for agent in agents} - set(self.out)
        rests = {agent: self._rest(agent) for agent in sorted(waited_for)}
        now = self.now()  # whose rest is over is asked once more first
        if not all(rest is not None and rest.needs_a_person and rest.until > now for rest in rests.values()):
            return
        if not self.nothing_else():
            return
        if self.waits_for_people:
            self._call_for_a_person(
                {agent: rest.message for agent, rest in rests.items() if rest is not None}
            )
            return
        for agent, rest in rests.items():
            assert rest is not None
            self._drop(agent, Failure(rest.kind, rest.message))

    def _call_for_a_person(self, reasons: dict[str, str]) -> None:
        """Once for these agents, until one of them works again."""
        if reasons and not reasons.keys() <= self._called_for:
            self._called_for |= reasons.keys()
            self.tell(AgentsNeedAPerson(reasons))

    def _drop(self, agent: str, failure: Failure) -> None:
        self.out[agent] = failure
        self.tell(AgentDropped(agent, failure.message))
        self._change()

    def _rest(self, agent: str) -> Rest | None:
        """Why it rests or last rested; one that is too far ahead was noted before the clock was set back."""
        latest = self.now() + LONGEST_REST_SECONDS
        rests = [rest for rest in self._rests.get(agent, {}).values() if rest.until <= latest]
        return max(rests, key=lambda rest: rest.until, default=None)

    def _tell_rest(self, agent: str, rested: bool) -> None:
        rest = self._rest(agent)
        assert rest is not None
        seconds, told = rest.until - self.now(), self._told.get(agent, 0.0)
        if seconds > told + 1 or (rested and seconds > LONG_REST_SECONDS):
            self._told[agent] = max(seconds, told)
            self.tell(AgentParked(agent, seconds, rest.kind.value, rest.message))

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
