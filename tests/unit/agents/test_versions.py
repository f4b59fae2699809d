"""A version beside the one that was measured: newer, older, the same, or nobody can say."""

from __future__ import annotations

import pytest

from spec_kitty_orchestrator.agents.catalog import ALL
from spec_kitty_orchestrator.agents.versions import Age, age_of

CASES = [
    ("2.1.330", "2.1.330", None),
    ("2.1.331", "2.1.330", Age.NEWER),
    ("2.1.9", "2.1.330", Age.OLDER),
    ("10.0", "9.9.9", Age.NEWER),
    ("0.169.0-beta.1", "0.169.0", None),
    ("1.2", "1.2.3", Age.OLDER),
    (None, "1.2.3", None),
    ("latest", "1.2.3", None),
    ("1.2.3", "", None),
]


@pytest.mark.parametrize(("version", "verified", "age"), CASES)
def test_numbers_are_compared_as_numbers(version: str | None, verified: str, age: Age | None) -> None:
    assert age_of(version, verified) is age


def test_every_version_that_was_measured_can_be_compared() -> None:
    assert all(age_of("0.0.1", spec.verified) is Age.OLDER for spec in ALL if spec.verified)
