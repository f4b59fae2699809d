"""The state file is atomic, private, never mistaken for "no run", and never holds a lane."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from spec_kitty_orchestrator.agents.spec import FailureKind, Role
from spec_kitty_orchestrator.agents.transcript import Usage
from spec_kitty_orchestrator.errors import StateFileError
from spec_kitty_orchestrator.host.contract.lanes import Lane
from spec_kitty_orchestrator.mission.records import AttemptRecord, WpRecord
from spec_kitty_orchestrator.mission.rules import Rest, Tally
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.run.state import FILE_NAME, RunState, RunStatus, RunStore
from spec_kitty_orchestrator.settings.values import Flags

RELEASE_1_0_0 = Path(__file__).parents[2] / "data" / "release-1.0.0"
"""What that release left behind after its demo, and the settings of its README."""


def a_run() -> RunState:
    state = RunState(
        run_id="20260101-000000-abcd",
        mission="m-01ABCDEF",
        actor="me",
        started_at="2026-01-01T00:00:00.000+00:00",
        process=ProcessIdentity.of(os.getpid()),
        flags=Flags(impl_agent="codex", max_concurrent=2),
    )
    state.resting["pi"] = Rest(1795000000.5, FailureKind.RATE_LIMIT, 2, "too many")
    record = state.record("WP01")
    record.holds_claim, record.implementer, record.rejections = True, "codex", 1
    record.feedback, record.refusal, record.last_error = "mend it", "unmarked", "crashed"
    record.set_tally(Role.REVIEW, "pi", Tally(3, FailureKind.CRASHED))
    record.attempts.append(
        AttemptRecord(
            Role.IMPLEMENTATION,
            "codex",
            1,
            "logs/a.log",
            "2026-01-01T00:00:00.000+00:00",
            keeper=ProcessIdentity(1, 2.5, "boot"),
            outcome="crashed",
            message="why",
            seconds=1.5,
            swept=("12 sleep",),
            usage=Usage(1, 2, 0.5),
        )
    )
    return state


def test_a_run_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    state = a_run()
    RunStore(tmp_path).save(state)
    assert RunStore(tmp_path).load() == state


def test_without_a_file_there_is_no_run(tmp_path: Path) -> None:
    assert RunStore(tmp_path).load() is None


def test_a_save_of_one_record_keeps_all_others(tmp_path: Path) -> None:
    store, state = RunStore(tmp_path), a_run()
    state.record("WP02")
    store.save(state)
    state.record("WP02").holds_claim = True
    state.record("WP03").holds_claim = True
    store.save(state, "WP02")
    store.save(state, "WP03")
    assert RunStore(tmp_path).load() == state


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.save(a_run())
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def test_it_never_holds_a_lane(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.save(a_run())
    words = set(json.dumps(json.loads(store.path.read_text())).replace('"', " ").split())
    assert not words & {lane.value for lane in Lane}


def test_a_save_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, state = RunStore(tmp_path), a_run()
    store.save(state)
    before = store.path.read_text()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    state.status = RunStatus.ABORTED
    with pytest.raises(StateFileError, match="No space left"):
        store.save(state)
    assert store.path.read_text() == before


DAMAGE = {
    "half a file": lambda text: text[: len(text) // 2],
    "nothing": lambda text: "",
    "another type": lambda text: text.replace('"actor": "me"', '"actor": 7'),
    "a key missing": lambda text: text.replace('"mission"', '"missing"'),
    "an unknown status": lambda text: text.replace('"status": "running"', '"status": "dreaming"'),
    "a list": lambda text: "[]",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_file_is_an_error_with_a_remedy_and_stays(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    store = RunStore(tmp_path)
    store.save(a_run())
    damaged = damage(store.path.read_text())
    assert damaged != store.path.read_text()
    store.path.write_text(damaged)
    with pytest.raises(StateFileError, match=f"{FILE_NAME} is damaged") as caught:
        store.load()
    assert "start a new run" in caught.value.remedy
    assert store.path.read_text() == damaged


def test_a_file_that_is_no_text_is_damaged(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.path.write_bytes(b"\xff\x00")
    with pytest.raises(StateFileError, match="is damaged"):
        store.load()


def test_a_file_of_a_newer_version_is_not_called_damaged(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.save(a_run())
    store.path.write_text(store.path.read_text().replace('"schema_version": 2', '"schema_version": 3'))
    with pytest.raises(StateFileError, match="newer spec-kitty-orchestrator") as caught:
        store.load()
    assert "upgrade" in caught.value.remedy


def test_a_file_of_release_1_0_0_is_read_and_its_one_word_for_what_we_hold_becomes_two(
    tmp_path: Path,
) -> None:
    store = RunStore(tmp_path)
    store.path.write_bytes((RELEASE_1_0_0 / FILE_NAME).read_bytes())
    state = store.load()
    assert state is not None
    assert (state.run_id, state.status, state.schema_version) == (
        "20261124-142301-f5e0",
        RunStatus.FINISHED,
        2,
    )
    assert state.accepted
    held = {wp_id: (each.holds_claim, each.holds_review) for wp_id, each in state.work_packages.items()}
    assert held == dict.fromkeys(("WP01", "WP02", "WP03", "WP04"), (True, True))
    assert state.record("WP03").rejections == 1
    assert len(state.record("WP03").attempts) == 4
    store.save(state)
    assert store.load() == state


def test_a_file_of_release_1_0_0_whose_run_left_something_can_be_gone_on_with(tmp_path: Path) -> None:
    old = json.loads((RELEASE_1_0_0 / FILE_NAME).read_text())
    store = RunStore(tmp_path)
    store.path.write_text(json.dumps({**old, "reason": f"mission {old['mission']} is not finished:"}))
    state = store.load()
    assert state is not None
    assert state.is_resumable


@pytest.mark.parametrize("work_packages", [[], {"WP01": []}, {"WP01": {"ours": "yes"}}])
def test_a_damaged_file_of_release_1_0_0_is_called_damaged(tmp_path: Path, work_packages: object) -> None:
    store = RunStore(tmp_path)
    old = json.loads((RELEASE_1_0_0 / FILE_NAME).read_text())
    store.path.write_text(json.dumps({**old, "work_packages": work_packages}))
    with pytest.raises(StateFileError, match="is damaged: work_packages"):
        store.load()


def test_a_number_is_never_given_to_two_attempts() -> None:
    record = a_run().record("WP01")
    assert record.next_number(Role.IMPLEMENTATION) == 2
    assert record.next_number(Role.REVIEW) == 1


def test_a_run_that_goes_on_forgives_what_lay_in_the_agent() -> None:
    record = WpRecord()
    record.set_tally(Role.REVIEW, "offline", Tally(0, FailureKind.NETWORK))
    record.set_tally(Role.REVIEW, "crashing", Tally(3, FailureKind.CRASHED))
    record.set_tally(Role.REVIEW, "once", Tally(1))
    record.forgive()
    assert set(record.tallies[Role.REVIEW]) == {"crashing", "once"}


def test_a_new_run_keeps_whose_it_is_and_what_is_still_to_be_mended() -> None:
    kept = a_run().record("WP01").for_a_new_run()
    assert kept == WpRecord(holds_claim=True, implementer="codex", feedback="mend it", refusal="unmarked")
