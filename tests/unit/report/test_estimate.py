"""What is left of a mission is played through with how long others took; of too few nobody can tell."""

from __future__ import annotations

import pytest

from spec_kitty_orchestrator.report.estimate import Remaining, seconds_left

TOOK = (50.0, 100.0, 150.0)
CASES = {
    "nothing is left": (Remaining({}, (), {}, 2), 0.0),
    "one at a time": (Remaining({}, ("A", "B", "C"), {}, 1), 300.0),
    "two at a time": (Remaining({}, ("A", "B", "C"), {}, 2), 200.0),
    "a chain, whatever slots there are": (
        Remaining({}, ("C", "B", "A"), {"B": ("A",), "C": ("B",)}, 9),
        300.0,
    ),
    "one that is under way": (Remaining({"A": 30.0}, ("B",), {"B": ("A",)}, 2), 170.0),
    "one that is late": (Remaining({"A": 500.0}, (), {}, 2), 10.0),
    "those under way have the slots": (Remaining({"A": 90.0, "B": 60.0}, ("C",), {}, 2), 110.0),
    "what waits for one that is stuck": (
        Remaining({"A": 30.0}, ("B", "C"), {"B": ("X",), "C": ("B",)}, 2),
        70.0,
    ),
}


@pytest.mark.parametrize(("remaining", "seconds"), CASES.values(), ids=CASES)
def test_the_rest_takes_as_long_as_it_would_at_the_usual_pace(remaining: Remaining, seconds: float) -> None:
    assert seconds_left(TOOK, remaining) == pytest.approx(seconds)


def test_nobody_can_tell_before_three_are_through() -> None:
    assert seconds_left(TOOK[:2], Remaining({}, ("A",), {}, 1)) is None
