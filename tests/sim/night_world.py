"""The world of a night: plays what was drawn, and looks whether all is right at every step."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import trio
from attrs import define, evolve, field, frozen
from conformance.fake.checks import about
from conformance.fake.command_line import Said, reply, respond
from conformance.fake.in_process import Fault
from conformance.fake.rules import TARGET_BRANCH, Refused
from tests.sim.nights import (
    MOVES_ITSELF,
    NO_AGENT_IS_LEFT_AFTER,
    OUTCOMES,
    SPENDS_NOTHING,
    Happening,
    Night,
    Outage,
    Refusal,
)
from tests.sim.world import ACTOR, GOOD, REF, WP, Act, Stopped, World, make_world

from spec_kitty_orchestrator.agents.spec import Role
from spec_kitty_orchestrator.errors import ExitCode, HostError
from spec_kitty_orchestrator.mission.patience import LONGEST_PAUSE_SECONDS
from spec_kitty_orchestrator.report.events import VerdictGiven
from spec_kitty_orchestrator.settings.values import HostSettings

PERSON = "a person"
ACCEPTED = ("approved", "done")
UNDER_WAY = ("claimed", "in_progress", "for_review", "in_review")
HEARD_OF_LATE_SECONDS = 2 * LONGEST_PAUSE_SECONDS + HostSettings().timeout_seconds
DYING_SECONDS = 3.0  # that an agent takes to go


@frozen
class Judged:
    """What a reviewer said, and of what."""

    agent: str
    wp_id: str
    word: str | None
    before: str
    after: str
    is_clean: bool


@define(slots=False)
class NightWorld(World):
    """One mission in one night.

    Attributes:
        left: what the next attempts come to, and how long they take; then good ones for ever.
        known: all work packages, those that were taken out included.
        busy: who is at work now, and in which folder.
        was_accepted: those that ever were approved or done.
        moved: what others than this run did to a work package, its lane included; how often.
        ended: how many attempts ended so, by (work package, role, agent, outcome).
    """

    left: dict[tuple[str, str], list[tuple[str, float]]] = field(factory=dict)
    known: dict[str, dict[str, Any]] = field(factory=dict)
    outages: list[Outage] = field(factory=list)
    refusals: list[Refusal] = field(factory=list)
    busy: dict[str, Path] = field(factory=dict)
    was_accepted: set[str] = field(factory=set)
    moved: Counter[str] = field(factory=Counter)
    ended: Counter[tuple[str, str, str, str]] = field(factory=Counter)
    judged: dict[str, Judged] = field(factory=dict)
    refused_at: dict[str, float] = field(factory=dict)
    last_outage: float = -1e9
    last_news: float = -1e9
    happenings: list[tuple[float, Callable[[], Any]]] = field(factory=list)
    accepted_by_host: int = 0

    @classmethod
    def of(cls, night: Night, root: Path) -> NightWorld:
        """The world in which this night is played."""
        world = make_world(root, night.dependencies, lanes=night.lanes, of=cls)
        assert isinstance(world, NightWorld)
        world.settings = evolve(world.settings, max_concurrent_wps=night.slots)
        world.with_agents(implementation=night.agents, review=night.agents)
        world.left = {key: list(acts) for key, acts in night.acts.items()}
        world.known.update(world.fake.wps)
        world.host.respond, world.host.trouble = world.answer, world.fault
        world.beside = world.happen
        for happening in night.happenings:
            world.at(happening.at, lambda each=happening: world.begin(each))
        return world

    # What happens.

    def at(self, second: float, call: Callable[[], Any]) -> None:
        """Has something happen, now if its time is over."""
        self.happenings.append((second, call))
        self.happenings.sort(key=lambda happening: happening[0])

    async def happen(self) -> None:
        """Has everything happen at its time, while a run is alive."""
        while self.happenings:
            await trio.sleep(max(0.0, self.happenings[0][0] - self.now()))
            self.happenings.pop(0)[1]()

    def begin(self, happening: Happening) -> None:
        """Has one thing happen."""
        self.last_news = self.now()
        happening.begin(self)

    def fault(self, argv: Sequence[str]) -> Fault | None:
        """What a call meets while the host is broken."""
        for outage in self.outages:
            if outage.command in (None, argv[1]):
                self.last_outage = self.now()
                return outage.fault
        return None

    def branch(self, wp_id: str) -> str:
        """The branch of its lane."""
        return self.fake.branch(self.fake.missions[self.fake.slug], self.known[wp_id])

    def folder(self, wp_id: str) -> Path:
        """The workspace of its lane."""
        return self.fake.workspace(self.fake.missions[self.fake.slug], self.known[wp_id])

    def is_clean(self, wp_id: str) -> bool:
        """Nothing in its workspace is uncommitted."""
        return not self.fake.workspaces.is_dirty(self.folder(wp_id))

    def head(self, wp_id: str) -> str:
        """The last commit of its lane."""
        return self.fake.workspaces.commits[self.branch(wp_id)][-1]

    def in_lane_with(self, wp_id: str) -> list[str]:
        """Those that share its lane, itself included."""
        return [each for each in self.fake.wps if self.folder(each) == self.folder(wp_id)]

    def step(self, wp_id: str, step: str) -> None:
        """One thing that somebody does in a lane."""
        paper, folder = self.fake.workspaces, self.folder(wp_id)
        if self.branch(wp_id) not in paper.commits:
            return
        if step == "change":
            paper.changed.setdefault(folder, set()).add("work.py")
        elif step == "leave":
            paper.untracked.setdefault(folder, set()).add("notes.txt")
        elif step == "tidy":
            paper.changed.pop(folder, None), paper.untracked.pop(folder, None)
        elif wp_id not in self.fake.wps:
            return
        elif step == "commit":
            self.fake.commit(wp_id)
        elif step == "mark":
            self.fake.mark(wp_id)
        else:
            self.fake.wps[wp_id]["lane"] = step
            self.note_accepted()

    def touch(self, wp_id: str, step: str) -> None:
        """A person does something in a lane."""
        if wp_id in self.fake.wps:
            self.step(wp_id, step)
            self.moved.update(self.in_lane_with(wp_id))

    def move(self, wp_id: str, lane: str, holds: bool | None) -> None:
        """A person moves a work package."""
        if wp_id not in self.fake.wps:
            return
        self.moved.update(self.in_lane_with(wp_id))
        self.fake.wps[wp_id]["lane"] = lane
        if holds is not None:
            self.fake.wps[wp_id]["holder"] = PERSON if holds else None
        commits = self.fake.workspaces.commits
        if lane in ACCEPTED:  # nobody calls it done without its branch
            commits.setdefault(self.branch(wp_id), list(commits[TARGET_BRANCH]))
        self.note_accepted()

    def move_away(self, workspace: Any, paths: Sequence[str], to: Path) -> tuple[str, ...]:
        """What stands only on paper is moved there alone."""
        there = self.fake.workspaces.untracked.get(workspace.path, set())
        moved = tuple(path for path in paths if path in there)
        there.difference_update(moved)
        return moved

    def remove(self, wp_id: str, mends_others: bool) -> None:
        """A person takes a work package out, unless it is the last one."""
        if len(self.fake.wps) > 1 and self.fake.wps.pop(wp_id, None):
            self.moved.update(each for each in self.known if self.folder(each) == self.folder(wp_id))
            self.moved[wp_id] += 100  # whatever else becomes of it
            if mends_others:
                self.mend_dependencies()

    def mend_dependencies(self) -> None:
        """Nobody waits for what is not there any more."""
        for wp in self.fake.wps.values():
            wp["dependencies"] = [each for each in wp["dependencies"] if each in self.fake.wps]

    def add(self, wp_id: str, work_package: dict[str, Any]) -> None:
        """A person adds a work package, with its prompt."""
        if wp_id not in self.fake.wps:
            tasks = self.root / "kitty-specs" / self.fake.slug / "tasks"
            (tasks / f"{wp_id}-more.md").write_text(f"---\nwork_package_id: {wp_id}\n---\n\nDo {wp_id}.\n")
            self.fake.wps[wp_id] = self.known[wp_id] = work_package

    def note_accepted(self) -> None:
        """Keeps in mind who was approved or done at some time."""
        self.was_accepted.update(wp_id for wp_id, lane in self.lanes().items() if lane in ACCEPTED)

    # The host, with a look at all that is asked of it.

    def answer(self, argv: Sequence[str]) -> Said:
        """What the host says."""
        options = dict(zip(argv[2::2], argv[3::2], strict=False))
        if argv[1] == "transition" and options["--to"] in ACCEPTED:
            self.check_approval(options)
        if argv[1] == "start-implementation" and any(options["--wp"] == each.wp_id for each in self.refusals):
            self.refused_at[options["--wp"]] = self.now()
            data = {
                **about(self.fake.missions[self.fake.slug]),
                "wp_id": options["--wp"],
                "reason": "not now",
            }
            refused = Refused("LANE_ALLOCATION_FAILED", "not now", **data)
            return reply(argv[1], refused.data, [], refused)
        said = respond(self.fake, argv)
        self.accepted_by_host += argv[1] == "accept-mission" and said.returncode == 0
        self.note_accepted()
        return said

    def check_approval(self, options: dict[str, str]) -> None:
        """Nothing is approved but a commit that a reviewer saw and approved, and that is still there."""
        evidence = json.loads(options["--evidence-json"])
        ref, wp_id = evidence["review"]["reference"], options["--wp"]
        (proof,) = evidence["repos"]
        assert ref in self.judged, f"{wp_id} is approved with {ref}, of which no reviewer knows"
        said = self.judged[ref]
        assert (said.wp_id, said.word, said.agent) == (wp_id, "approved", evidence["review"]["reviewer"])
        assert said.before == said.after == proof["commit"], said
        assert said.is_clean, said
        if wp_id in self.fake.wps and not self.moved[wp_id]:
            assert self.head(wp_id) == proof["commit"]
            assert self.is_clean(wp_id)

    # The agents, with a look at each beginning.

    async def start(self, command: Any, log_file: Path, limits: Any, sink: Any, on_start: Any) -> Any:
        """One attempt; an implementer that is stopped leaves what it has done half."""
        prompt = command.stdin.read_text(encoding="utf-8")
        wp_id, ref = WP.search(prompt)[1], REF.search(prompt)
        self.check_start(wp_id, "review" if ref else "implementation", command.cwd)
        self.busy[wp_id] = command.cwd
        before = self.head(wp_id)
        try:
            ending = await super().start(command, log_file, limits, sink, on_start)
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await trio.sleep(DYING_SECONDS)
            if ref is None:
                self.step(wp_id, "change")
            raise
        finally:
            del self.busy[wp_id]
        if ref is not None:
            agent = Path(command.argv[0]).name
            word = self.last_act.verdict if self.last_act.fails is None else None
            self.judged[ref[1]] = Judged(
                agent,
                wp_id,
                word,
                before,
                self.head(wp_id),
                not self.fake.workspaces.changed.get(command.cwd),
            )
        return ending

    def check_start(self, wp_id: str, role: str, folder: Path) -> None:
        """Nobody begins who may not."""
        assert wp_id not in self.busy, f"{wp_id} is at work twice"
        assert folder not in self.busy.values(), f"{wp_id} begins where another one is at work: {self.busy}"
        assert len(self.busy) < self.settings.max_concurrent_wps, f"{wp_id} has no slot"
        if wp_id not in self.fake.wps or self.moved[wp_id]:
            return
        wp = self.fake.wps[wp_id]
        missing = {*wp["dependencies"]} - self.was_accepted
        assert not missing, f"{wp_id} begins before {missing}"
        assert wp["lane"] == ("in_review" if role == "review" else "in_progress"), wp
        assert wp["holder"] in (None, ACTOR), wp
        self.check_spent()

    def check_spent(self) -> None:
        """No retry is spent by a limit, an interruption, an outage or a person."""
        if self.state is None:
            return
        for wp_id, record in self.state.work_packages.items():
            for role in Role:
                for agent in self.settings.agents.implementation:
                    spent, most = record.tally(role, agent).spent, self.spends(wp_id, role, agent)
                    assert spent <= most + self.moved[wp_id], (
                        f"{wp_id} {role.value} {agent}: {spent} > {most}"
                    )
            most = sum(
                count
                for (each, role, _, name), count in self.ended.items()
                if (each, role) == (wp_id, "review") and name in ("reject", "commits", "changes")
            )
            assert record.rejections <= most + self.moved[wp_id], f"{wp_id}: {record.rejections} rejections"

    def spends(self, wp_id: str, role: Role, agent: str) -> int:
        """How many attempts ended in a way that counts against this agent."""
        return sum(
            count
            for (each, in_role, who, name), count in self.ended.items()
            if (each, in_role, who) == (wp_id, role.value, agent) and name not in SPENDS_NOTHING
        )

    def _next_act(self, agent: str, wp_id: str, role: Role) -> Act:
        left = self.left.get((wp_id, role.value))
        name, seconds = left.pop(0) if left else ("good", GOOD.seconds)
        act = evolve(OUTCOMES[role.value][name](self, wp_id, agent), seconds=seconds)

        def then(does: Callable[[], None] = act.then) -> None:
            does()
            self.last_act = act
            self.ended[wp_id, role.value, agent, name] += 1
            if name in MOVES_ITSELF:
                self.moved[wp_id] += 1

        return evolve(act, then=then)

    # The ends.

    def run(self, stop: float | None = None, *, killed: bool = False) -> ExitCode | None:
        """One run; its exit code, or None when it was stopped. Its end is looked at."""
        began, calls, made = self.wall, len(self.host.log), len(self.attempts)
        ended, accepted, happened = Counter(self.ended), self.accepted_by_host, len(self.happenings)
        lines: tuple[str, ...] = ()
        code: ExitCode | None = None
        try:
            end = self.orchestrate(*([] if stop is None else [stop]), killed=killed)
            code, lines = end.exit_code, end.lines
        except Stopped:
            assert stop is not None
        except HostError as broken:
            code, lines = broken.exit_code, (str(broken),)
        self.check_spent()
        assert not self.busy
        assert not list(self.root.glob(".kittify/logs/*/*internal-error*")), self.bugs()
        seconds, attempts = self.wall - began, len(self.attempts) - made
        news = attempts + happened - len(self.happenings) + 1
        most = (
            40 + 3 * seconds / self.settings.refresh_seconds + len(self.fake.wps) * (seconds / 20 + 8 * news)
        )
        assert len(self.host.log) - calls <= most, f"{len(self.host.log) - calls} calls in {seconds:g} s"
        refs = [event.review_ref for event in self.said(VerdictGiven)]
        assert len(refs) == len({*refs}), "a verdict was given twice"
        if code is not None:
            self.check_code(code, lines, accepted=self.accepted_by_host > accepted, ended=self.ended - ended)
        return code

    def bugs(self) -> str:
        """The tracebacks that were recorded."""
        return "\n".join(path.read_text() for path in self.root.glob(".kittify/logs/*/*internal-error*"))

    def check_code(
        self, code: ExitCode, lines: tuple[str, ...], *, accepted: bool, ended: Counter[Any]
    ) -> None:
        """The exit code says what is so, and nothing is left that could have been finished."""
        lanes = self.lanes()
        is_broken = bool(self.outages) or self.wall - self.last_outage < HEARD_OF_LATE_SECONDS
        outcomes = {name for *_, name in ended}
        if code is ExitCode.ACCEPTED:
            assert accepted
            assert {*lanes.values()} <= {*ACCEPTED}, lanes
        elif code is ExitCode.HOST:
            assert is_broken, f"the host was well: {lines}"
        elif code is ExitCode.NO_AGENT:
            assert outcomes & NO_AGENT_IS_LEFT_AFTER, f"there was an agent: {lines}"
        else:
            assert code is ExitCode.ATTENTION, (code, lines)
            is_news = (
                self.wall - self.last_news < 2 * self.settings.refresh_seconds
            )  # nobody may have seen it
            left = [wp_id for wp_id in lanes if lanes[wp_id] not in ACCEPTED and not self.is_excused(wp_id)]
            left = [] if is_news else left
            assert not left, f"{left} could have been finished: {lanes}\n" + "\n".join(lines)
            if {*lanes.values()} <= {*ACCEPTED}:
                assert self.outages or sum(self.moved.values()), lines

    def is_excused(self, wp_id: str) -> bool:
        """There is a reason why it is left: its own, or that of one that it has to wait for."""
        wps, seen, to_ask = self.fake.wps, {wp_id}, [wp_id]
        while to_ask:
            each = to_ask.pop()
            if each not in wps or wps[each]["lane"] in ("blocked", "canceled") or not self.is_clean(each):
                return True
            if self.moved[each] or self.refused_at.get(each, -1e9) > self.wall - HEARD_OF_LATE_SECONDS:
                return True
            shares = [other for other in self.in_lane_with(each) if wps[other]["lane"] in UNDER_WAY]
            waits_for = [
                dep for dep in wps[each]["dependencies"] if dep not in wps or wps[dep]["lane"] not in ACCEPTED
            ]
            to_ask += {*shares, *waits_for} - seen
            seen.update(to_ask)
        return False

    def make_peace(self) -> None:
        """All trouble is over: the host is well, people have given back what they had, agents are good."""
        self.happenings.clear(), self.outages.clear(), self.refusals.clear(), self.left.clear()
        self.mend_dependencies()
        for wp_id in {*self.known} - {*self.fake.wps}:
            self.step(wp_id, "tidy")

    def let_go(self) -> None:
        """A person gives back what people have, and unblocks what is blocked."""
        for wp_id, wp in self.fake.wps.items():
            if wp["lane"] == "blocked":
                self.move(wp_id, "in_progress", holds=True)
            elif wp["lane"] not in ACCEPTED and self.moved[wp_id]:
                self.move(wp_id, "planned", holds=False)
                self.step(wp_id, "tidy")

    def finish(self) -> None:
        """With all trouble over, the mission is accepted: at once, or once somebody saw what was left."""
        self.make_peace()
        for _ in range(4):
            self.let_go()
            if self.run() is ExitCode.ACCEPTED:
                return
        raise AssertionError(f"never accepted: {self.lanes()}")
