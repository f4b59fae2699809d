"""HostClient against the fake host in simulated time: what it sends, and how it survives what goes wrong."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from conformance.fake.command_line import respond
from conformance.fake.in_process import Fault, InProcessHost, make_fake_project
from trio.testing import MockClock

from spec_kitty_orchestrator import __version__
from spec_kitty_orchestrator.errors import ExitCode, HostError, UsageError
from spec_kitty_orchestrator.host.client import HostClient, check_contract, clean_note
from spec_kitty_orchestrator.host.contract.envelope import HostGarbled
from spec_kitty_orchestrator.host.contract.lanes import Lane
from spec_kitty_orchestrator.host.contract.payloads import (
    ReviewResult,
    StartReview,
    TransitionRequest,
    TransitionResult,
)
from spec_kitty_orchestrator.host.contract.policy import PolicyMetadata
from spec_kitty_orchestrator.host.errors import (
    REFUSED,
    AcceptanceImpossible,
    CommitRefused,
    Completed,
    DependenciesNotSatisfied,
    HostCrashed,
    HostHung,
    HostIncompatible,
    HostMissing,
    HostRefused,
    LaneAllocationFailed,
    MissionEmpty,
    MissionNotFound,
    MissionNotReady,
    PreflightFailed,
    TransitionRejected,
    UnknownRefusal,
    WpAlreadyClaimed,
    answer,
)
from spec_kitty_orchestrator.host.program import HOST_VARIABLE, HostEndpoint, find_host_binary

POLICY = PolicyMetadata("spec-kitty-orchestrator", "1.0.0", "claude", "full_auto", "workspace_write", "open")
APPROVED = ReviewResult("codex", "approved", "review/WP01/1")
TIMEOUT = 60.0


def simulated(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Runs a test on a clock that jumps to whatever is waited for."""

    @functools.wraps(test)
    def run(*args: object, **kwargs: object) -> None:
        trio.run(functools.partial(test, *args, **kwargs), clock=MockClock(autojump_threshold=0))

    return run


class Asked:
    """A fake project, and clients that ask its host."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.fake = make_fake_project(root, {"WP01": [], "WP02": ["WP01"], "WP03": []})
        self.host = InProcessHost(self.fake, seconds=2.0)
        self.client = self.as_actor("me")

    def as_actor(self, actor: str, mission: str | None = None) -> HostClient:
        endpoint = HostEndpoint(Path("unused"), self.root, timeout=TIMEOUT)
        return HostClient(endpoint, self.fake.slug if mission is None else mission, actor, self.host)

    def bring_to(self, lane: Lane) -> None:
        """WP01, from planned to this lane."""
        self.fake.wps["WP01"].update(lane=lane.value, holder="me")


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path)


@simulated
async def test_a_work_package_goes_from_planned_to_merged(asked: Asked) -> None:
    client = asked.client
    assert (await client.contract_version()).api_version == "1.5.0"
    ready = await client.list_ready()
    assert [wp.wp_id for wp in ready.ready_work_packages] == ["WP01", "WP03"]
    for wp_id in ("WP01", "WP02", "WP03"):
        predicted = await client.resolve_workspace(wp_id)
        started = await client.start_implementation(wp_id, POLICY)
        assert (started.no_op, started.workspace_path) == (False, predicted.workspace_path)
        asked.fake.commit(wp_id)
        asked.fake.mark(wp_id)
        await client.append_history(wp_id, "a note")
        await client.transition(TransitionRequest(wp_id, Lane.FOR_REVIEW, policy=POLICY))
        assert (await client.start_review(wp_id, POLICY, "r")).to_lane is Lane.IN_REVIEW
        await client.transition(TransitionRequest(wp_id, Lane.APPROVED, "good", POLICY, APPROVED))
    assert (await client.accept_mission()).merge_pending_wps == ("WP01", "WP02", "WP03")
    assert (await client.merge_mission()).merged
    assert (await client.mission_state()).summary[Lane.DONE] == 3
    assert client.calls == len(asked.host.log) == 3 * 6 + 5


@simulated
async def test_our_own_version_is_sent_with_contract_version(asked: Asked) -> None:
    await asked.client.contract_version()
    assert asked.host.log == [("orchestrator-api", "contract-version", "--provider-version", __version__)]


@simulated
async def test_an_approval_carries_its_result_and_the_same_as_evidence(asked: Asked) -> None:
    asked.bring_to(Lane.IN_REVIEW)
    await asked.client.transition(TransitionRequest("WP01", Lane.DONE, "well done", POLICY, APPROVED))
    sent = asked.host.log[-1]
    result = json.loads(sent[sent.index("--review-result-json") + 1])
    assert result == {"reviewer": "codex", "verdict": "approved", "reference": "review/WP01/1"}
    assert json.loads(sent[sent.index("--evidence-json") + 1]) == {"review": result}
    assert sent[sent.index("--note") + 1] == "well done"


@simulated
async def test_a_rejection_carries_its_result_without_evidence(asked: Asked) -> None:
    asked.bring_to(Lane.IN_REVIEW)
    review = ReviewResult("codex", "changes_requested", "r")
    moved = await asked.client.transition(
        TransitionRequest("WP01", Lane.IN_PROGRESS, policy=POLICY, review=review)
    )
    assert (moved.from_lane, moved.to_lane) == (Lane.IN_REVIEW, Lane.IN_PROGRESS)
    assert "--evidence-json" not in asked.host.log[-1]


@pytest.mark.parametrize(
    ("version", "error"),
    [
        ("1.3.0", None),
        ("1.5.0", None),
        ("1.99.7", None),
        ("1.6.0-rc1", None),
        ("1.2.9", HostIncompatible),
        ("0.9.0", HostIncompatible),
        ("2.0.0", HostIncompatible),
        ("1.5", HostGarbled),
        ("new", HostGarbled),
    ],
)
def test_contracts_from_1_3_0_up_to_2_0_0_are_spoken(version: str, error: type[HostError] | None) -> None:
    if error is None:
        check_contract(version)
        return
    with pytest.raises(error) as caught:
        check_contract(version)
    assert caught.value.exit_code is ExitCode.HOST


@simulated
async def test_a_mission_without_work_packages_is_an_error(asked: Asked) -> None:
    asked.fake.workspaces.checked_out = "main"  # type: ignore[attr-defined]
    with pytest.raises(MissionEmpty, match="check out the branch") as caught:
        await asked.client.mission_state()
    assert caught.value.exit_code is ExitCode.USAGE


@simulated
async def test_an_unknown_mission_is_a_matter_of_usage(asked: Asked) -> None:
    with pytest.raises(MissionNotFound, match="'nope' not found") as caught:
        await asked.as_actor("me", "nope").mission_state()
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("mission", ["", "a/b", "..", "a..b", "with space", "WP0*", "-x", "a\n"])
@simulated
async def test_a_selector_that_would_crash_the_host_is_never_sent(asked: Asked, mission: str) -> None:
    with pytest.raises(UsageError, match="is not the name of a mission"):
        await asked.as_actor("me", mission).mission_state()
    assert asked.host.log == []


@pytest.mark.parametrize("wp_id", ["", "WP0*", "wp01", "WP1", "WP01/x", "../WP01", "WP01 ", "WP01\n"])
@simulated
async def test_an_id_that_is_none_is_never_sent(asked: Asked, wp_id: str) -> None:
    with pytest.raises(UsageError, match="is not the id of a work package"):
        await asked.client.start_implementation(wp_id, POLICY)
    assert asked.host.log == []


@simulated
async def test_an_actor_without_a_name_is_never_sent(asked: Asked) -> None:
    with pytest.raises(UsageError, match="the actor has no name"):
        await asked.as_actor("  ").accept_mission()


@simulated
async def test_refusals_bring_what_the_host_said(asked: Asked) -> None:
    with pytest.raises(DependenciesNotSatisfied) as waiting:
        await asked.client.start_implementation("WP02", POLICY)
    assert waiting.value.data.unsatisfied_dependencies == ("WP01",)
    await asked.client.start_implementation("WP01", POLICY)
    with pytest.raises(WpAlreadyClaimed) as held:
        await asked.as_actor("you").start_implementation("WP01", POLICY)
    assert held.value.data.claimed_by == "me"
    asked.fake.change("WP01")
    with pytest.raises(LaneAllocationFailed) as dirty:
        await asked.client.start_implementation("WP01", POLICY)
    assert "uncommitted changes" in dirty.value.data.reason
    with pytest.raises(TransitionRejected, match="no implementation commit on lane lane-a") as early:
        await asked.client.transition(TransitionRequest("WP01", Lane.FOR_REVIEW, policy=POLICY))
    assert (early.value.code, early.value.command) == ("TRANSITION_REJECTED", "transition")
    with pytest.raises(MissionNotReady) as unready:
        await asked.client.accept_mission()
    assert unready.value.data.incomplete_wps == ("WP01", "WP02", "WP03")
    with pytest.raises(PreflightFailed) as unmerged:
        await asked.client.merge_mission("nowhere")
    assert unmerged.value.data.errors == ("Target branch 'nowhere' does not exist locally or on origin.",)


@simulated
async def test_an_acceptance_that_can_only_break_down_is_asked_for_once_and_any_other_twice(
    asked: Asked,
) -> None:
    for wp in asked.fake.wps.values():
        wp["lane"] = "done"
    asked.host.faults["accept-mission"] = [Fault.CRASH_BEFORE]
    assert (await asked.client.accept_mission()).accepted
    assert asked.host.commands() == ["accept-mission"] * 2
    asked.fake.missions[asked.fake.slug]["topology"] = "coord"
    with pytest.raises(AcceptanceImpossible, match=r"No meta\.json in .*-coord/kitty-specs/"):
        await asked.client.accept_mission()
    assert asked.host.commands() == ["accept-mission"] * 3


def refused(code: str, data: dict[str, Any]) -> Completed:
    envelope = {
        "contract_version": "1.5.0", "command": "orchestrator-api.transition", "timestamp": "t",
        "correlation_id": "c", "success": False, "error_code": code, "data": data,
    }  # fmt: skip
    return Completed(1, json.dumps(envelope).encode(), b"")


EVERYTHING = {
    "message": "no", "provider_version": "1", "mission_slug": "m", "mission_number": None,
    "mission_type": "t", "wp_id": "WP01", "claimed_by": "a", "requesting_actor": "b",
    "unsatisfied_dependencies": [], "reason": "r", "incomplete_wps": [], "target_branch": "b", "errors": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("code", "cls"),
    [*REFUSED.items(), ("SAFE_COMMIT_PATH_POLICY", CommitRefused), ("BRAND_NEW", UnknownRefusal)],
)
def test_every_error_code_is_an_error_of_its_own(code: str, cls: type[HostRefused]) -> None:
    with pytest.raises(cls, match=f"^transition: {code}: no") as caught:
        answer("transition", refused(code, EVERYTHING), object)
    assert type(caught.value) is cls
    assert (caught.value.code, caught.value.host_message) == (code, "no")


def test_a_refusal_without_words_is_still_told() -> None:
    with pytest.raises(UnknownRefusal, match="no reason given"):
        answer("transition", refused("X", {}), object)


TRACEBACK = "Traceback (most recent call last):\n  File x\nValueError: 'nope' is not a valid Lane\n"
BOXED = "╭─ Traceback ─╮\n│ raise x │\n╰─────────────╯\nValueError: a long\nreason\n"


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (Completed(1, b"", TRACEBACK.encode()), HostCrashed, "exit status 1): ValueError: 'nope' is not"),
        (Completed(1, b"", BOXED.encode()), HostCrashed, "ValueError: a long reason"),
        (Completed(-9, b"", b""), HostCrashed, "signal 9): and gave no reason"),
        (Completed(0, b"", b""), HostGarbled, "printed nothing"),
        (Completed(0, b"hello\n", b""), HostGarbled, "last line is 'hello'"),
        (Completed(0, refused("X", {}).stdout, b""), HostGarbled, "answered X but ended with exit status 0"),
    ],
)
def test_what_is_no_answer_is_told_in_one_line(said: Completed, error: type[HostError], words: str) -> None:
    with pytest.raises(error) as caught:
        answer("transition", said, object)
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code is ExitCode.HOST


def test_an_answer_to_another_command_is_none(asked: Asked) -> None:
    """Only the command's name tells: what start-review answers can be read as a transition's result."""
    asked.bring_to(Lane.FOR_REVIEW)
    options = ["--mission", asked.fake.slug, "--wp", "WP01", "--actor", "me", "--policy", POLICY.to_json()]
    said = Completed(*respond(asked.fake, ["orchestrator-api", "start-review", *options]))
    assert answer("start-review", said, StartReview).to_lane is Lane.IN_REVIEW
    with pytest.raises(HostGarbled, match=r"^transition: the host answered for '.*\.start-review' instead"):
        answer("transition", said, TransitionResult)


LOST = [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.HANG_BEFORE, Fault.HANG_AFTER, Fault.GARBLE_AFTER]


@pytest.mark.parametrize("fault", LOST)
@simulated
async def test_a_start_whose_reply_was_lost_is_asked_for_again(asked: Asked, fault: Fault) -> None:
    """What the repeat finds done already was done by the call before it."""
    asked.host.faults["start-implementation"] = [fault]
    started = await asked.client.start_implementation("WP01", POLICY)
    assert not started.no_op
    assert asked.host.commands() == ["start-implementation"] * 2


@pytest.mark.parametrize("fault", LOST)
@simulated
async def test_a_move_whose_reply_was_lost_is_looked_up_and_made_once(asked: Asked, fault: Fault) -> None:
    asked.bring_to(Lane.IN_REVIEW)
    asked.host.faults["transition"] = [fault]
    moved = await asked.client.transition(
        TransitionRequest("WP01", Lane.DONE, policy=POLICY, review=APPROVED)
    )
    assert moved.to_lane is Lane.DONE
    assert moved.from_lane is (Lane.DONE if fault.is_after else Lane.IN_REVIEW)
    again = [] if fault.is_after else ["transition"]
    assert asked.host.commands() == ["transition", "mission-state", *again]


@pytest.mark.parametrize(
    ("fault", "error"), [(Fault.CRASH_BEFORE, HostCrashed), (Fault.HANG_BEFORE, HostHung)]
)
@simulated
async def test_a_reply_that_is_lost_twice_is_an_error(
    asked: Asked, fault: Fault, error: type[HostError]
) -> None:
    asked.bring_to(Lane.IN_PROGRESS)
    asked.host.faults["transition"] = [fault, fault]
    with pytest.raises(error):
        await asked.client.transition(TransitionRequest("WP01", Lane.BLOCKED))
    assert asked.host.commands() == ["transition", "mission-state", "transition"]


@simulated
async def test_a_read_that_fails_is_not_repeated(asked: Asked) -> None:
    asked.host.faults["mission-state"] = [Fault.CRASH_BEFORE]
    with pytest.raises(HostCrashed, match="scripted crash"):
        await asked.client.mission_state()
    assert asked.client.calls == 1


@simulated
async def test_a_host_that_hangs_is_given_up_at_its_deadline(asked: Asked) -> None:
    asked.host.faults["list-ready"] = [Fault.HANG_BEFORE]
    begun = trio.current_time()
    with pytest.raises(HostHung, match=r"no answer in 60 s"):
        await asked.client.list_ready()
    assert trio.current_time() - begun == pytest.approx(TIMEOUT)


@simulated
async def test_a_change_in_flight_is_finished_before_a_cancellation_takes_effect(asked: Asked) -> None:
    with trio.move_on_after(0.5) as scope:
        await asked.client.start_implementation("WP01", POLICY)
        await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert asked.fake.lane("WP01") == "in_progress"
    assert trio.current_time() >= 2.0


@simulated
async def test_a_read_is_cancelled_at_once(asked: Asked) -> None:
    begun = trio.current_time()
    with trio.move_on_after(0.5):
        await asked.client.mission_state()
    assert trio.current_time() - begun == pytest.approx(0.5)


@simulated
async def test_a_change_that_still_waits_for_its_turn_may_be_cancelled(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    client = asked.as_actor("me")
    with trio.move_on_after(1.0):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.start_implementation, "WP01", POLICY)
            await trio.sleep(0.1)
            nursery.start_soon(client.start_implementation, "WP03", POLICY)
    assert (asked.fake.lane("WP01"), asked.fake.lane("WP03")) == ("in_progress", "planned")


@pytest.mark.parametrize(("cores", "at_once"), [(1, 1), (2, 2), (64, 4), (None, 1)])
@simulated
async def test_no_more_calls_are_in_flight_than_cores_and_never_more_than_four(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, cores: int | None, at_once: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    client = asked.as_actor("me")
    async with trio.open_nursery() as nursery:
        for _ in range(12):
            nursery.start_soon(client.mission_state)
    assert asked.host.most_in_flight == at_once


def test_a_note_fits_on_any_command_line() -> None:
    assert clean_note("a\0b\ud800") == "ab?"
    assert clean_note("two\nlines 😀") == "two\nlines 😀"
    assert len(clean_note("x" * 200_000)) == 16_000
    assert clean_note("x" * 200_000).endswith("x…")


Program = Callable[[str], Path]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    def make(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        return path

    return make


def test_the_host_is_found_by_setting_then_variable_then_path_then_beside_us(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_setting, by_variable = program("a/host"), program("b/host")
    on_path, beside = program("c/spec-kitty"), program("d/spec-kitty")
    monkeypatch.setattr("sys.executable", str(beside.with_name("python")))
    environ = {HOST_VARIABLE: str(by_variable), "PATH": str(on_path.parent)}
    assert find_host_binary(str(by_setting), environ) == by_setting
    assert find_host_binary(None, environ) == by_variable
    assert find_host_binary(None, {"PATH": str(on_path.parent)}) == on_path
    assert find_host_binary(None, {"PATH": "/nowhere"}) == beside


@pytest.mark.parametrize("setting", ["/nowhere/spec-kitty", "no-such-program"])
def test_a_host_that_was_named_and_is_no_program_is_missing(setting: str) -> None:
    with pytest.raises(HostMissing, match=r"host\.binary: .* is not a program \(pip install") as caught:
        find_host_binary(setting, {"PATH": ""})
    assert caught.value.exit_code is ExitCode.HOST


def test_without_a_host_anywhere_there_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(HostMissing, match="spec-kitty was not found on PATH or in"):
        find_host_binary(None, {"PATH": str(tmp_path)})
