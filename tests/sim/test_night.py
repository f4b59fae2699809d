"""Thirty work packages, and a night in which things go wrong that pass: it costs time, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise

import pytest
import trio
from attrs import evolve
from conformance.fake.in_process import Fault
from tests.sim.world import Act, Stopped, World

from spec_kitty_orchestrator.agents.spec import Role
from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.processes.starting import CommandNotStarted, ProgramMissing
from spec_kitty_orchestrator.report.events import VerdictGiven, WaitingForAgents
from spec_kitty_orchestrator.report.run_events import AgentDropped, AgentParked

NewWorld = Callable[..., World]
Befalls = Callable[[str], Act | None]
MINUTE, HOUR = 60.0, 3600.0
AT_ONCE, GOOD_ATTEMPTS = 4, 60
BEGINS = 5 * MINUTE
"""When the trouble begins; the mission is well on its way, and far from its end."""


def claude_says(message: str, status: int | None = None) -> Act:
    """Ten seconds, and an error in claude's own form."""
    result = {"type": "result", "subtype": "success", "is_error": True, "result": message}
    return Act(seconds=10, says=json.dumps({**result, "api_error_status": status}))


REFUSED = Act(seconds=10, fails="stream-json-refused")
OVERLOADED = claude_says("API Error: 529 Overloaded", 529)
SERVER_ERROR = claude_says("API Error: 500 Internal server error", 500)
FORBIDDEN = claude_says("API Error: 403 Forbidden", 403)
LOGGED_OUT = Act(seconds=1, fails="noauth")
CODEX_LOGGED_OUT = Act(seconds=1, fails="http401")
CODEX_UNPAID = Act(seconds=1, fails="http429-quota")
BUSY = "We're currently experiencing high demand, which may cause temporary errors."
CODEX_BUSY = Act(seconds=10, says=json.dumps({"type": "turn.failed", "error": {"message": BUSY}}))


@pytest.fixture
def thirty(new_world: NewWorld) -> World:
    """Ten chains of three."""
    names = [f"WP{number:02}" for number in range(1, 31)]
    return new_world(**{name: names[at - 10 : at - 9] if at >= 10 else [] for at, name in enumerate(names)})


def befalls(world: World, **acts: Act | tuple[float, float, Act]) -> None:
    """Has an agent (`claude_code`) end so for ever from BEGINS on, or from a time of day to another."""
    spans = {
        name.replace("_", "-"): act if isinstance(act, tuple) else (BEGINS, float("inf"), act)
        for name, act in acts.items()
    }

    def weather(agent: str) -> Act | None:
        begins, ends, act = spans.get(agent, (0.0, 0.0, None))
        return act if begins <= world.now() < ends else None

    world.weather = weather


def lost(world: World) -> list[str]:
    """Work packages that are not done."""
    return [wp_id for wp_id, lane in world.lanes().items() if lane != "done"]


def spent(world: World) -> list[str]:
    """Failures that count against the work, by what was recorded of all attempts."""
    assert world.state is not None
    records = world.state.work_packages.values()
    return [tally for record in records for tallies in record.tallies.values() for tally in tallies if tally]


def outcomes(world: World) -> set[str]:
    """All the ends that attempts had."""
    assert world.state is not None
    records = world.state.work_packages.values()
    return {str(attempt.outcome) for record in records for attempt in record.attempts}


def notes(world: World) -> int:
    """How many notes were left at the host."""
    return sum(argv[1] == "append-history" for argv in world.host.log)


def parked(world: World) -> list[AgentParked]:
    return [event for event in world.events if isinstance(event, AgentParked)]


def assert_only_time_was_lost(world: World, kind: str, most_attempts: int) -> None:
    assert lost(world) == []
    assert spent(world) == []
    assert outcomes(world) == {"succeeded", kind}
    assert notes(world) == 0
    assert world.said(AgentDropped) == []
    assert GOOD_ATTEMPTS < len(world.attempts) <= most_attempts


@pytest.mark.parametrize(
    ("trouble", "hours"), [(REFUSED, 5), (OVERLOADED, 1), (SERVER_ERROR, 1)], ids=["refused", "529", "500"]
)
def test_an_outage_of_hours_costs_hours(thirty: World, trouble: Act, hours: int) -> None:
    befalls(thirty, claude_code=(BEGINS, BEGINS + hours * HOUR, trouble))
    assert thirty.orchestrate().exit_code is ExitCode.ACCEPTED
    # Those at work when it begins; then one at a time, nine in the first ten minutes and one in five minutes.
    assert_only_time_was_lost(thirty, "network", GOOD_ATTEMPTS + AT_ONCE + 9 + hours * 12)
    assert [event.seconds for event in parked(thirty)] == [2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert len(thirty.said(WaitingForAgents)) <= 30 * 2
    first_again = min(made.started for made in thirty.attempts if made.started >= BEGINS + hours * HOUR)
    assert first_again <= BEGINS + hours * HOUR + 5 * MINUTE


def test_an_outage_of_both_providers_is_waited_for(thirty: World) -> None:
    both = ("claude-code", "codex")
    thirty.with_agents(implementation=both, review=both)
    until = BEGINS + 3 * HOUR
    befalls(thirty, claude_code=(BEGINS, until, OVERLOADED), codex=(BEGINS, until, CODEX_BUSY))
    assert thirty.orchestrate().exit_code is ExitCode.ACCEPTED
    assert_only_time_was_lost(thirty, "network", GOOD_ATTEMPTS + 2 * (AT_ONCE + 9 + 3 * 12))


def test_outages_with_a_good_attempt_between_them_are_not_added_up(thirty: World) -> None:
    """Half of all attempts fail, hundreds in a night; nobody ever gives up."""
    counts: list[str] = []

    def weather(agent: str) -> Act | None:
        counts.append(agent)
        return REFUSED if len(counts) % 2 else None

    thirty.weather = weather
    assert thirty.orchestrate().exit_code is ExitCode.ACCEPTED
    assert_only_time_was_lost(thirty, "network", 3 * GOOD_ATTEMPTS)


@pytest.mark.parametrize(
    ("told", "rests"),
    [
        ("You've hit your usage limit. Try again in 2 hours", 2 * HOUR + 5),
        ("Request rejected (429): retry in 0.1s", 905),  # the longest of them: 35, 65, ... 905
        ("Request rejected (429)", 900),
    ],
)
def test_a_limit_of_two_hours_is_waited_for(thirty: World, told: str, rests: float) -> None:
    befalls(thirty, claude_code=(BEGINS, BEGINS + 2 * HOUR, claude_says(told, 429)))
    assert thirty.orchestrate().exit_code is ExitCode.ACCEPTED
    # Those at work when it begins; then one at a time, five in the first quarter of an hour.
    assert_only_time_was_lost(thirty, "rate_limit", GOOD_ATTEMPTS + AT_ONCE + 5 + 2 * 4)
    assert max(event.seconds for event in parked(thirty)) == pytest.approx(rests)


def test_one_403_costs_a_minute(thirty: World) -> None:
    befalls(thirty, claude_code=(BEGINS, BEGINS + 30, FORBIDDEN))
    assert thirty.orchestrate().exit_code is ExitCode.ACCEPTED
    assert_only_time_was_lost(thirty, "auth", GOOD_ATTEMPTS + AT_ONCE)
    assert [event.seconds for event in parked(thirty)] == [60]


def test_a_login_that_comes_back_before_morning_is_found_by_asking(thirty: World) -> None:
    """Another agent works meanwhile, so that the one that is logged out is never out."""
    both = ("claude-code", "codex")
    thirty.with_agents(implementation=both, review=both)
    befalls(thirty, claude_code=(BEGINS, BEGINS + 40 * MINUTE, LOGGED_OUT))
    assert thirty.orchestrate().exit_code is ExitCode.ACCEPTED
    assert_only_time_was_lost(thirty, "auth", GOOD_ATTEMPTS + AT_ONCE + 1 + 3)
    back = [made for made in thirty.attempts if made.started > BEGINS + 40 * MINUTE]
    assert "claude-code" in {made.agent for made in back}


@pytest.mark.parametrize("trouble", [CODEX_LOGGED_OUT, CODEX_UNPAID], ids=["login", "account"])
def test_an_expired_login_of_one_of_two_costs_a_try_in_a_quarter_of_an_hour(
    thirty: World, trouble: Act
) -> None:
    thirty.with_agents(implementation=("codex", "claude-code"), review=("codex", "claude-code"))
    befalls(thirty, codex=trouble)
    end = thirty.orchestrate()
    assert end.exit_code is ExitCode.ACCEPTED
    assert lost(thirty) == spent(thirty) == []
    assert notes(thirty) == 0
    hours = thirty.attempts[-1].started / HOUR
    assert len(thirty.attempts) <= GOOD_ATTEMPTS + AT_ONCE + 1 + 4 * hours
    assert thirty.said(AgentDropped) == []
    # Another reviewer was waited for, half an hour for each; then the implementer's word was taken, and told.
    own = [event for event in thirty.events if isinstance(event, VerdictGiven) and event.own_work]
    assert own
    assert sum("reviewed by its own implementer, claude-code" in line for line in end.lines) == len(own)


def test_an_expired_login_of_all_ends_the_run_soon_with_nothing_blocked(thirty: World) -> None:
    befalls(thirty, claude_code=LOGGED_OUT)
    end = thirty.orchestrate()
    assert end.exit_code is ExitCode.NO_AGENT
    assert "blocked" not in thirty.lanes().values()
    assert spent(thirty) == []
    assert notes(thirty) == 0
    assert [(event.seconds, event.kind) for event in parked(thirty)] == [(60, "auth"), (900, "auth")]
    failed = [made for made in thirty.attempts if made.started >= BEGINS]
    assert len(failed) <= AT_ONCE + 1
    assert thirty.wall < BEGINS + 5 * MINUTE
    assert len(thirty.said(AgentDropped)) == 1
    befalls(thirty)
    assert thirty.orchestrate().exit_code is ExitCode.ACCEPTED


def test_work_packages_that_wait_for_each_others_workspace_keep_no_run_alive(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02", "WP03", lanes={"WP01": "lane-a", "WP02": "lane-a", "WP03": "lane-a"})
    world.weather = lambda _: LOGGED_OUT
    assert world.orchestrate().exit_code is ExitCode.NO_AGENT
    assert "blocked" not in world.lanes().values()


def test_an_expired_login_ends_nothing_while_another_agents_limit_will_pass(thirty: World) -> None:
    both = ("codex", "claude-code")
    thirty.with_agents(implementation=both, review=both)
    limited = claude_says("You've hit your usage limit. Try again in 3 hours", 429)
    befalls(thirty, codex=CODEX_LOGGED_OUT, claude_code=(BEGINS, BEGINS + 3 * HOUR, limited))
    assert thirty.orchestrate().exit_code is ExitCode.ACCEPTED
    assert lost(thirty) == spent(thirty) == []
    assert thirty.said(AgentDropped) == []


def test_an_expired_login_ends_nothing_while_the_host_is_tried_again_for_another(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02").with_agents(review=("codex",))
    world.stand("WP01", "for_review")
    world.fake.commit("WP01")
    befalls(world, claude_code=(0.0, float("inf"), LOGGED_OUT))
    world.host.faults["start-review"] = [Fault.CRASH_BEFORE] * 12  # for five minutes
    assert world.orchestrate().exit_code is ExitCode.NO_AGENT
    assert world.lanes() == {"WP01": "done", "WP02": "in_progress"}
    kinds = [type(event) for event in world.events]
    assert kinds.index(VerdictGiven) < kinds.index(AgentDropped)
    (dropped,) = world.said(AgentDropped)
    assert dropped.line.startswith("claude-code is out for this run: Not logged in")


def test_a_cli_that_updates_itself_for_eight_seconds_costs_that(thirty: World) -> None:
    missing = Act(raises=ProgramMissing("cannot start claude: No such file or directory"))
    begins: list[float] = []

    def weather(_: str) -> Act | None:
        if thirty.now() >= BEGINS:
            begins.append(thirty.now())
        return missing if begins and thirty.now() < begins[0] + 8 else None

    thirty.weather = weather
    assert thirty.orchestrate().exit_code is ExitCode.ACCEPTED
    assert_only_time_was_lost(thirty, "not_installed", GOOD_ATTEMPTS + AT_ONCE + 1)


def test_a_cli_that_is_gone_for_good_is_tried_three_times_and_the_next_one_works(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02").with_agents(implementation=("claude-code",), review=("codex",))
    missing = Act(raises=ProgramMissing("cannot start codex: No such file or directory"))
    befalls(world, codex=(0.0, float("inf"), missing))
    world.settings = evolve(world.settings, max_concurrent_wps=1)
    assert world.orchestrate().exit_code is ExitCode.NO_AGENT
    tries = [made.started for made in world.attempts if made.agent == "codex"]
    assert len(tries) == 3
    assert [b - a >= 5 for a, b in pairwise(tries)] == [True, True]
    assert world.lanes() == {"WP01": "in_review", "WP02": "in_review"}


def test_no_process_to_be_had_is_no_agents_fault(new_world: NewWorld) -> None:
    world = new_world("WP01", "WP02")
    world.acts["WP01", "implementation"] = [Act(raises=CommandNotStarted("no process is to be had"))]
    world.orchestrate()
    assert world.said(AgentDropped) == world.said(AgentParked) == []
    assert spent(world) == []
    assert world.lanes()["WP02"] == "done"
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED


def test_a_machine_that_was_suspended_over_a_limit_goes_on_at_once(single: World) -> None:
    limited = claude_says("You've hit your usage limit. Try again in 2 hours", 429)
    single.agent_acts["claude-code"] = [limited]

    async def sleep_and_wake() -> None:
        await trio.sleep(20 * MINUTE)
        single.wall += 3 * HOUR

    single.beside = sleep_and_wake
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert 20 * MINUTE <= single.attempts[1].started <= 20 * MINUTE + 31


def test_a_limit_outlasts_the_run_and_is_told_to_the_next_one(single: World) -> None:
    limited = claude_says("You've hit your usage limit. Try again in 3 hours", 429)
    single.agent_acts["claude-code"] = [limited]
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=HOUR)
    assert single.remember().resting["claude-code"].kind == "rate_limit"
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    again = single.attempts[1].started + HOUR
    assert 3 * HOUR <= again <= 3 * HOUR + 30
    assert single.remember().resting == {}


def test_whoever_waits_goes_on_as_soon_as_an_attempt_got_through(new_world: NewWorld) -> None:
    """The limit was lifted earlier than was told, as an attempt beside it shows."""
    world = new_world("WP01", "WP02")
    limited = claude_says("You've hit your usage limit. Try again in 3 hours", 429)
    world.acts["WP01", "implementation"] = [Act(seconds=20 * MINUTE)]
    world.acts["WP02", "implementation"] = [limited]
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    second = [made.started for made in world.attempts if made.wp_id == "WP02"][1]
    assert 20 * MINUTE <= second <= 21 * MINUTE


@pytest.mark.parametrize(("limit", "reviewer"), [(20 * MINUTE, "codex"), (50 * MINUTE, "claude-code")])
def test_another_reviewer_is_waited_for_half_an_hour(single: World, limit: float, reviewer: str) -> None:
    single.with_agents(review=("codex", "claude-code"))
    words = f"You've hit your usage limit. Try again in {limit / MINUTE:.0f} minutes"
    said = json.dumps({"type": "turn.failed", "error": {"message": words}})
    single.agent_acts["codex"] = [Act(seconds=10, says=said)]
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ACCEPTED
    assert single.asked("WP01", "review") == ["codex", reviewer]
    first, second = (made.started for made in single.attempts if made.role is Role.REVIEW)
    assert second - first == pytest.approx(min(limit, 30 * MINUTE), abs=20)
    (waits,) = single.said(WaitingForAgents)
    assert (waits.agents, waits.instead) == (("codex",), "claude-code")  # type: ignore[attr-defined]
    (verdict,) = single.said(VerdictGiven)
    assert verdict.own_work is (reviewer == "claude-code")  # type: ignore[attr-defined]
    told = "reviewed by its own implementer" in end.lines[1]
    assert told is (reviewer == "claude-code")


def test_whoever_does_not_want_to_wait_for_another_reviewer_need_not(single: World) -> None:
    single.with_agents(review=("codex", "claude-code"), independent_review_wait_seconds=0.0)
    single.agent_acts["codex"] = [Act(seconds=10, fails="http429")]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    first, second = (made.started for made in single.attempts if made.role is Role.REVIEW)
    assert second - first < 20


@pytest.mark.parametrize("single_agent", [False, True])
def test_an_implementer_that_the_settings_no_longer_name_costs_nothing(
    single: World, single_agent: bool
) -> None:
    single.stand("WP01", "for_review")
    state = single.remember("WP01")
    state.record("WP01").implementer = "pi"
    single.store.save(state)
    single.with_agents(review=("codex",), single_agent_mode=single_agent)
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert single.asked("WP01", "review") == ["claude-code" if single_agent else "codex"]


def test_an_attempts_own_limit_counts_against_the_work(single: World) -> None:
    turns = json.dumps({"type": "result", "subtype": "error_max_turns", "is_error": True})
    single.agent_acts["claude-code"] = [Act(seconds=10, says=turns)] * 3
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    assert single.lanes() == {"WP01": "blocked"}
    assert len(single.attempts) == 3
    assert outcomes(single) == {"attempt_limit"}
