"""The contract layer: replies are found, read strictly, and refused with the place where they are wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

import spec_kitty_orchestrator
from spec_kitty_orchestrator.converter import Unreadable, read, unstructure
from spec_kitty_orchestrator.errors import PolicyError
from spec_kitty_orchestrator.host.contract.envelope import (
    ContractBreach,
    HostGarbled,
    read_reply,
    structure,
)
from spec_kitty_orchestrator.host.contract.lanes import Lane
from spec_kitty_orchestrator.host.contract.payloads import (
    LaneCounts,
    MissionState,
    StartReview,
    WorkPackageState,
)
from spec_kitty_orchestrator.host.contract.policy import PolicyMetadata

ENVELOPE: dict[str, Any] = {
    "contract_version": "1.5.0",
    "command": "orchestrator-api.mission-state",
    "timestamp": "2026-11-22T06:46:23.595881+00:00",
    "correlation_id": "corr-1",
    "success": True,
    "error_code": None,
    "data": {},
}
LINE = json.dumps(ENVELOPE)
ABOUT = {"mission_slug": "demo-01M8100B", "mission_number": None, "mission_type": "software-dev"}
STATE: dict[str, Any] = {
    **ABOUT,
    "summary": {lane.value: 0 for lane in Lane},
    "work_packages": [
        {"wp_id": "WP01", "lane": "done", "dependencies": [], "last_actor": None},
        {"wp_id": "WP02", "lane": "planned", "dependencies": ["WP01"]},
    ],
}


@pytest.mark.parametrize(
    ("stdout", "before", "after"),
    [
        (LINE, 0, 0),
        (LINE + "\n\n  \n", 0, 0),
        (f"Deleted branch a.\nWARNING: {{}}\n{LINE}\n", 2, 0),
        ('{"not": "it"}\n[1]\n{broken\n' + LINE, 3, 0),
        (LINE.replace("corr-1", "corr-0") + "\n" + LINE, 1, 0),
        (LINE + "\nall done\n", 0, 1),
        (LINE.replace("\n", "\r\n") + "\r\n", 0, 0),
    ],
)
def test_the_last_envelope_is_the_reply_and_all_else_is_noise(stdout: str, before: int, after: int) -> None:
    reply = read_reply(stdout.encode())
    assert reply.envelope.correlation_id == "corr-1"
    assert (len(reply.before), len(reply.after)) == (before, after)


@pytest.mark.parametrize(
    ("stdout", "words"),
    [
        (b"", "printed nothing"),
        (b"\n \n", "printed nothing"),
        (b"Traceback (most recent call last):\nValueError: x", "last line is 'ValueError: x'"),
        (b"{}", "last line is '{}'"),
        (b"\xff\xfe", "printed no reply"),
        (LINE[:-3].encode(), "printed no reply"),
        (b"[" * 100_000, "printed no reply"),
    ],
)
def test_output_without_an_envelope_is_garbage(stdout: bytes, words: str) -> None:
    with pytest.raises(HostGarbled, match="host printed") as caught:
        read_reply(stdout)
    assert words in str(caught.value)


@pytest.mark.parametrize("key", ENVELOPE)
def test_an_envelope_without_one_of_its_keys_is_a_breach_and_no_noise(key: str) -> None:
    short = {name: value for name, value in ENVELOPE.items() if name != key}
    with pytest.raises(ContractBreach, match=f"^{key}: missing"):
        read_reply(json.dumps(short).encode())


@given(st.binary(max_size=200))
def test_no_output_of_a_host_gives_anything_but_an_envelope_or_a_clear_error(stdout: bytes) -> None:
    with pytest.raises(HostGarbled):
        read_reply(stdout)


def test_a_state_is_read_and_written_back() -> None:
    state = structure(STATE, MissionState)
    assert state.work_packages[1] == WorkPackageState("WP02", Lane.PLANNED, ("WP01",))
    assert state.summary == LaneCounts(*[0] * 9)
    again = unstructure(state)
    assert again["work_packages"][0] == STATE["work_packages"][0]
    assert structure(again, MissionState) == state


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (
            ("work_packages", 1, "lane"),
            "doing",
            "data.work_packages[1].lane: expected one of planned, claimed",
        ),
        (
            ("work_packages", 1, "wp_id"),
            2,
            "data.work_packages[1].wp_id: expected a string, got a whole number",
        ),
        (("work_packages", 0, "dependencies"), "WP01", "data.work_packages[0].dependencies: expected a list"),
        (
            ("work_packages", 0, "dependencies"),
            [1],
            "data.work_packages[0].dependencies[0]: expected a string",
        ),
        (("work_packages", 0), "WP01", "data.work_packages[0]: expected a mapping, got a string ('WP01')"),
        (("work_packages",), None, "data.work_packages: expected a list, got null"),
        (("summary", "done"), True, "data.summary.done: expected a whole number, got true or false"),
        (("summary", "done"), "1", "data.summary.done: expected a whole number, got a string ('1')"),
        (("summary",), [], "data.summary: expected a mapping, got a list"),
        (("mission_slug",), None, "data.mission_slug: expected a string, got null"),
        (("mission_number",), 1.5, "data.mission_number: expected a whole number or a string"),
    ],
)
def test_what_has_another_type_is_refused_with_its_path(
    path: tuple[Any, ...], value: object, words: str
) -> None:
    broken = json.loads(json.dumps(STATE))
    holder = broken
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    with pytest.raises(ContractBreach) as caught:
        structure(broken, MissionState)
    assert words in str(caught.value)


def test_all_problems_of_a_reply_are_told_at_once() -> None:
    with pytest.raises(ContractBreach) as caught:
        structure({**ABOUT, "wp_id": 1, "from_lane": "x"}, StartReview)
    for place in ("data.wp_id: ", "data.from_lane: ", "data.to_lane: missing", "data.no_op: missing"):
        assert place in str(caught.value)


def test_unknown_keys_are_accepted_from_a_host_and_refused_in_a_closed_value() -> None:
    @frozen
    class Point:
        x: int
        y: int = 0

    assert read({"x": 1, "z": 2}, Point) == Point(1)
    with pytest.raises(Unreadable, match="z: unknown key"):
        read({"x": 1, "z": 2}, Point, closed=True)


@pytest.mark.parametrize("number", [None, 7, "007"])
def test_a_mission_may_have_a_number_or_not(number: object) -> None:
    assert structure({**STATE, "mission_number": number}, MissionState).mission_number == number


@pytest.mark.parametrize("lane", Lane)
def test_a_lane_is_settled_when_no_run_has_anything_to_do(lane: Lane) -> None:
    assert lane.is_settled is (lane.value in ("approved", "done", "blocked", "canceled"))
    assert lane.is_settled is (lane.is_accepted or lane.needs_a_person)


POLICY = {
    "orchestrator_id": "spec-kitty-orchestrator",
    "orchestrator_version": "1.0.0",
    "agent_family": "claude",
    "approval_mode": "full_auto",
    "sandbox_mode": "workspace_write",
    "network_mode": "open",
}


def test_a_policy_is_sent_with_its_eight_keys() -> None:
    sent = json.loads(PolicyMetadata(**POLICY, dangerous_flags=("--allow-all-tools",)).to_json())
    assert sent == {**POLICY, "dangerous_flags": ["--allow-all-tools"], "tool_restrictions": None}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"agent_family": ""}, "policy agent_family: expected some text"),
        ({"agent_family": None}, "policy agent_family: expected some text"),
        ({"agent_family": 7}, "policy agent_family: expected some text"),
        ({"agent_family": "monkey"}, "looks like a secret (it contains 'key')"),
        ({"tool_restrictions": "no Password prompts"}, "policy tool_restrictions: looks like a secret"),
        ({"dangerous_flags": ("--yolo",)}, "policy dangerous_flags[0]: the host does not allow --yolo"),
        ({"dangerous_flags": ("-a", "--api-token=1")}, "policy dangerous_flags[1]: looks like a secret"),
        ({"approval_mode": "auto"}, "'auto' is not one of full_auto, supervised, interactive"),
        ({"sandbox_mode": "full"}, "'full' is not one of none, workspace_write, read_only"),
        ({"network_mode": "on"}, "'on' is not one of open, allowlist, none"),
    ],
)
def test_a_policy_that_the_host_would_refuse_is_refused_before(change: dict[str, Any], words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        PolicyMetadata(**{**POLICY, **change})
    assert words in str(caught.value)


def test_what_looks_like_a_secret_is_not_shown() -> None:
    with pytest.raises(PolicyError) as caught:
        PolicyMetadata(**POLICY, dangerous_flags=("--api-token=abc123",))
    assert "abc123" not in str(caught.value)


def test_the_policy_has_the_names_that_users_import() -> None:
    from spec_kitty_orchestrator.policy import PolicyMetadata as by_module

    assert spec_kitty_orchestrator.PolicyMetadata is by_module is PolicyMetadata
