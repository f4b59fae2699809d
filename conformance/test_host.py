"""The host side: a real mission, driven through its whole life and everything that has to be refused."""

from __future__ import annotations

import pytest

from .audit import COLUMNS, audit
from .case import Case
from .cases import CASES
from .journey import Recording

pytestmark = pytest.mark.e2e

EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@EVERY_CASE
@pytest.mark.parametrize("column", COLUMNS)
def test_the_host_keeps_the_contract(recording: Recording, case: Case, column: str) -> None:
    if case.name not in recording.said:
        pytest.skip(f"not reached: {recording.stopped}")
    broken = [str(breach) for breach in audit(case, recording.said[case.name]) if breach.column == column]
    assert not broken, "\n".join(broken)


def test_every_case_is_reached(recording: Recording) -> None:
    assert not recording.stopped


def test_nothing_else_is_amiss(recording: Recording) -> None:
    """Workspaces that are none, subtasks that cannot be marked, correlation ids that come twice."""
    of_cases = [breach for case in recording.reached() for breach in audit(case, recording.said[case.name])]
    assert [str(breach) for breach in recording.breaches() if breach not in of_cases] == []
