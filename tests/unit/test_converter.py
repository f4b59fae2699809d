"""Numbers that Python itself cannot handle, from a host or a file of ours, are problems like any other."""

from __future__ import annotations

import pytest

from spec_kitty_orchestrator.converter import Unreadable, read
from spec_kitty_orchestrator.settings.values import HostSettings


@pytest.mark.parametrize("number", [10**400, -(10**5000)], ids=["no float", "no digits"])
def test_a_number_too_large_for_python_is_a_problem_with_its_path(number: int) -> None:
    with pytest.raises(Unreadable) as caught:
        read({"timeout_seconds": number, "binary": number}, HostSettings)
    assert sorted(problem.at("") for problem in caught.value.problems) == [
        "binary: expected a string, got a whole number",
        "timeout_seconds: expected a number that can be worked with, got a whole number",
    ]
