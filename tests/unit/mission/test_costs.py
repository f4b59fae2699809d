"""What a run has cost: sums over the attempts that are remembered, and how they are said."""

from __future__ import annotations

import os
from typing import Any

import pytest
from attrs import asdict

from spec_kitty_orchestrator.agents.spec import Role
from spec_kitty_orchestrator.agents.transcript import Usage
from spec_kitty_orchestrator.mission.costs import total_of, totals_of
from spec_kitty_orchestrator.mission.records import INTERRUPTED, SUCCEEDED, AttemptRecord, WpRecord
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.report.totals import Total, dollars

KEEPER = ProcessIdentity.of(os.getpid())


def attempt(agent: str, cost: float | None = None, tokens: Any = (None, None), **more: Any) -> AttemptRecord:
    facts = {"keeper": KEEPER, "outcome": SUCCEEDED, "usage": Usage(*tokens, cost), **more}
    return AttemptRecord(Role.IMPLEMENTATION, agent, 1, "log", "then", **facts)


def test_totals_are_by_agent_and_by_work_package() -> None:
    records = {
        "WP02": WpRecord(attempts=[attempt("pi", 0.25, (100, 10)), attempt("codex", None, (7, 1))]),
        "WP01": WpRecord(attempts=[attempt("pi", 0.5, (200, 20))]),
        "WP03": WpRecord(),
    }
    totals = totals_of(records)
    assert totals.run == Total(3, 307, 31, 0.75, untold=1)
    assert totals.by_agent == {"codex": Total(1, 7, 1, None, 1), "pi": Total(2, 300, 30, 0.75)}
    assert totals.by_work_package == {"WP01": Total(1, 200, 20, 0.5), "WP02": Total(2, 107, 11, 0.25, 1)}
    assert list(totals.by_work_package) == ["WP01", "WP02"]
    assert asdict(totals)["by_agent"]["pi"]["cost_usd"] == 0.75  # as the event has it
    assert [*totals.lines()] == [
        "spent: 3 attempts, 307 tokens in, 31 out, at least 0.75 USD",
        "  codex: 1 attempt, 7 tokens in, 1 out, cost not told",
        "  pi: 2 attempts, 300 tokens in, 30 out, 0.75 USD",
    ]


def test_what_never_ran_has_cost_nothing_and_what_is_at_work_has_not_told_yet() -> None:
    attempts = [
        attempt("pi", 1.0),
        attempt("pi", outcome="not_installed", keeper=None),
        attempt("pi", outcome=None),
        attempt("pi", outcome=INTERRUPTED),
        attempt("pi", 0.5, outcome=INTERRUPTED),
    ]
    assert total_of(attempts) == Total(4, None, None, 1.5, untold=1)


def test_ten_dimes_are_a_dollar() -> None:
    assert total_of([attempt("pi", 0.1)] * 10).cost_usd == 1.0


def test_of_agents_that_tell_nothing_nothing_is_said() -> None:
    assert [*totals_of({"WP01": WpRecord(attempts=[attempt("copilot")])}).lines()] == []
    assert [*totals_of({}).lines()] == []


@pytest.mark.parametrize(
    ("amount", "said"), [(5.0, "5.00"), (5.126, "5.13"), (0.25, "0.25"), (0.0016, "0.0016"), (0.0, "0.00")]
)
def test_an_amount_is_in_cents_unless_they_say_too_little(amount: float, said: str) -> None:
    assert dollars(amount) == said
