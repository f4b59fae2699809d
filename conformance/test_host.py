"""The host side: a real mission, driven through its whole life and everything that has to be refused."""

from __future__ import annotations

import pytest

from .audit import COLUMNS, audit
from .case import Case
from .cases import CASES
from .journey import Journey

pytestmark = pytest.mark.e2e

EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@EVERY_CASE
@pytest.mark.parametrize("column", COLUMNS)
def test_the_host_keeps_the_contract(journey: Journey, case: Case, column: str) -> None:
    said = journey.reach(case)
    if said is None:
        pytest.skip(f"not reached: {journey.recording.stopped}")
    broken = [str(breach) for breach in audit(case, said) if breach.column == column]
    assert not broken, "\n".join(broken)


def test_every_case_is_reached(journey: Journey) -> None:
    assert not journey.finish().stopped


def test_nothing_else_is_amiss(journey: Journey) -> None:
    """Workspaces that are none, subtasks that cannot be marked, correlation ids that come twice."""
    recording = journey.finish()
    of_cases = [breach for case in recording.reached() for breach in audit(case, recording.said[case.name])]
    assert [str(breach) for breach in recording.breaches() if breach not in of_cases] == []
