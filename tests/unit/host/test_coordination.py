"""What a host cannot do for a mission is said of the host on which it was measured, and of no other."""

from __future__ import annotations

import pytest

from spec_kitty_orchestrator.host.contract.payloads import LaneCounts, MissionState
from spec_kitty_orchestrator.host.coordination import MEASURED_CONTRACT, can_only_crash, shortcoming

WORDS = (
    "FileNotFoundError: No meta.json in /home/me/my project/.worktrees/tally-01 "
    "M87FAF-coord/kitty-specs/tally-01M87FAF"
)
"""As it was printed, in lines of 80."""


def mission(mission_type: str) -> MissionState:
    return MissionState("tally-01M87FAF", None, mission_type, LaneCounts(*[0] * 9), ())


def test_a_mission_whose_metadata_the_measured_host_does_not_find_cannot_be_accepted() -> None:
    said = shortcoming(MEASURED_CONTRACT, mission(""))
    assert "cannot accept mission tally-01M87FAF" in said
    assert "merge" in said


@pytest.mark.parametrize(
    ("contract", "mission_type"), [("1.5.0", "software-dev"), ("1.4.0", ""), ("1.5.1", ""), ("1.6.0", "")]
)
def test_nothing_is_said_of_what_was_not_measured(contract: str, mission_type: str) -> None:
    assert shortcoming(contract, mission(mission_type)) == ""


@pytest.mark.parametrize(
    ("command", "words", "for_ever"),
    [
        ("accept-mission", WORDS, True),
        ("accept-mission", WORDS.replace("meta.json", "meta.\njson"), True),
        ("start-review", WORDS, False),
        ("accept-mission", WORDS.replace("-coord", "-lane-a"), False),
        ("accept-mission", "FileNotFoundError: No meta.json in /home/me/kitty-specs/tally", False),
        ("accept-mission", "FileExistsError: .git/index.lock in /home/me-coord/kitty-specs/x", False),
    ],
)
def test_a_breakdown_that_comes_back_is_known_by_its_last_words(
    command: str, words: str, for_ever: bool
) -> None:
    assert can_only_crash(command, words) is for_ever
