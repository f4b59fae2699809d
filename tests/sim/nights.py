"""A night: a mission, what its agents do, and everything that goes wrong, as values that are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen
from conformance.fake.host import new_work_package
from conformance.fake.in_process import Fault
from hypothesis import strategies as st
from tests.sim.world import Act, reject

from spec_kitty_orchestrator.agents.spec import Role
from spec_kitty_orchestrator.host.contract.lanes import Lane
from spec_kitty_orchestrator.processes.ending import EndedBy

if TYPE_CHECKING:
    from tests.sim.night_world import NightWorld

# What an attempt comes to. A row here, and its name below, is all that a new outcome needs.

Make = Callable[["NightWorld", str, str], Act]
CAPTURES: Mapping[str, Mapping[str, str]] = {
    "limit": {"claude-code": "stream-json-429", "codex": "http429"},
    "unreachable": {"claude-code": "stream-json-refused", "codex": "http429"},
    "login": {"claude-code": "stream-json-401", "codex": "http401"},
}
"""Outcome → agent → what it says then. None of them spends a retry."""

NO_AGENT_IS_LEFT_AFTER = {"login", "unreachable"}


def _says(name: str) -> Make:
    return lambda world, wp_id, agent: Act(fails=CAPTURES[name][agent])


def _always(act: Act) -> Make:
    return lambda world, wp_id, agent: act


def _does(*steps: str, **how: Any) -> Make:
    """An agent that does some of: commit, change a file, leave a new one, hand over or approve by itself."""

    def make(world: NightWorld, wp_id: str, agent: str) -> Act:
        return Act(then=lambda: [world.step(wp_id, step) for step in steps] and None, **how)

    return make


EITHER: Mapping[str, Make] = {
    "good": _always(Act()),
    "crash": _always(Act(returncode=1, commit=False, mark=False, verdict=None)),
    "timeout": _always(Act(ended_by=EndedBy.TIMEOUT)),
    "silence": _always(Act(ended_by=EndedBy.IDLE)),
    **{name: _says(name) for name in CAPTURES},
}
WORK: Mapping[str, Make] = {
    **EITHER,
    "no commit": _always(Act(commit=False)),
    "unmarked": _always(Act(mark=False)),
    "dirty": _does("commit", "change", commit=False),
    "hands over itself": _does("commit", "mark", "for_review", commit=False),
    "approves itself": _does("commit", "mark", "done", commit=False),
}
REVIEW: Mapping[str, Make] = {
    **EITHER,
    "reject": _always(reject("mend it")),
    "no verdict": _always(Act(verdict=None)),
    "commits": _does("commit"),
    "changes": _does("change"),
    "leaves a file": _does("leave"),
}
OUTCOMES = {Role.IMPLEMENTATION.value: WORK, Role.REVIEW.value: REVIEW}

SPENDS_NOTHING = {"good", "reject", "leaves a file", *CAPTURES}
MOVES_ITSELF = {"hands over itself": "for_review", "approves itself": "done"}


# What happens meanwhile.


@frozen
class Outage:
    """The host breaks down for a while, on all commands or on one."""

    at: float
    lasts: float
    fault: Fault
    command: str | None

    def begin(self, world: NightWorld) -> None:
        world.outages.append(self)
        world.at(self.at + self.lasts, lambda: world.outages.remove(self))


@frozen
class Refusal:
    """The host refuses the claims of a work package for a while."""

    at: float
    lasts: float
    wp_id: str

    def begin(self, world: NightWorld) -> None:
        world.refusals.append(self)
        world.at(self.at + self.lasts, lambda: world.refusals.remove(self))


@frozen
class Move:
    """A person moves a work package, and takes hold of it (True), gives it free (False) or neither (None)."""

    at: float
    wp_id: str
    lane: str
    holds: bool | None

    def begin(self, world: NightWorld) -> None:
        world.move(self.wp_id, self.lane, self.holds)


@frozen
class Touch:
    """A person changes a file in a lane, commits there, or tidies up."""

    at: float
    wp_id: str
    step: str

    def begin(self, world: NightWorld) -> None:
        world.touch(self.wp_id, self.step)


@frozen
class Remove:
    """A person takes a work package out of the mission, and perhaps out of what the others wait for."""

    at: float
    wp_id: str
    mends_others: bool

    def begin(self, world: NightWorld) -> None:
        world.remove(self.wp_id, self.mends_others)


@frozen
class Add:
    """A person adds a work package, with a lane of its own."""

    at: float
    wp_id: str
    dependencies: tuple[str, ...]

    def begin(self, world: NightWorld) -> None:
        number = len(world.fake.wps) + 20
        world.add(self.wp_id, new_work_package(number, list(self.dependencies), [f"T{number:03}"]))


@frozen
class Stop:
    """The run is stopped after a while, or killed, and resumed."""

    after: float
    killed: bool


Happening = Outage | Refusal | Move | Touch | Remove | Add


@frozen
class Night:
    """All of it.

    Attributes:
        dependencies, lanes: of each work package; those that are not in `lanes` have one of their own.
        acts: what the attempts of (work package, role) come to, and the seconds that each takes.
        order: which of the tasks that can go on at once goes first.
    """

    dependencies: Mapping[str, tuple[str, ...]]
    lanes: Mapping[str, str]
    slots: int
    agents: tuple[str, ...]
    acts: Mapping[tuple[str, str], tuple[tuple[str, float], ...]]
    happenings: tuple[Happening, ...]
    stops: tuple[Stop, ...]
    order: int = 0


# How they are drawn.

ADDED = ("WP21", "WP22")
MOMENT = st.one_of(st.integers(0, 300), st.integers(0, 6000)).map(lambda number: number / 2 + 0.25)
WHILE = st.sampled_from([1.0, 5.0, 30.0, 100.0, 500.0, 700.0, 3600.0])
SECONDS = st.sampled_from([1.0, 20.0, 60.0, 400.0, 3000.0])
COMMANDS = ("mission-state", "list-ready", "resolve-workspace", "start-implementation", "start-review")
ALL_COMMANDS = (None, *COMMANDS, "transition", "append-history", "accept-mission")


@st.composite
def plans(draw: st.DrawFn, most: int) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Work packages with what they depend on, and lanes that only those share who hang together."""
    wp_ids = [f"WP{number:02}" for number in range(1, draw(st.integers(1, most)) + 1)]
    dependencies: dict[str, tuple[str, ...]] = {}
    lanes: dict[str, str] = {}
    for number, wp_id in enumerate(wp_ids):
        earlier = st.sampled_from(wp_ids[:number]) if number else st.nothing()
        dependencies[wp_id] = tuple(sorted(draw(st.sets(earlier, max_size=min(number, 3)))))
        kin = kin_of(wp_id, dependencies)
        lane = draw(st.sampled_from([None, *kin]))
        lanes[wp_id] = f"lane-x{number}" if lane is None else lanes[lane]
    return dependencies, lanes


def kin_of(wp_id: str, dependencies: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Those of the earlier ones that hang together with it."""
    found, to_ask = {wp_id}, [wp_id]
    while to_ask:
        one = to_ask.pop()
        near = {*dependencies[one], *(each for each, others in dependencies.items() if one in others)}
        to_ask += near - found
        found |= near
    return sorted(found - {wp_id})


def happenings(wp_ids: list[str]) -> st.SearchStrategy[Happening]:
    """One thing that happens."""
    wps = st.sampled_from(wp_ids)
    return st.one_of(
        st.builds(Outage, MOMENT, WHILE, st.sampled_from(Fault), st.sampled_from(ALL_COMMANDS)),
        st.builds(Refusal, MOMENT, WHILE, wps),
        st.builds(
            Move,
            MOMENT,
            wps,
            st.sampled_from([lane.value for lane in Lane]),
            st.sampled_from([None, True, False]),
        ),
        st.builds(Touch, MOMENT, wps, st.sampled_from(["change", "leave", "commit", "tidy"])),
        st.builds(Remove, MOMENT, wps, st.booleans()),
        st.builds(Add, MOMENT, st.sampled_from(ADDED), st.lists(wps, max_size=2, unique=True).map(tuple)),
    )


@st.composite
def nights(draw: st.DrawFn, most: int = 12) -> Night:
    """A whole night of a mission of up to so many work packages."""
    dependencies, lanes = draw(plans(most))
    acts = {}
    for wp_id in dependencies:
        for role, outcomes in OUTCOMES.items():
            act = st.tuples(st.sampled_from(sorted(outcomes)), SECONDS)
            if made := tuple(draw(st.lists(act, max_size=4))):
                acts[wp_id, role] = made
    agents = draw(st.sampled_from([("claude-code",), ("claude-code", "codex")]))
    stops = draw(st.lists(st.builds(Stop, MOMENT, st.booleans()), max_size=3))
    happening = happenings(list(dependencies))
    return Night(
        dependencies,
        lanes,
        draw(st.integers(1, 4)),
        agents,
        acts,
        tuple(draw(st.lists(happening, max_size=6))),
        tuple(stops),
        draw(st.integers(0, 3)),
    )
