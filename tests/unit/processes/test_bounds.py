"""The bounds of a stop add up: nobody is given up before each of its steps has had its time."""

from __future__ import annotations

import pytest

from spec_kitty_orchestrator.processes.bounds import (
    DRAIN_SECONDS,
    KEEPER_OF_THE_DEAD_SECONDS,
    KEEPER_SECONDS,
    LEFTOVER_SECONDS,
    NOTICE_AT_STOP_SECONDS,
    NOTICE_GRACE_SECONDS,
    PAGE_SECONDS,
    RECORDS_SECONDS,
    SAVE_SECONDS,
    SETTLE_SECONDS,
    SWEEP_SECONDS,
    orderly_stop_seconds,
)
from spec_kitty_orchestrator.report import stream


def test_a_keeper_is_not_given_up_before_its_own_steps_are_over() -> None:
    assert KEEPER_SECONDS > SETTLE_SECONDS + LEFTOVER_SECONDS + SWEEP_SECONDS


def test_a_keeper_of_a_dead_run_may_ask_what_its_command_left_behind() -> None:
    assert KEEPER_OF_THE_DEAD_SECONDS > SETTLE_SECONDS + LEFTOVER_SECONDS


def test_an_orderly_stop_may_take_a_lost_keeper_its_orphans_a_slow_disk_and_who_is_told() -> None:
    of_an_agent = KEEPER_SECONDS + SWEEP_SECONDS + DRAIN_SECONDS
    of_what_is_told = RECORDS_SECONDS + PAGE_SECONDS + NOTICE_AT_STOP_SECONDS
    assert orderly_stop_seconds(10) == 10 + of_an_agent + SAVE_SECONDS + of_what_is_told == 53


def test_what_records_a_run_keeps_to_its_bounds() -> None:
    """They lie in another package, which knows none of these."""
    collector = pytest.importorskip("spec_kitty_orchestrator.report.collector")
    assert stream.CLOSE_SECONDS + stream.CLOSE_SECONDS == RECORDS_SECONDS >= collector.FLUSH_SECONDS


def test_who_is_told_at_a_stop_has_more_than_the_grace_for_it() -> None:
    assert NOTICE_AT_STOP_SECONDS > 2 * NOTICE_GRACE_SECONDS
