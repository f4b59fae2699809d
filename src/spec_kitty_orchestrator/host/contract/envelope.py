"""From the host's standard output to its envelope: one JSON line, the last one; all else is noise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import fields, frozen

from ...converter import Unreadable, read
from ...errors import HostError

T = TypeVar("T")

COMMAND_PREFIX = "orchestrator-api."


class HostGarbled(HostError):
    """The host answered with something that is no reply, or not the reply that the contract promises."""


class ContractBreach(HostGarbled):
    """A reply lacks something that the contract requires, or holds it with another type."""


@frozen
class Envelope:
    """What every reply is wrapped in. `data` is read further by the class of its command."""

    contract_version: str
    command: str
    timestamp: str
    correlation_id: str
    success: bool
    error_code: str | None
    data: Mapping[str, Any]


ENVELOPE_KEYS = tuple(field.name for field in fields(Envelope))


@frozen
class Reply:
    """Standard output taken apart: `before` and `after` are the lines around the envelope's own."""

    envelope: Envelope
    before: tuple[str, ...]
    after: tuple[str, ...]


def read_reply(stdout: bytes) -> Reply:
    """Finds the last line that is an envelope.

    The contract says that it is the very last line. A host that prints more after it breaks the contract
    (the conformance suite says so), but its reply is whole: a run that has it need not lose it.

    Raises:
        HostGarbled: no line is a JSON object with an envelope's marks.
        ContractBreach: one is, but a key of the envelope is missing or of another type.
    """
    lines = [line for line in stdout.decode("utf-8", "replace").splitlines() if line.strip()]
    for index in range(len(lines) - 1, -1, -1):
        value = _envelope_like(lines[index])
        if value is not None:
            envelope = structure(value, Envelope, at="")
            return Reply(envelope, tuple(lines[:index]), tuple(lines[index + 1 :]))
    raise HostGarbled(_what_came_instead(lines))


def structure(value: object, cls: type[T], at: str = "data") -> T:
    """The value as an instance of `cls`, for replies of the host: unknown keys are accepted.

    Raises:
        ContractBreach: the message names each place, `data.work_packages[2].lane: ...`.
    """
    try:
        return read(value, cls)
    except Unreadable as exc:
        raise ContractBreach(
            "; ".join(problem.at(at) for problem in exc.problems),
            remedy="the host and this program do not speak the same contract: upgrade both",
        ) from exc


def _envelope_like(line: str) -> dict[str, Any] | None:
    """The JSON object on this line, if at least half of an envelope's keys are there."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_like = isinstance(value, dict) and len(value.keys() & set(ENVELOPE_KEYS)) * 2 > len(ENVELOPE_KEYS)
    return value if is_like else None


def _what_came_instead(lines: list[str]) -> str:
    if not lines:
        return "the host printed nothing where its reply should be"
    return f"the host printed no reply; its last line is {lines[-1][:200]!r}"
