"""Who has a lane's workspace, and who goes first in it."""

from __future__ import annotations

import pytest

from spec_kitty_orchestrator.host.contract.lanes import Lane
from spec_kitty_orchestrator.mission.records import WpRecord
from spec_kitty_orchestrator.mission.turns import Turns, place_in_lane, related


def test_a_lane_has_one_holder_until_it_is_given_back() -> None:
    turns = Turns()
    assert turns.take("lane-a", "WP01")
    assert turns.take("lane-a", "WP01")
    assert not turns.take("lane-a", "WP02")
    assert turns.take("lane-b", "WP02")
    assert turns.holder("lane-a") == "WP01"
    turns.give_back("WP01")
    assert turns.holder("lane-a") is None
    assert turns.holder("lane-b") == "WP02"
    assert turns.take("lane-a", "WP02")


PLACES = [
    (Lane.IN_PROGRESS, False, 0),
    (Lane.FOR_REVIEW, False, 0),
    (Lane.IN_REVIEW, False, 0),
    (Lane.IN_PROGRESS, True, 1),
    (Lane.PLANNED, False, 2),
    (Lane.BLOCKED, False, 2),
]


@pytest.mark.parametrize(("lane", "claiming", "place"), PLACES)
def test_who_goes_first_in_a_lane(lane: Lane, claiming: bool, place: int) -> None:
    assert place_in_lane(WpRecord(claiming=claiming), lane) == place


def test_what_hangs_together_is_found_in_both_directions() -> None:
    dependencies: dict[str, tuple[str, ...]] = {
        "WP01": (),
        "WP02": ("WP01",),
        "WP03": ("WP01",),
        "WP04": (),
        "WP05": ("WP04", "WP05"),
    }
    assert related("WP02", dependencies) == {"WP01", "WP02", "WP03"}
    assert related("WP04", dependencies) == {"WP04", "WP05"}
    assert related("WP09", dependencies) == {"WP09"}
