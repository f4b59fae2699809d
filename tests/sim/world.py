"""A mission on paper: the fake host, simulated agents and Trio's clock, so that hours pass in no time.

Everything between them is the real thing: run state, mission, work packages, decisions, host client,
transcripts.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import trio
from attrs import define, evolve, field, frozen
from conformance.fake.command_line import respond
from conformance.fake.host import FakeHost, new_mission
from conformance.fake.in_process import InProcessHost, make_fake_project
from conformance.fake.workspaces import PaperWorkspaces
from tests.held_to_schema import hold_emitted
from trio.testing import MockClock

from spec_kitty_orchestrator.agents.agent import Agent
from spec_kitty_orchestrator.agents.names import agent_of
from spec_kitty_orchestrator.agents.spec import Role
from spec_kitty_orchestrator.errors import OrchestratorError, WorkspaceError
from spec_kitty_orchestrator.host.client import HostClient
from spec_kitty_orchestrator.host.program import HostEndpoint
from spec_kitty_orchestrator.host.workspace import Workspace
from spec_kitty_orchestrator.mission.acceptance import MissionEnd
from spec_kitty_orchestrator.mission.asked import carry_out
from spec_kitty_orchestrator.mission.evidence import Evidence
from spec_kitty_orchestrator.mission.mission import Mission
from spec_kitty_orchestrator.processes.agent_process import Limits, OnStart, OutputSink
from spec_kitty_orchestrator.processes.ending import EndedBy, Ending
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.processes.keeper import Command
from spec_kitty_orchestrator.processes.starting import CommandNotStarted
from spec_kitty_orchestrator.report.events import Event, Notice
from spec_kitty_orchestrator.report.untraced import Untraced
from spec_kitty_orchestrator.run.asking import wanted_of
from spec_kitty_orchestrator.run.notices import Notices
from spec_kitty_orchestrator.run.obeying import Obeying
from spec_kitty_orchestrator.run.opening import KITTIFY, Opened, Request, named_agents
from spec_kitty_orchestrator.run.ordering import Answer, Order, OrderBox, Ordered
from spec_kitty_orchestrator.run.services import open_run, with_traces
from spec_kitty_orchestrator.run.state import RunState, RunStore
from spec_kitty_orchestrator.run.stopping import StopControl
from spec_kitty_orchestrator.run.taking_up import begin_state, take_up
from spec_kitty_orchestrator.run.writer import StateWriter
from spec_kitty_orchestrator.settings.loading import load_settings
from spec_kitty_orchestrator.settings.values import Asked, Flags, Settings

CAPTURES = Path(__file__).parents[1] / "data" / "captures"
ACTOR = "the-run"
REF = re.compile(r"^Review reference: (\S+)$", re.MULTILINE)
WP = re.compile(r"^Work package: (\S+) of mission", re.MULTILINE)
APPROVE = "approved"
A_DAY = 24 * 3600.0
"""No mission here is at it for so long unless it hangs: looking at the host keeps the clock going."""


@frozen
class Act:
    """What a simulated agent does in one attempt, which takes `seconds`.

    Attributes:
        verdict: what a reviewer says; None: it ends its work in silence.
        commit, mark: whether an implementer commits and marks its subtasks.
        fails: the name of a capture to speak instead, `http429`; the exit status is then 1.
        says: what to print instead; the exit status is then 1, too.
        raises: why it does not even start.
        ended_by: how the attempt ends, when not by itself.
        cost_usd: what it costs; only claude-code tells, and its whole session's.
        then: called at the end, for what happens meanwhile.
    """

    seconds: float = 60.0
    verdict: str | None = APPROVE
    feedback: str = ""
    commit: bool = True
    mark: bool = True
    fails: str | None = None
    says: str | None = None
    raises: CommandNotStarted | None = None
    returncode: int | None = 0
    ended_by: EndedBy = EndedBy.EXITED
    cost_usd: float | None = None
    then: Callable[[], None] = lambda: None


GOOD = Act()


def reject(feedback: str) -> Act:
    """A review that asks for changes."""
    return Act(verdict="changes_requested", feedback=feedback)


@frozen
class PaperRepository:
    """What is committed, on the fake host's paper."""

    fake: FakeHost

    @property
    def paper(self) -> PaperWorkspaces:
        """Where it stands."""
        assert isinstance(self.fake.workspaces, PaperWorkspaces)
        return self.fake.workspaces

    async def look(self, workspace: Workspace, since: str | None = None) -> Evidence:
        """Takes no time; a workspace whose folder is gone cannot be looked at."""
        await trio.lowlevel.checkpoint()
        if not workspace.path.is_dir():
            raise WorkspaceError(f"the workspace {workspace.path} does not exist")
        branch = self.paper.switched.get(workspace.path, workspace.branch)
        commits = self.paper.commits[branch]
        return Evidence(
            commits[-1],
            branch,
            tuple(sorted(self.paper.changed.get(workspace.path, ()))),
            tuple(sorted(self.paper.untracked.get(workspace.path, ()))),
            since is not None and bool({*commits} - self._reachable(since)),
        )

    def _reachable(self, commit: str) -> set[str]:
        """A commit and those before it, on whatever branch."""
        holding = [commits for commits in self.paper.commits.values() if commit in commits]
        return {each for commits in holding for each in commits[: commits.index(commit) + 1]}

    async def is_in(self, repo_root: Path, ref: str, commit: str) -> bool:
        """HEAD is that of the primary checkout."""
        await trio.lowlevel.checkpoint()
        name = self.paper.checked_out if ref == "HEAD" else ref.removeprefix("refs/heads/")
        return commit in self.paper.commits.get(name, [])

    async def resolve(self, repo_root: Path, ref: str) -> str | None:
        """The last commit of a branch."""
        await trio.lowlevel.checkpoint()
        return self.paper.commits.get(ref.removeprefix("refs/heads/"), [None])[-1]

    async def look_at(self, repo_root: Path) -> Evidence:
        """The primary checkout."""
        await trio.lowlevel.checkpoint()
        branch = self.paper.checked_out
        return Evidence(
            self.paper.commits[branch][-1], branch, self._left(repo_root, changed=True), (), False
        )

    async def is_locked(self, repo_root: Path) -> bool:
        """Never."""
        await trio.lowlevel.checkpoint()
        return False

    async def both_changed(self, repo_root: Path, one: str, other: str) -> tuple[str, ...]:
        """On paper there are no files."""
        await trio.lowlevel.checkpoint()
        return ()

    async def holds_work(self, repo_root: Path, ref: str, commit: str, since: str) -> bool:
        """Only as the commit itself."""
        return await self.is_in(repo_root, ref, commit)

    async def uncommitted(self, repo_root: Path, branch: str) -> tuple[str, ...]:
        """What is left in the workspace of a branch."""
        await trio.lowlevel.checkpoint()
        path = repo_root / ".worktrees" / branch.removeprefix("kitty/mission-")
        return (*self._left(path, changed=True), *self._left(path, changed=False))

    async def has_remote(self, repo_root: Path, name: str) -> bool:
        """None, ever."""
        await trio.lowlevel.checkpoint()
        return False

    def _left(self, path: Path, *, changed: bool) -> tuple[str, ...]:
        left = self.paper.changed if changed else self.paper.untracked
        return tuple(sorted(left.get(path, ())))


class Stopped(Exception):
    """The run was stopped, as Ctrl-C stops it."""


@frozen
class Attempt:
    """One attempt that was made, with what the agent was told."""

    started: float
    agent: str
    wp_id: str
    role: Role
    prompt: str
    session: str | None = None
    resumed: bool = False
    model: str | None = None


@define(slots=False)  # tests replace methods of it
class World:
    """One mission and its agents.

    Attributes:
        acts: (work package, role) → what its attempts do, in order; then `GOOD` for ever.
        agent_acts: agent id → the same for whatever it is asked, before `acts`.
        actor, flags, wishes, resume: who the next run is to the host, what it is asked for, if it goes on.
        told: what `on_attention` was given, in order; its command fails each time.
        commands: the project's own commands that were run, in order.
        command_acts: how the next ones end: exit status, output, what happens meanwhile.
        weather: what befalls an agent that starts now, before all acts; asked with its id.
        beside: what happens beside the run.
        sessions: the agents' own, by id, with the prompts that each was given; tests make them forget.
        tokens: what codex says next that its thread has read.
        costs: what each of claude-code's sessions has cost.
        traces: where a run is told to, beside `events`.
        wall: the time of day when a run's clock stands at 0, in seconds; that of a suspended machine jumps.
    """

    root: Path
    fake: FakeHost
    host: InProcessHost
    settings: Settings
    acts: dict[tuple[str, str], list[Act]] = field(factory=dict)
    agent_acts: dict[str, list[Act]] = field(factory=dict)
    attempts: list[Attempt] = field(factory=list)
    commands: list[tuple[str, ...]] = field(factory=list)
    command_acts: list[tuple[int, str, Callable[[], None]]] = field(factory=list)
    events: list[Event] = field(factory=list)
    weather: Callable[[str], Act | None] = lambda _: None
    beside: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
    wall: float = 0.0
    at_work: int = 0
    most_at_work: int = 0
    stopped: int = 0
    sessions: dict[str, list[str]] = field(factory=dict)
    tokens: list[int] = field(factory=list)
    costs: dict[str | None, float] = field(factory=dict)
    programs: dict[str, Path | None] = field(factory=dict)
    state: RunState | None = None
    writer: StateWriter | None = None
    mission: Mission | None = None
    notices: Notices | None = None
    told: list[dict[str, Any]] = field(factory=list)
    actor: str = ACTOR
    flags: Flags = field(factory=Flags)
    wishes: Asked = field(factory=Asked)
    resume: bool = True
    traces: Untraced = field(factory=Untraced)

    @property
    def request(self) -> Request:
        """What the user asked for, by whom."""
        return Request(self.fake.slug, self.actor, self.root, self.flags, environ={}, asked=self.wishes)

    @property
    def store(self) -> RunStore:
        """What is remembered between runs."""
        return RunStore(self.root / KITTIFY)

    def log_dir(self) -> Path:
        """Where the logs of the run are, or will be."""
        return self.root / KITTIFY / "logs" / self.remember().run_id

    def with_agents(self, **changes: Any) -> World:
        """Changes settings under `agents:`."""
        self.settings = evolve(self.settings, agents=evolve(self.settings.agents, **changes))
        return self

    def orchestrate(self, stop_after: float = A_DAY, *, killed: bool = False) -> MissionEnd:
        """One run of the mission, which goes on with its last one, if there was one and `resume` is so.

        Stopped after so many seconds of the clock, it raises Stopped. `killed`, it stores no last word.
        """
        return trio.run(self._orchestrate, stop_after, killed, clock=MockClock(autojump_threshold=0))

    async def _orchestrate(self, stop_after: float, killed: bool) -> MissionEnd:
        told = len(self.events)
        mission = await self.open_mission()
        assert self.writer is not None
        try:
            with trio.move_on_after(stop_after) as patience:
                return await self._recorded(mission, self.writer)
        finally:
            self.wall = self.now()
            hold_emitted(self.events[told:])
            if not (killed and patience.cancel_called):
                await self.writer.save_at_last()
        assert stop_after < A_DAY, "the run hangs"
        raise Stopped

    async def _recorded(self, mission: Mission, writer: StateWriter) -> MissionEnd:
        broken: OrchestratorError | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.keep)
            nursery.start_soon(self.beside)
            assert self.notices is not None
            nursery.start_soon(self.notices.keep)
            try:
                end = await mission.orchestrate()
            except OrchestratorError as problem:  # raised below: out of a nursery it would come in a group
                broken = problem
            nursery.cancel_scope.cancel()
        if broken is not None:
            raise broken
        return end

    async def open_mission(self) -> Mission:
        """A mission with its run, as the supervisor opens them, but for process and terminal."""
        request, settings, store = self.request, self.settings, self.store
        endpoint = HostEndpoint(Path("/sim/spec-kitty"), self.root, environ={})
        host = HostClient(endpoint, request.mission, request.actor, self.host)
        first = await host.mission_state()
        wanted = wanted_of(request.flags, request.asked, first)
        opened = Opened(request, settings, self._agents(), host, first, wanted=wanted)
        taken = take_up(opened, store, resume=self.resume)
        self.state = taken.state
        self.writer = StateWriter(store, self.state, write_at_once)
        self.writer.mark()
        await self.writer.saved()
        taken.is_stored()
        kit = evolve(opened.agent_kit(self.start, trio.Event()), now=self.now)
        paper = PaperRepository(self.fake)
        run = evolve(open_run(opened, self.writer, kit, paper, self.host), jitter=lambda: 0.0)
        run = with_traces(run, self.traces)
        run.events.add(self.events.append)
        self.notices = Notices(run, StopControl())
        run.events.add(self.notices)
        self.events += map(Notice, taken.notices)
        self.mission = Mission(run, await carry_out(self.wishes, run, first))
        return self.mission

    async def order(self, order: Order, **asked: Any) -> Answer:
        """Orders something of the run that is alive, as another process does; what it answers."""
        assert self.mission is not None
        assert self.writer is not None
        box = OrderBox(self.root, self.writer.state.process)
        obeying = Obeying(self.mission.run, self.writer, self.mission, box)
        return await obeying.carry_out(Ordered(order, box.process, Asked(**asked)))

    def happens(self, *steps: tuple[float, Callable[[], Awaitable[object]]]) -> list[object]:
        """Has things be done beside the run, at these seconds of its clock; returns what comes of them."""
        came: list[object] = []

        async def beside() -> None:
            for when, what in steps:
                await trio.sleep_until(when)
                came.append(await what())

        self.beside = beside
        return came

    def now(self) -> float:
        """The time of day."""
        return self.wall + trio.current_time()

    def _agents(self) -> dict[str, Agent]:
        found = named_agents(self.settings, {"PATH": ""}, (self.wishes.agent,))
        programs = {
            agent_id: self.programs.get(agent_id, Path("/sim") / agent_of(agent_id)) for agent_id in found
        }
        return {agent_id: evolve(agent, program=programs[agent_id]) for agent_id, agent in found.items()}

    async def start(
        self,
        command: Command,
        log_file: Path,
        limits: Limits,
        sink: OutputSink,
        on_start: OnStart,
    ) -> Ending:
        """Plays one attempt, or a command of the project's own, or of who wants to know; a `RunAgent`."""
        if log_file.name.startswith("on_attention"):
            assert command.stdin is not None
            await trio.sleep(1.0)
            self.told.append(json.loads(command.stdin.read_text()))
            return Ending(7, None, EndedBy.EXITED, (), 1.0)
        if command.stdin is None:
            return await self._run_command(command, sink)
        agent, prompt = Path(command.argv[0]).name, command.stdin.read_text(encoding="utf-8")
        found = WP.search(prompt)
        assert found is not None
        wp_id, role = found[1], Role.REVIEW if REF.search(prompt) else Role.IMPLEMENTATION
        on_start(ProcessIdentity.of(os.getpid()))
        session, resumed = self._session_of(agent, command.argv)
        model = dict(pairwise(command.argv)).get("--model")
        now = trio.current_time()
        self.attempts.append(Attempt(now, agent, wp_id, role, prompt, session, resumed, model))
        number = len(self.attempts) - 1
        if resumed and session not in self.sessions:
            return _knows_none(agent, session, sink)
        if session is not None:
            self.sessions.setdefault(session, []).append(prompt)
        act = self._next_act(agent, wp_id, role)
        if act.raises is not None:
            raise act.raises
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        if agent == "codex":  # claude says it at its end, but was told
            sink.feed_stdout(json.dumps({"type": "thread.started", "thread_id": session}).encode() + b"\n")
        try:
            await trio.sleep(act.seconds)
        except trio.Cancelled:
            self.stopped += 1
            raise
        finally:
            self.at_work -= 1
        return self._end(act, self.attempts[number], sink)

    def _session_of(self, agent: str, argv: Sequence[str]) -> tuple[str | None, bool]:
        """In which session of its own an agent works, and whether it was told to go on with that."""
        words = dict(pairwise(argv))
        if agent == "codex":
            return words.get("resume", f"thread-{len(self.attempts)}"), "resume" in words
        return words.get("--resume", words.get("--session-id")), "--resume" in words

    async def _run_command(self, command: Command, sink: OutputSink) -> Ending:
        self.commands.append(command.argv)
        await trio.sleep(1.0)
        status, said, then = self.command_acts.pop(0) if self.command_acts else (0, "", lambda: None)
        then()
        sink.feed_stdout(said.encode())
        return Ending(status, None, EndedBy.EXITED, (), 1.0)

    def _next_act(self, agent: str, wp_id: str, role: Role) -> Act:
        if (befallen := self.weather(agent)) is not None:
            return befallen
        for waiting in (self.agent_acts.get(agent), self.acts.get((wp_id, role.value))):
            if waiting:
                return waiting.pop(0)
        return GOOD

    def _end(self, act: Act, made: Attempt, sink: OutputSink) -> Ending:
        act.then()
        agent, wp_id = made.agent, made.wp_id
        if act.fails is not None:
            for stream in ("stdout", "stderr"):
                path = CAPTURES / agent / f"{act.fails}.{stream}"
                getattr(sink, f"feed_{stream}")(path.read_bytes())
            return Ending(1, None, act.ended_by, (), act.seconds)
        if act.says is not None:
            sink.feed_stdout(act.says.encode())
            return Ending(1, None, act.ended_by, (), act.seconds)
        if act.ended_by is not EndedBy.EXITED:  # stopped before it could say or do anything
            return Ending(None, None, act.ended_by, (), act.seconds)
        if act.cost_usd is not None and agent == "claude-code":
            self.costs[made.session] = self.costs.get(made.session, 0.0) + act.cost_usd
            sink.feed_stdout(_cost(self.costs[made.session]))
        reference = REF.search(made.prompt)
        if reference is None:
            is_there = wp_id in self.fake.wps  # people may have taken it out meanwhile
            if act.commit and is_there:
                self.fake.commit(wp_id)
            if act.mark and is_there:
                self.fake.mark(wp_id)
            sink.feed_stdout(
                _spoken(
                    made, f"I did {wp_id}.", self.tokens.pop(0) if self.tokens and agent == "codex" else None
                )
            )
        else:
            said = {"review_ref": reference[1], "verdict": act.verdict, "feedback": act.feedback}
            sink.feed_stdout(_spoken(made, json.dumps(said) if act.verdict else "I looked at it."))
        return Ending(act.returncode, None, act.ended_by, (), act.seconds)

    # What tests arrange.

    def remember(self, *wp_ids: str, claim: bool = True, review: bool = True) -> RunState:
        """What is on the disk, or a new run, with claim and review of these recorded as held, or not."""
        state = self.store.load() or begin_state(self.request, self.fake.slug, None)
        for wp_id in wp_ids:
            state.record(wp_id).holds_claim, state.record(wp_id).holds_review = claim, review
        self.store.save(state)
        return state

    def plan(self, slug: str, *wp_ids: str) -> None:
        """Another mission in the same repository; what is asked and arranged from here on is about it."""
        self.fake.missions[slug] = new_mission(slug, [(wp_id, ()) for wp_id in wp_ids], {})
        self.fake.slug = slug
        for wp_id in wp_ids:
            prompt = self.root / "kitty-specs" / slug / "tasks" / f"{wp_id}-thing.md"
            prompt.parent.mkdir(parents=True, exist_ok=True)
            prompt.write_text(f"# {wp_id}\n\nDo {wp_id}.\n")

    def stand(self, wp_id: str, lane: str, actor: str = ACTOR) -> None:
        """Has `actor` claim a work package, then puts it into a lane."""
        policy = {
            "orchestrator_id": "x",
            "orchestrator_version": "1",
            "agent_family": "x",
            "approval_mode": "supervised",
            "sandbox_mode": "none",
            "network_mode": "none",
            "dangerous_flags": [],
        }
        of_wp = ["--mission", self.fake.slug, "--wp", wp_id, "--actor", actor]
        argv = ["orchestrator-api", "start-implementation", *of_wp, "--policy", json.dumps(policy)]
        said = respond(self.fake, argv)
        assert said.returncode == 0, said
        self.fake.wps[wp_id]["lane"] = lane

    # What tests ask.

    def lanes(self) -> dict[str, str]:
        """Where every work package stands at the host."""
        return {wp_id: self.fake.lane(wp_id) for wp_id in self.fake.wps}

    def asked(self, wp_id: str, role: str) -> list[str]:
        """The agents that were asked, in order."""
        return [made.agent for made in self.attempts if (made.wp_id, made.role.value) == (wp_id, role)]

    def prompts(self, wp_id: str, role: str) -> list[str]:
        """What they were told, in order."""
        return [made.prompt for made in self.attempts if (made.wp_id, made.role.value) == (wp_id, role)]

    def said(self, kind: type[Event]) -> list[Event]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]


async def write_at_once(write: Callable[[str], None], text: str) -> None:
    """Writes without a thread, for which Trio's clock would not stand still."""
    write(text)


async def run_at_once(function: Callable[..., Any], *args: Any, **_: Any) -> Any:
    """Stands for `trio.to_thread.run_sync`, for the same reason."""
    await trio.lowlevel.checkpoint()
    return function(*args)


def _knows_none(agent: str, session: str | None, sink: OutputSink) -> Ending:
    """What an agent says that is to go on with a session which it does not know."""
    if agent == "codex":
        sink.feed_stderr(f"Error: thread/resume failed: no rollout found for thread id {session}\n".encode())
    else:
        said = {
            "type": "result",
            "subtype": "error_during_execution",
            "is_error": True,
            "session_id": session,
        }
        said["errors"] = [f"No conversation found with session ID: {session}"]
        sink.feed_stdout(json.dumps(said).encode() + b"\n")
    return Ending(1, None, EndedBy.EXITED, (), 0.3)


def _cost(usd: float) -> bytes:
    """What claude-code says at its end, the cost alone."""
    return json.dumps({"type": "result", "total_cost_usd": usd}).encode() + b"\n"


def _spoken(made: Attempt, text: str, tokens: int | None = None) -> bytes:
    """A final text in the format of the agent."""
    if made.agent == "claude-code":
        event: dict[str, Any] = {"type": "result", "subtype": "success", "is_error": False, "result": text}
        event["session_id"] = made.session
        return json.dumps(event).encode() + b"\n"
    assert made.agent == "codex", made.agent
    item = {"type": "item.completed", "item": {"type": "agent_message", "text": text}}
    usage = {} if tokens is None else {"input_tokens": tokens, "output_tokens": 0}
    ended = {"type": "turn.completed", "usage": usage}
    return b"".join(json.dumps(each).encode() + b"\n" for each in (item, ended))


def make_world(
    root: Path,
    work_packages: Mapping[str, Sequence[str]],
    seconds: float = 2.0,
    lanes: Mapping[str, str] = MappingProxyType({}),
    topology: str = "lanes",
    of: type[World] = World,
) -> World:
    """A planned mission; each host call takes `seconds` of the clock, as the real one does of the CPU's.

    `lanes` says which work packages lie in one lane (id → `lane-a`).
    """
    fake = make_fake_project(root, work_packages, lanes=lanes, topology=topology)
    return of(root, fake, InProcessHost(fake, seconds), load_settings(root / KITTIFY, {}, Flags()))
