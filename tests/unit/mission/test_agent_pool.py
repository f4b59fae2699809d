"""Agents that are out stay out, agents that rest come back, and one limit is one strike."""

from __future__ import annotations

from spec_kitty_orchestrator.agents.failure import Failure
from spec_kitty_orchestrator.agents.spec import FailureKind
from spec_kitty_orchestrator.mission.agent_pool import AgentPool


def at(times: list[float]) -> AgentPool:
    return AgentPool(lambda: times[-1])


def test_an_agent_is_news_only_once() -> None:
    roster = at([0.0])
    first, second = Failure(FailureKind.AUTH, "first"), Failure(FailureKind.AUTH, "second")
    assert roster.drop("a", first) is True
    assert roster.drop("a", second) is False
    assert roster.availability().out == {"a": first}


def test_limits_side_by_side_are_one_strike() -> None:
    roster = at([100.0])
    assert [roster.park("a", 0.0) for _ in range(4)] == [30.0] * 4
    assert roster.availability().parked == {"a": 130.0}


def test_the_next_limit_rests_longer_until_an_attempt_got_through() -> None:
    times = [0.0]
    roster = at(times)
    assert roster.park("a", 0.0) == 30.0
    times.append(31.0)
    assert roster.park("a", 0.0) == 60.0
    times.append(92.0)
    roster.worked("a")
    assert roster.park("a", 0.0) == 30.0


def test_a_shorter_rest_never_cuts_a_longer_one_short() -> None:
    roster = at([0.0])
    roster.park("a", 3600.0)
    assert roster.park("a", 5.0) == 3600.0
