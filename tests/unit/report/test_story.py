"""A run's events, folded, say how each work package stands, what it waits for, what time went by with."""

from __future__ import annotations

from spec_kitty_orchestrator.report import events, run_events, wp_events, wp_story
from spec_kitty_orchestrator.report.phases import Phase
from spec_kitty_orchestrator.report.rows import picture_of
from spec_kitty_orchestrator.report.schema import KINDS
from spec_kitty_orchestrator.report.story import Story

LANES = {"WP01": "planned", "WP02": "planned", "WP03": "done"}
AFTER = {"WP01": ("WP03",), "WP02": ("WP01",), "WP03": ()}


def started(resumed: bool = False) -> events.RunStarted:
    return events.RunStarted("run-1", "m-01", "me", LANES, resumed, AFTER, max_concurrent_wps=2)


def attempt(number: int, role: str = "implementation", agent: str = "codex") -> events.AttemptStarted:
    return events.AttemptStarted("WP01", role, agent, number, f"logs/WP01-{role}-{number}.log")


def ended(
    number: int, role: str = "implementation", outcome: str = "succeeded", cost: float | None = None
) -> events.AttemptEnded:
    tokens = (None, None) if cost is None else (100, 10)
    return events.AttemptEnded("WP01", role, "codex", number, outcome, "", 1.0, *tokens, cost)


def told(*history: tuple[float, events.Event]) -> Story:
    story = Story()
    for time, event in history:
        story.take(time, event)
    return story


TO_AN_APPROVAL: list[tuple[float, events.Event]] = [
    (0.0, started()),
    (10.0, wp_events.WpTakenUp("WP01")),
    (12.0, wp_events.WpNamed("WP01", "Count the words", "lane-a")),
    (13.0, events.LaneChanged("WP01", "in_progress")),
    (14.0, attempt(1)),
    (114.0, ended(1, cost=0.5)),
    (130.0, events.CommandEnded("WP01", "check", "pytest -q", "exit status 1", 15.0, "logs/c.log")),
    (131.0, events.HandoverRefused("WP01", "red")),
    (131.0, wp_events.AttemptInVain("WP01", "implementation", "codex", 1, "checks_failed", "red")),
    (131.0, events.RetryPlanned("WP01", "implementation", "codex", 4.0, "checks_failed")),
    (138.0, attempt(2)),
    (178.0, ended(2, cost=0.25)),
    (180.0, events.LaneChanged("WP01", "for_review")),
    (181.0, events.WaitingForAgents("WP01", ("claude-code",), 60.0, "codex")),
    (241.0, events.LaneChanged("WP01", "in_review")),
    (242.0, attempt(1, "review", "claude-code")),
    (262.0, ended(1, "review")),
    (263.0, events.VerdictGiven("WP01", "claude-code", "review/1", "approved", "", "0f" * 20)),
    (265.0, events.LaneChanged("WP01", "done")),
]


def test_the_time_of_a_work_package_goes_by_with_phases_that_leave_no_gap() -> None:
    story = told(*TO_AN_APPROVAL)
    wp = story.work_packages["WP01"]
    assert wp.timeline.seconds_by_phase(265.0) == {
        Phase.SLOT: 10.0 + 3.0,  # at first, and when the pause of 4 s before the retry was over
        Phase.HOST: 4.0 + 1.0 + 1.0 + 3.0 + 1.0 + 3.0,
        Phase.IMPLEMENTATION: 100.0 + 40.0,
        Phase.CHECKS: 15.0,
        Phase.PAUSE: 4.0,
        Phase.AGENTS: 60.0,
        Phase.REVIEW: 20.0,
    }
    spans = wp.timeline.spans
    assert [span.end for span in spans[:-1]] == [span.start for span in spans[1:]]
    assert wp.timeline.phase is Phase.OVER
    assert (wp.title, wp.branch, wp.lane, wp.waits) == ("Count the words", "lane-a", "done", None)
    assert wp.approved is not None
    assert wp.approved.reviewer == "claude-code"


def test_an_attempt_that_ended_well_in_vain_has_failed() -> None:
    wp = told(*TO_AN_APPROVAL).work_packages["WP01"]
    assert [(each.outcome, each.failed, each.seconds(0.0)) for each in wp.attempts] == [
        ("checks_failed", True, 100.0),
        ("succeeded", False, 40.0),
        ("succeeded", False, 20.0),
    ]
    assert [each.words for each in wp.setbacks] == ["red"]


def test_what_depends_on_another_waits_for_it_until_that_is_accepted() -> None:
    story = told(*TO_AN_APPROVAL)
    spans = story.work_packages["WP02"].timeline.spans
    assert [(span.phase, span.start, span.who) for span in spans] == [
        (Phase.DEPENDENCIES, 0.0, ("WP01",)),
        (Phase.SLOT, 265.0, ()),
    ]
    story.take(300.0, events.LaneChanged("WP01", "planned", by_us=False))
    assert story.waits_for("WP02") == ("WP01",)
    waits = story.work_packages["WP02"].waits
    assert waits is not None
    assert waits.phase is Phase.DEPENDENCIES


def test_what_somebody_puts_back_waits_for_its_own_dependencies_again() -> None:
    story = told((0.0, started()), (1.0, events.LaneChanged("WP02", "in_progress", by_us=False)))
    assert story.work_packages["WP02"].timeline.phase is Phase.SLOT
    story.take(2.0, events.LaneChanged("WP02", "planned", by_us=False))
    spans = story.work_packages["WP02"].timeline.spans
    # What happened in one moment leaves no empty span behind.
    assert [(span.phase, span.start) for span in spans] == [
        (Phase.DEPENDENCIES, 0.0),
        (Phase.SLOT, 1.0),
        (Phase.DEPENDENCIES, 2.0),
    ]


def test_costs_are_those_of_the_attempts_that_ran() -> None:
    story = told(
        *TO_AN_APPROVAL,
        (300.0, attempt(3, agent="absent")),
        (300.1, events.AttemptEnded("WP01", "implementation", "absent", 3, "not_installed", "", 0.0)),
    )
    totals = story.totals
    assert (totals.run.attempts, totals.run.cost_usd, totals.run.untold) == (3, 0.75, 1)
    assert totals.by_agent["codex"].line == "2 attempts, 200 tokens in, 20 out, 0.75 USD"
    assert totals.by_work_package["WP01"] == totals.run


def test_what_a_kill_cut_short_ends_with_the_last_that_was_heard_and_the_time_between_does_not_count() -> (
    None
):
    story = told(
        (0.0, started()),
        (10.0, wp_events.WpTakenUp("WP01")),
        (14.0, attempt(1)),
        (20.0, events.Notice("still there")),
        (5000.0, started(resumed=True)),
        (5005.0, wp_events.WpTakenUp("WP01")),
    )
    wp = story.work_packages["WP01"]
    assert (wp.attempts[0].outcome, wp.attempts[0].ended) == ("interrupted", 20.0)
    assert [(each.started, each.ended, each.status) for each in story.starts] == [
        (0.0, 20.0, "killed"),
        (5000.0, None, "running"),
    ]
    assert story.seconds(5010.0) == 30.0
    assert wp.timeline.seconds_by_phase(5010.0) == {
        Phase.SLOT: 15.0,
        Phase.HOST: 4.0 + 5.0,
        Phase.IMPLEMENTATION: 6.0,
    }
    story.take(5010.0, events.RunEnded("stopped", 5, "not finished"))
    assert story.is_over
    assert story.start is not None
    assert (story.start.status, story.start.exit_code, story.start.summary) == ("stopped", 5, "not finished")
    assert wp.timeline.now is None


def test_agents_rest_until_their_time_is_over_or_they_get_through() -> None:
    story = told(
        (0.0, started()),
        (1.0, run_events.AgentParked("codex", 60.0, "rate_limit", "too many requests")),
        (2.0, run_events.AgentParked("pi", 10.0, "network", "no route")),
        (3.0, run_events.AgentDropped("amp", "not logged in")),
    )
    assert [rest.agent for rest in story.resting(5.0)] == ["pi", "codex"]
    assert [rest.agent for rest in story.resting(20.0)] == ["codex"]
    assert story.out == {"amp": "not logged in"}
    story.take(21.0, attempt(1))
    story.take(22.0, ended(1))
    assert story.resting(22.0) == []
    assert [rest.agent for rest in story.rests] == ["codex", "pi"]


def test_what_is_put_off_or_waits_for_its_lane_says_why() -> None:
    story = told((0.0, started()), (1.0, wp_events.WpTakenUp("WP01")))
    wp = story.work_packages["WP01"]
    assert story.at_work == [wp]
    story.take(2.0, wp_events.WaitingForLane("WP01", "waits for WP03, at work in lane-a"))
    assert wp.waits is not None
    assert (wp.waits.phase, wp.waits.words) == (Phase.LANE, "waits for WP03, at work in lane-a")
    story.take(3.0, events.WpPutOff("WP01", "the host is away", 4.0))
    assert (wp.waits.phase, wp.waits.until, wp.waits.words) == (Phase.PUT_OFF, 7.0, "the host is away")
    assert story.at_work == []
    story.take(9.0, events.WpLeft("WP01", "taken by somebody"))
    assert (wp.left, wp.waits, wp.timeline.phase) == ("taken by somebody", None, Phase.OVER)


def test_while_a_person_has_the_run_paused_nobody_waits_for_a_slot_or_the_host() -> None:
    story = told(
        (0.0, started()),
        (1.0, wp_events.WpTakenUp("WP01")),
        (2.0, attempt(1)),
        (10.0, run_events.RunPaused("2026-11-24T19:08:08.250+00:00")),
        (20.0, ended(1)),
        (22.0, events.LaneChanged("WP01", "for_review")),
        (23.0, events.LaneChanged("WP03", "planned", by_us=False)),
    )
    assert story.paused_since == 10.0
    wp, other = story.work_packages["WP01"], story.work_packages["WP03"]
    assert other.timeline.phase is Phase.HELD
    story.take(3600.0, run_events.RunUnpaused(3590.0))
    assert story.paused_since is None
    assert story.pauses == [(10.0, 3600.0)]
    assert other.timeline.phase is Phase.SLOT
    assert wp.timeline.phase is Phase.HOST
    assert wp.timeline.seconds_by_phase(3605.0) == {
        Phase.SLOT: 1.0,
        Phase.HOST: 1.0 + 2.0 + 5.0,
        Phase.IMPLEMENTATION: 18.0,
        Phase.HELD: 3578.0,
    }
    assert [notice.words for notice in story.notices] == []


def test_what_is_said_about_the_run_is_kept() -> None:
    story = told((0.0, started()), (1.0, events.Notice("hello")), (2.0, run_events.EndOrdered()))
    assert [(notice.time, notice.words.split(":")[0]) for notice in story.notices] == [
        (1.0, "hello"),
        (2.0, "told to stop"),
    ]


def test_an_attempt_that_waits_for_its_place_elsewhere_is_not_at_work() -> None:
    what = ("WP01", "implementation", "codex", 1)
    waits = (16.0, wp_events.WaitingForPlace(*what, "slurm", "sko-1"))
    story = told(*TO_AN_APPROVAL[:5], waits)
    row = picture_of(story, 20.0, lambda _: "").rows[0]
    assert (row.now, row.time) == ("codex waits for a place (slurm)", "0:04")
    assert story.at_work == [story.work_packages["WP01"]]  # it holds its slot
    story.take(46.0, wp_events.PlaceFound(*what, "node1 (job 7)", 30.0))
    story.take(114.0, ended(1))
    times = story.work_packages["WP01"].timeline.seconds_by_phase(114.0)
    assert (times[Phase.PLACE], times[Phase.IMPLEMENTATION]) == (30.0, 2.0 + 68.0)
    assert picture_of(story, 114.0, lambda _: "").rows[0].now != row.now


def test_every_event_of_a_work_package_has_its_meaning_in_a_story() -> None:
    of_wps = {kind for kind in KINDS.values() if issubclass(kind, events.WpEvent)}
    assert of_wps == set(wp_story._HANDLERS) | wp_story.NOTED_ONLY


def test_a_board_says_whether_a_run_is_held_back_and_by_whom() -> None:
    history: list[tuple[events.Event, str]] = [
        (started(), "running"),
        (run_events.RunPaused("2026-01-01T00:00:00+00:00"), "PAUSED"),
        (run_events.RunUnpaused(5.0), "running"),
        (run_events.WaitingForPeople(("WP01 blocked",)), "waits for people"),
        (events.LaneChanged("WP01", "planned", by_us=False), "running"),
        (run_events.RunPaused("2026-01-01T00:00:00+00:00"), "PAUSED"),
        (run_events.EndOrdered(), "ending"),
        (started(resumed=True), "running"),
        (run_events.BudgetUsedUp("time over"), "budget used up"),
        (events.RunEnded("stopped", 5, "time over"), "stopped"),
    ]
    story, states = Story(), []
    for time, (event, _) in enumerate(history):
        story.take(float(time), event)
        states.append(picture_of(story, float(time), lambda _: "").state)
    assert states == [state for _, state in history]
