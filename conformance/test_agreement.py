"""The fake host is no fiction: to every case of the suite it says what the host under test says."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import asdict

from .audit import envelope_of
from .canon import VOLATILE, WORDS, in_fixture_terms, without
from .case import Case
from .cases import CASES
from .journey import Journey
from .recording import Recording


def essence(recording: Recording, case: Case) -> Any:
    """A reply without what is new each time, and without its wording."""
    envelope = envelope_of(recording.said[case.name])
    assert envelope is not None
    canonical = in_fixture_terms(asdict(envelope), str(recording.root), recording.mission)
    return without(canonical, VOLATILE | WORDS)


def like(value: Any, pattern: Any) -> Any:
    """The value without keys that the pattern does not have: a host may say more than the fake knows."""
    if isinstance(value, dict) and isinstance(pattern, dict):
        return {key: like(item, pattern[key]) for key, item in value.items() if key in pattern}
    if isinstance(value, list) and isinstance(pattern, list) and len(value) == len(pattern):
        return [like(item, other) for item, other in zip(value, pattern, strict=True)]
    return value


@pytest.mark.e2e
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_fake_says_what_the_host_says(journey: Journey, fake_recording: Recording, case: Case) -> None:
    recording = journey.recording
    if journey.reach(case) is None:
        pytest.skip(f"not reached: {recording.stopped}")
    fake = essence(fake_recording, case)
    assert like(essence(recording, case), fake) == fake
    statuses = [recorded.said[case.name].returncode for recorded in (recording, fake_recording)]
    assert statuses[0] == statuses[1]
