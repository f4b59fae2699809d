"""Who has a lane's workspace, and who goes first in it."""

from __future__ import annotations

import pytest

from spec_kitty_orchestrator.host.contract.lanes import Lane
from spec_kitty_orchestrator.mission.records import WpRecord
from spec_kitty_orchestrator.mission.turns import Turns, goes_before, related


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


ORDERS = {
    "one that is claimed waits for one with work": (Lane.IN_PROGRESS, True, Lane.IN_PROGRESS, False, "WP02"),
    "one with work goes before one that is claimed": (Lane.IN_PROGRESS, False, Lane.IN_PROGRESS, True, None),
    "a planned one waits for a claimed one": (Lane.PLANNED, False, Lane.IN_PROGRESS, True, "WP02"),
    "a planned one waits while the other is reviewed": (Lane.PLANNED, False, Lane.IN_REVIEW, False, "WP02"),
    "two with work go in the host's order": (Lane.IN_PROGRESS, False, Lane.FOR_REVIEW, False, None),
    "a planned one keeps nobody waiting": (Lane.PLANNED, False, Lane.PLANNED, False, None),
    "what is through keeps nobody waiting": (Lane.PLANNED, False, Lane.DONE, False, None),
    "nor does what is blocked": (Lane.PLANNED, False, Lane.BLOCKED, False, None),
}


@pytest.mark.parametrize(
    ("lane", "claiming", "other", "other_claiming", "first"), ORDERS.values(), ids=ORDERS
)
def test_who_goes_first_in_a_lane(
    lane: Lane, claiming: bool, other: Lane, other_claiming: bool, first: str | None
) -> None:
    records = {
        "WP01": WpRecord(claiming=claiming, branch="x"),
        "WP02": WpRecord(claiming=other_claiming, branch="x"),
    }
    assert goes_before("WP01", {"WP01": lane, "WP02": other}, records) == first


def test_those_of_other_lanes_or_of_unknown_ones_wait_for_nobody() -> None:
    lanes = {"WP01": Lane.PLANNED, "WP02": Lane.IN_PROGRESS, "WP03": Lane.IN_PROGRESS}
    records = {"WP01": WpRecord(branch="x"), "WP02": WpRecord(branch="y"), "WP03": WpRecord()}
    assert goes_before("WP01", lanes, records) is None
    assert goes_before("WP03", lanes, records) is None


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
