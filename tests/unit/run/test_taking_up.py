"""Which run goes on or begins, and that nothing is forgotten of what the runs of other missions hold."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import cast

import psutil
import pytest
from attrs import evolve

from spec_kitty_orchestrator.agents.spec import FailureKind, Role
from spec_kitty_orchestrator.errors import StateFileError
from spec_kitty_orchestrator.host.client import HostClient
from spec_kitty_orchestrator.host.contract.payloads import MissionState
from spec_kitty_orchestrator.mission.records import AttemptRecord
from spec_kitty_orchestrator.mission.rules import Rest
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.run.opening import Opened, Request
from spec_kitty_orchestrator.run.state import RunState, RunStatus, RunStore
from spec_kitty_orchestrator.run.taking_up import KEPT_NAME, TakenUp, kept_runs, take_up
from spec_kitty_orchestrator.settings.values import Flags, Settings

A, B = "a-01AAAAAA", "b-01BBBBBB"


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".kittify").mkdir()
    return RunStore(tmp_path / ".kittify")


def a_run(
    mission: str = A, actor: str = "me", status: RunStatus = RunStatus.FINISHED, run_id: str = ""
) -> RunState:
    """A run that has ended, and holds the claim of WP01."""
    now = "2026-01-01T00:00:00.000+00:00"
    state = RunState(run_id or f"run-{mission}-{actor}", mission, actor, now, ProcessIdentity.of(os.getpid()))
    state.status, state.record("WP01").holds_claim = status, True
    return state


def an_attempt(outcome: str | None = None, left: tuple[str, ...] = ()) -> AttemptRecord:
    return AttemptRecord(Role.IMPLEMENTATION, "pi", 1, "x.log", "2026", outcome=outcome, left=left)


def begin(store: RunStore, mission: str, actor: str = "me", *, resume: bool = False) -> TakenUp:
    """A run begins, or goes on, and its state is stored as the supervisor does."""
    root = store.path.parent.parent
    request = Request(mission, actor, root, Flags(max_concurrent=3), environ={})
    first = MissionState(mission, None, "software-dev", {}, ())
    taken = take_up(Opened(request, Settings(), {}, cast(HostClient, None), first), store, resume=resume)
    store.save(taken.state)
    taken.is_stored()
    return taken


def test_a_new_run_keeps_what_an_earlier_one_of_the_mission_holds(store: RunStore) -> None:
    store.save(a_run())
    state = begin(store, A).state
    assert state.run_id != a_run().run_id
    assert state.record("WP01").holds_claim
    assert state.flags == Flags(max_concurrent=3)
    assert kept_runs(store.path.parent).runs == ()


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("before", [a_run(A), a_run(B), a_run(A, "somebody")])
def test_an_agent_at_its_limit_rests_on_whatever_the_mission(
    store: RunStore, before: RunState, resume: bool
) -> None:
    rests = {"pi": Rest(1795000000.5, FailureKind.RATE_LIMIT, 2)}
    store.save(evolve(before, resting=rests))
    assert begin(store, A, resume=resume).state.resting == rests
    assert begin(store, B, resume=resume).state.resting == rests
    assert begin(store, A, resume=resume).state.resting == rests


@pytest.mark.parametrize("before", [a_run(B), a_run(A, "somebody"), None])
def test_what_another_mission_or_actor_holds_is_not_ours(store: RunStore, before: RunState | None) -> None:
    if before is not None:
        store.save(before)
    assert begin(store, A).state.work_packages == {}


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("other", [(B, "me"), (A, "somebody")])
def test_what_a_mission_holds_is_known_again_after_a_run_of_another_or_as_another(
    store: RunStore, resume: bool, other: tuple[str, str]
) -> None:
    before = a_run(status=RunStatus.INTERRUPTED)
    store.save(before)
    begin(store, *other)
    assert store.load() != before
    state = begin(store, A, resume=resume).state
    assert state.record("WP01").holds_claim
    assert (state.run_id == before.run_id) is resume
    assert [(run.mission, run.actor) for run in kept_runs(store.path.parent).runs] == [other]


def test_of_several_runs_of_a_mission_the_newest_is_known_again(store: RunStore) -> None:
    for run_id, at in (("b", "2026-01-02"), ("c", "2026-01-03"), ("a", "2026-01-01")):
        kept = RunStore(store.path.parent / "logs" / run_id, KEPT_NAME)
        kept.path.parent.mkdir(parents=True)
        kept.save(a_run(run_id=run_id))
        kept.path.write_text(re.sub('"updated_at": "[^"]*"', f'"updated_at": "{at}"', kept.path.read_text()))
    store.save(a_run(B))
    assert begin(store, A, resume=True).state.run_id == "c"


def test_what_goes_on_is_not_found_as_it_was_once_its_state_is_thrown_away(store: RunStore) -> None:
    store.save(a_run())
    begin(store, B)
    begin(store, A, resume=True)
    store.delete()
    assert begin(store, A).state.work_packages == {}


def test_what_is_kept_says_how_to_go_on_with_it(store: RunStore) -> None:
    store.save(a_run(status=RunStatus.STOPPED))
    (notice,) = begin(store, B).notices
    assert f"resume --mission {A} --actor me" in notice


@pytest.mark.parametrize("how", ["aborted", "accepted"])
def test_what_was_given_up_or_is_done_is_kept_without_a_word(store: RunStore, how: str) -> None:
    before = a_run(status=RunStatus.ABORTED if how == "aborted" else RunStatus.FINISHED)
    before.accepted = how == "accepted"
    store.save(before)
    assert begin(store, B).notices == ()
    assert begin(store, A).state.record("WP01").holds_claim


def test_one_that_is_kept_and_damaged_is_told_and_is_as_if_it_were_not_there(store: RunStore) -> None:
    store.save(a_run())
    begin(store, B)
    (kept,) = store.path.parent.glob(f"logs/*/{KEPT_NAME}")
    kept.write_text("{")
    taken = begin(store, A)
    assert taken.state.work_packages == {}
    assert f"{KEPT_NAME} is damaged" in taken.notices[0]


def test_logs_that_were_thrown_away_are_as_if_there_had_been_no_run(store: RunStore) -> None:
    store.save(a_run())
    begin(store, B)
    for path in store.path.parent.glob(f"logs/*/{KEPT_NAME}"):
        path.unlink()
    assert begin(store, A, resume=True).state.work_packages == {}


def test_nothing_is_overwritten_that_cannot_be_kept(store: RunStore) -> None:
    before = a_run()
    store.save(before)
    (store.path.parent / "logs").write_text("in the way")
    with pytest.raises(StateFileError, match="cannot make"):
        begin(store, B)
    assert store.load() == before


def test_only_its_owner_can_read_what_is_kept(store: RunStore) -> None:
    store.save(a_run())
    begin(store, B)
    (kept,) = store.path.parent.glob(f"logs/*/{KEPT_NAME}")
    assert kept.stat().st_mode & 0o777 == 0o600


def test_going_on_with_what_was_aborted_says_so(store: RunStore) -> None:
    store.save(a_run(status=RunStatus.ABORTED))
    taken = begin(store, A, resume=True)
    assert taken.notices == (f"run {taken.state.run_id} was aborted by a person; going on with it",)
    assert taken.state.status is RunStatus.RUNNING


def test_going_on_marks_what_was_cut_short(store: RunStore) -> None:
    before = a_run(status=RunStatus.RUNNING)
    before.process = evolve(before.process, pid=1)
    before.record("WP01").attempts.append(an_attempt())
    store.save(before)
    state = begin(store, A, resume=True).state
    assert state.run_id == before.run_id
    assert state.process.pid == os.getpid()
    assert state.record("WP01").attempts[0].outcome == "interrupted"
    assert state.record("WP01").holds_claim


def test_going_on_as_another_actor_holds_nothing_and_is_a_run_of_its_own(store: RunStore) -> None:
    before = a_run()
    before.record("WP01").feedback = "mend it"
    store.save(before)
    state = begin(store, A, "somebody", resume=True).state
    assert state.run_id != before.run_id
    assert state.record("WP01") == evolve(before.record("WP01"), holds_claim=False)
    assert begin(store, A, "me", resume=True).state.record("WP01").holds_claim


def test_flags_that_are_given_outrank_those_of_before_and_are_kept(store: RunStore) -> None:
    store.save(evolve(a_run(), flags=Flags(impl_agent="codex", max_concurrent=1)))
    begin(store, A, resume=True)
    state = store.load()
    assert state is not None
    assert state.flags == Flags(max_concurrent=3)
    assert Flags(max_concurrent=3).over(Flags("codex", "pi", 1)) == Flags("codex", "pi", 3)


@pytest.mark.parametrize("outcome", [None, "interrupted", "succeeded"])
def test_a_new_run_knows_who_was_at_work_when_the_one_before_was_cut_off(
    store: RunStore, outcome: str | None
) -> None:
    before = a_run(status=RunStatus.RUNNING)
    before.record("WP01").attempts.append(an_attempt(outcome))
    before.record("WP02").attempts.append(an_attempt(outcome))  # whose claim is not ours
    store.save(before)
    begin(store, A)
    state = begin(store, A).state  # nor is it forgotten by a run that came to nothing
    assert state.record("WP01").was_at_work
    assert not state.record("WP02").was_at_work


def test_a_new_run_knows_what_still_runs_and_could_not_be_ended(store: RunStore) -> None:
    running = f"{os.getpid()} {psutil.Process().name()}"
    before = a_run()
    before.left = ["1 no-such-name"]
    before.record("WP01").attempts.append(an_attempt("crashed", left=(running,)))
    store.save(before)
    assert begin(store, A).state.left == [running]
