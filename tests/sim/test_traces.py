"""A run as spans, at a collector in the test: what is inside what, how long it took, and what is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from attrs import define, evolve, field
from conformance.fake.in_process import Fault
from tests.collector import Received, TestCollector, collector
from tests.sim.world import Act, Stopped, World, make_world, reject

from spec_kitty_orchestrator.agents.spec import AgentSettings
from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.mission.acceptance import MissionEnd
from spec_kitty_orchestrator.mission.mission import Mission
from spec_kitty_orchestrator.processes.agent_process import Limits, OnStart, OutputSink
from spec_kitty_orchestrator.processes.ending import Ending
from spec_kitty_orchestrator.processes.keeper import Command
from spec_kitty_orchestrator.report.collector import Collector
from spec_kitty_orchestrator.report.events import RunEnded, RunStarted
from spec_kitty_orchestrator.report.traces import Traces
from spec_kitty_orchestrator.run.tracing import traced
from spec_kitty_orchestrator.run.writer import StateWriter

SECRET = "the-words-of-somebody"


@define(slots=False)
class TracedWorld(World):
    """A world whose runs are sent to a collector.

    Attributes:
        environ: what the program finds in its environment.
        given: what each command got into its environment as its parent, in order.
    """

    at: str = ""
    environ: dict[str, str] = field(factory=dict)
    given: list[str | None] = field(factory=list)

    async def open_mission(self) -> Mission:
        agents = {name: traced(agent) for name, agent in self._agents().items()}
        self.traces = Traces(Collector(f"{self.at}/v1/traces"), self.environ, agents, self.time_of_day)
        mission = await super().open_mission()
        state = self.state
        assert state is not None
        lanes = {wp_id: wp["lane"] for wp_id, wp in self.fake.wps.items()}
        mission.run.events.emit(RunStarted(state.run_id, state.mission, state.actor, lanes, False))
        return mission

    async def _recorded(self, mission: Mission, writer: StateWriter) -> MissionEnd:
        end = await super()._recorded(mission, writer)
        mission.run.events.emit(RunEnded("finished", int(end.exit_code), "", writer.state.totals))
        return end

    async def start(
        self, command: Command, log_file: Path, limits: Limits, sink: OutputSink, on_start: OnStart
    ) -> Ending:
        self.given.append(command.env.get("TRACEPARENT"))
        return await super().start(command, log_file, limits, sink, on_start)

    def time_of_day(self) -> float:
        try:
            return self.now()
        except RuntimeError:  # no run is at it
            return self.wall

    def shown(self, stop_after: float | None = None) -> ExitCode | None:
        """One run, with everything sent that it has to tell."""
        try:
            return (self.orchestrate() if stop_after is None else self.orchestrate(stop_after)).exit_code
        except Stopped:
            return None
        finally:
            self.traces.close()


@pytest.fixture
def received() -> Iterator[TestCollector]:
    with collector() as found:
        yield found


@pytest.fixture
def world(received: TestCollector, tmp_path: Path) -> TracedWorld:
    """Two work packages, implemented by one agent and reviewed by the other."""
    return _world(tmp_path, received, WP01=[], WP02=["WP01"])


def _world(root: Path, received: TestCollector, **planned: list[str]) -> TracedWorld:
    world = make_world(root, planned, of=TracedWorld)
    assert isinstance(world, TracedWorld)
    world.at = received.url
    opus = {"claude-code": AgentSettings(model="opus")}
    world.with_agents(implementation=("codex",), review=("claude-code",), settings=opus)
    return world


def inside(received: TestCollector, span: Received) -> list[str]:
    """The names of what is directly inside a span, in order."""
    return [each.name for each in received.named("") if each.parent == span.id]


def test_a_run_is_one_trace_with_what_was_done_for_each_work_package_in_it(
    world: TracedWorld, received: TestCollector
) -> None:
    world.settings = evolve(world.settings, checks=(("/opt/bin/pytest", "-q"),))
    world.acts["WP01", "review"] = [reject("Mend it.")]
    assert world.shown() is ExitCode.ACCEPTED
    run = received.one("invoke_workflow")
    assert (run.parent, run.failed, run.kind) == ("", False, "internal")
    assert {each.trace for each in received.spans} == {run.trace}
    assert [each.name for each in received.named("work_package")] == [
        "work_package WP01",
        "work_package WP02",
    ]
    first, second = received.named("work_package")
    assert first.parent == second.parent == run.id
    assert (first.kind, second.kind) == ("internal", "internal")
    once = ["invoke_agent codex", "check pytest", "host transition", "host start-review"]
    once += ["invoke_agent claude-code", "host transition"]
    notes = "host append-history"
    assert [each for each in inside(received, second) if each != notes] == [
        "host start-implementation",
        *once,
    ]
    assert [each for each in inside(received, first) if each != notes] == [
        "host start-implementation",
        *once,
        *once,
    ]
    assert "host accept-mission" in inside(received, run)


def test_each_span_takes_the_time_that_what_it_shows_took(
    world: TracedWorld, received: TestCollector
) -> None:
    world.settings = evolve(world.settings, checks=(("pytest",),))
    world.acts["WP01", "implementation"] = [Act(seconds=700.0)]
    world.shown()
    run, first = received.one("invoke_workflow"), received.named("work_package")[0]
    assert received.named("invoke_agent")[0].seconds == pytest.approx(700.0)
    assert received.named("check")[0].seconds == pytest.approx(1.0)
    assert {round(each.seconds, 6) for each in received.named("host")} == {world.host.seconds}
    assert first.seconds == pytest.approx(4 * world.host.seconds + 700.0 + 1.0 + 60.0)
    assert run.started <= first.started < first.ended <= received.named("work_package")[1].started
    assert run.ended == max(each.ended for each in received.spans)


def test_an_attempt_says_in_the_words_of_the_conventions_who_did_it_and_what_it_cost(
    world: TracedWorld, received: TestCollector
) -> None:
    world.tokens = [1200]
    world.acts["WP01", "review"] = [Act(cost_usd=0.25)]
    world.shown()
    made = received.named("invoke_agent")
    told = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "codex",
        "gen_ai.provider.name": "openai",
        "gen_ai.conversation.id": "thread-0",
        "gen_ai.usage.input_tokens": 1200,
        "gen_ai.usage.output_tokens": 0,
        "spec_kitty.wp.id": "WP01",
        "spec_kitty.role": "implementation",
        "spec_kitty.attempt.number": 1,
        "spec_kitty.attempt.continued": False,
        "spec_kitty.attempt.outcome": "succeeded",
    }
    assert (made[0].told, made[0].kind) == (told, "client")
    review = made[1].told
    assert (review["gen_ai.provider.name"], review["gen_ai.request.model"]) == ("anthropic", "opus")
    assert review["gen_ai.conversation.id"] == world.attempts[1].session
    assert review["spec_kitty.attempt.cost_usd"] == 0.25
    run = received.one("invoke_workflow").told
    assert run["gen_ai.operation.name"] == "invoke_workflow"
    assert (run["spec_kitty.mission"], run["spec_kitty.run.id"]) == (world.fake.slug, world.remember().run_id)
    assert (run["spec_kitty.run.status"], run["process.exit.code"]) == ("finished", 0)


def test_what_failed_says_of_which_kind(world: TracedWorld, received: TestCollector) -> None:
    world.settings = evolve(world.settings, checks=(("pytest",),))
    world.with_agents(max_retries=0)
    world.acts["WP01", "implementation"] = [Act(seconds=5.0, fails="http429"), Act(seconds=7.0)]
    world.acts["WP01", "review"] = [reject("No.")]
    world.command_acts = [(0, "", lambda: None)]
    world.host.faults["start-implementation"] = [Fault.CRASH_AFTER]
    assert world.shown() is ExitCode.ATTENTION
    failed = {each.name: each.told["error.type"] for each in received.spans if each.failed}
    assert failed == {
        "host start-implementation": "HostCrashed",
        "invoke_agent codex": "rate_limit",
        "work_package WP01": "blocked",
        "invoke_workflow spec-kitty-mission": "1",
    }
    assert received.named("invoke_agent codex")[1].failed is False


def test_a_red_check_failed(world: TracedWorld, received: TestCollector) -> None:
    world.settings = evolve(world.settings, checks=(("pytest",),))
    world.command_acts = [(3, "1 failed", lambda: None)]
    world.shown()
    red, green = received.named("check")[:2]
    assert (red.failed, red.told["error.type"], green.failed) == (True, "exit status 3", False)


def test_what_takes_no_time_stands_at_the_span_that_it_belongs_to(
    world: TracedWorld, received: TestCollector
) -> None:
    world.acts["WP01", "review"] = [reject("Mend it.")]
    world.shown()
    first = received.named("work_package")[0]
    moves = [told["spec_kitty.lane"] for name, told in first.events if name == "spec_kitty.LaneChanged"]
    assert moves == [
        "in_progress",
        "for_review",
        "in_review",
        "in_progress",
        "for_review",
        "in_review",
        "done",
    ]
    verdicts = [told for name, told in first.events if name == "spec_kitty.VerdictGiven"]
    assert [each["spec_kitty.verdict"] for each in verdicts] == ["changes_requested", "approved"]
    assert first.told == {"spec_kitty.wp.id": "WP01", "spec_kitty.lane": "done"}


def test_nobodys_words_are_sent(world: TracedWorld, received: TestCollector) -> None:
    world.with_agents(max_retries=1)
    world.settings = evolve(world.settings, checks=(("sh", "-c", f": {SECRET}"),))
    (world.root / "kitty-specs" / world.fake.slug / "tasks" / "WP01-thing.md").write_text(SECRET)
    world.acts["WP01", "implementation"] = [Act(says=SECRET)]
    world.acts["WP01", "review"] = [reject(SECRET)] * 2
    world.command_acts = [(1, SECRET, lambda: None)]
    world.shown()
    assert any(SECRET in each.prompt for each in world.attempts)
    assert any(SECRET in event.line for event in world.events)
    assert received.raw
    assert not any(SECRET.encode() in body for body in received.raw)


def test_an_agent_and_a_check_are_told_whose_child_they_are(
    world: TracedWorld, received: TestCollector
) -> None:
    world.settings = evolve(world.settings, checks=(("pytest",),))
    world.environ = {"TRACEPARENT": f"00-{'a' * 32}-{'b' * 16}-01"}
    world.shown()
    spans = received.named("invoke_agent")
    first = received.named("work_package")[0]
    assert world.given[:3] == [spans[0].traceparent, first.traceparent, spans[1].traceparent]
    assert {each.trace for each in received.spans} == {"a" * 32}
    assert received.one("invoke_workflow").parent == "b" * 16


def test_what_the_parent_does_not_record_is_not_sent_and_said_to_agents_too(
    world: TracedWorld, received: TestCollector
) -> None:
    world.environ = {"TRACEPARENT": f"00-{'a' * 32}-{'b' * 16}-00"}
    assert world.shown() is ExitCode.ACCEPTED
    assert received.spans == []
    assert all(re.fullmatch(rf"00-{'a' * 32}-[0-9a-f]{{16}}-00", given or "") for given in world.given)


@pytest.mark.parametrize("word", ["", "nonsense", f"00-{'0' * 32}-{'b' * 16}-01"])
def test_a_parent_that_is_none_is_none(word: str, world: TracedWorld, received: TestCollector) -> None:
    world.environ = {"TRACEPARENT": word}
    world.shown()
    assert received.one("invoke_workflow").parent == ""


def test_a_stopped_run_leaves_no_span_open_and_calls_no_attempt_failed(
    world: TracedWorld, received: TestCollector
) -> None:
    world.acts["WP01", "implementation"] = [Act(seconds=1000.0)]
    assert world.shown(stop_after=500.0) is None
    (cut_off,) = received.named("invoke_agent")
    assert (cut_off.failed, cut_off.told["spec_kitty.attempt.outcome"]) == (False, "interrupted")
    assert cut_off.ended == pytest.approx(500.0 + world.host.seconds)  # it began with a look at the host
    assert received.one("work_package").ended == received.one("invoke_workflow").ended >= cut_off.ended


def test_a_work_package_that_is_taken_up_again_has_a_second_span(
    received: TestCollector, tmp_path: Path
) -> None:
    world = _world(tmp_path, received, WP01=[], WP02=[])
    world.with_agents(max_retries=0)
    world.acts["WP01", "review"] = [reject("No.")]
    world.acts["WP02", "implementation"] = [Act(seconds=5000.0)]

    async def unblock() -> None:
        await trio.sleep(2000.0)
        world.fake.wps["WP01"].update(lane="planned", claimed_by=None)

    world.beside = unblock
    assert world.shown() is ExitCode.ACCEPTED
    spans = received.named("work_package WP01")
    assert [each.failed for each in spans] == [True, False]
    assert [each.told["spec_kitty.lane"] for each in spans] == ["blocked", "done"]
    assert [inside(received, each).count("invoke_agent codex") for each in spans] == [1, 1]
