"""What is wrong with a fixture: as JSON, in the eyes of the contract layer, or against a host's reply."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import asdict

from spec_kitty_orchestrator.converter import Unreadable, read, unstructure
from spec_kitty_orchestrator.host.contract.envelope import COMMAND_PREFIX, Envelope
from spec_kitty_orchestrator.host.contract.payloads import payload_class

from .audit import envelope_of
from .canon import VOLATILE, in_fixture_terms, without
from .cases import CASES
from .recording import Recording

COMMAND_OF = {case.name: case.command for case in CASES}


def replayed(recording: Recording, name: str) -> dict[str, Any]:
    """The live reply to the case of this name, as its fixture would have it."""
    envelope = envelope_of(recording.said[name])
    assert envelope is not None
    there: dict[str, Any] = in_fixture_terms(asdict(envelope), str(recording.root), recording.mission)
    return there


def problems_of(name: str, text: str, live: Mapping[str, Any]) -> list[str]:
    """All problems of a fixture's text; `live` is what a host really replied to its case."""
    try:
        value = json.loads(text)
        envelope = read(value, Envelope)
        data = read(envelope.data, payload_class(COMMAND_OF[name], envelope.error_code))
    except (ValueError, Unreadable) as exc:
        return [f"{name}: {exc}"]
    found = []
    if {**unstructure(envelope), "data": unstructure(data)} != value:
        found.append(f"{name}: the contract layer does not give back what it read")
    if envelope.command not in (COMMAND_PREFIX + COMMAND_OF[name], COMMAND_PREFIX + "unknown"):
        found.append(f"{name}: the reply of another command, {envelope.command}")
    if without(value, VOLATILE) != without(dict(live), VOLATILE):
        found.append(f"{name}: the host's reply is another one: {json.dumps(live)}")
    return found
