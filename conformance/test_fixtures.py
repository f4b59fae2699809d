"""The provider side: the fixtures, the contract layer that reads them, and the fake host say the same."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from spec_kitty_orchestrator.host.contract.envelope import ContractBreach
from spec_kitty_orchestrator.host.contract.payloads import payload_class
from spec_kitty_orchestrator.host.errors import REFUSED, Completed, HostRefused, answer

from .audit import audit
from .canon import CANONICAL, EXTENDED, FIXTURES, FOLDER, OPTIONAL, fixture_path, leaves, load
from .case import Case
from .cases import CASES
from .fixture_checks import COMMAND_OF, problems_of, replayed
from .recording import Recording

NOT_INSISTED_ON = {
    "refusal: data.message": "a refusal without words is still a refusal",
    "refusal: data.min_supported_provider_version": "not sent when our own version cannot be read",
    "refusal: data.api_version": "the same",
    "success: data.lane_id": "a work package without a lane has none",
    "success: data.lane_branch": "the same",
    "success: data.lane_base_ref": "the same",
    "success: data.work_packages[0].last_actor": "null on today's hosts",
}
"""What a reply may lack and still be read; the host side asks for all of it but `last_actor`."""

CASE_OF = {case.name: case for case in CASES}


def reply(name: str, envelope: dict[str, Any]) -> Completed:
    status = 0 if envelope.get("success") is True else CASE_OF[name].exit_status or 1
    return Completed(status, json.dumps(envelope).encode() + b"\n", b"")


def read_reply(name: str, envelope: dict[str, Any]) -> Any:
    """What HostClient makes of it: the data, or the typed error."""
    command = COMMAND_OF[name]
    return answer(command, reply(name, envelope), payload_class(command, None))


EVERY_KEY = pytest.mark.parametrize(
    ("name", "path"),
    [pytest.param(name, path, id=f"{name}-{path}") for name in FIXTURES for path, _ in leaves(load(name))],
)


def holder_of(envelope: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """The mapping that holds the last step of a path such as `data.work_packages[0].lane`, and that step."""
    *steps, last = path.replace("[0]", ".0").split(".")
    value: Any = envelope
    for step in steps:
        value = value[0] if step == "0" else value[step]
    return value, last


def of_another_type(value: Any) -> Any:
    return {str: 7, int: "7", bool: "yes", list: "x", dict: "x", type(None): []}[type(value)]


def test_the_fixtures_are_the_canonical_ones() -> None:
    found = {path.stem for path in FOLDER.glob("*.json")}
    assert found == set(CANONICAL)
    assert len(CANONICAL) == 13
    assert {path.stem for path in (FOLDER / "extended").glob("*.json")} == set(EXTENDED)


@pytest.mark.parametrize("name", FIXTURES)
def test_a_fixture_is_whole_and_what_a_host_replies(name: str, fake_recording: Recording) -> None:
    text = fixture_path(name).read_text(encoding="utf-8")
    assert problems_of(name, text, replayed(fake_recording, name)) == []


@pytest.mark.parametrize("name", FIXTURES)
def test_no_line_of_a_fixture_can_go_unnoticed(name: str, fake_recording: Recording) -> None:
    lines = fixture_path(name).read_text(encoding="utf-8").splitlines(keepends=True)
    live = replayed(fake_recording, name)
    unnoticed = [
        line
        for index, line in enumerate(lines)
        if not problems_of(name, "".join(lines[:index] + lines[index + 1 :]), live)
    ]
    assert unnoticed == []


@pytest.mark.parametrize("name", FIXTURES)
def test_a_fixture_is_read_as_success_or_as_its_typed_error(name: str) -> None:
    envelope = load(name)
    if envelope["success"]:
        assert isinstance(read_reply(name, envelope), payload_class(COMMAND_OF[name], None))
        return
    with pytest.raises(REFUSED[envelope["error_code"]]) as caught:
        read_reply(name, envelope)
    assert (caught.value.code, caught.value.host_message) == (
        envelope["error_code"],
        envelope["data"]["message"],
    )


@EVERY_KEY
def test_a_key_that_is_missing_is_refused_with_its_path(name: str, path: str) -> None:
    envelope = load(name)
    holder, key = holder_of(envelope, path)
    del holder[key]
    if f"{'success' if envelope.get('success') else 'refusal'}: {path}" in NOT_INSISTED_ON:
        read_or_refuse(name, envelope)
        return
    with pytest.raises(ContractBreach, match=rf"(^|; ){path_pattern(path)}: missing"):
        read_reply(name, envelope)


@EVERY_KEY
def test_a_value_of_another_type_is_refused_with_its_path(name: str, path: str) -> None:
    envelope = load(name)
    holder, key = holder_of(envelope, path)
    holder[key] = of_another_type(holder[key])
    with pytest.raises(ContractBreach, match=rf"(^|; ){path_pattern(path)}: expected "):
        read_reply(name, envelope)


@pytest.mark.parametrize("name", FIXTURES)
def test_unknown_keys_are_accepted_everywhere(name: str) -> None:
    known, grown = load(name), copy.deepcopy(load(name))
    for mapping in list(mappings(grown)):
        mapping["brand_new"] = {"of": ["any", "shape"]}
    assert read_or_refuse(name, grown) == read_or_refuse(name, known)


@EVERY_KEY
def test_the_host_side_asks_for_every_key(name: str, path: str) -> None:
    """Also for those that the contract layer can do without, but for the optional ones."""
    case: Case = CASE_OF[name]
    envelope = load(name)
    assert audit(case, reply(name, envelope)) == []
    holder, key = holder_of(envelope, path)
    del holder[key]
    named = [breach.text for breach in audit(case, reply(name, envelope)) if path in breach.text]
    assert bool(named) is (key not in OPTIONAL)


def path_pattern(path: str) -> str:
    return path.replace(".", r"\.").replace("[", r"\[").replace("]", r"\]")


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from mappings(item)


def read_or_refuse(name: str, envelope: dict[str, Any]) -> object:
    """What was read, in a form that can be compared; fails on anything but data and typed refusals."""
    try:
        return read_reply(name, envelope)
    except HostRefused as exc:
        return exc.code, exc.data
