"""What a host's reply breaks of the contract, in words for its maintainers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from attrs import frozen

from spec_kitty_orchestrator.converter import Problem, Unreadable, read, unstructure
from spec_kitty_orchestrator.errors import HostError
from spec_kitty_orchestrator.host.client import check_contract
from spec_kitty_orchestrator.host.contract.envelope import (
    COMMAND_PREFIX,
    ContractBreach,
    Envelope,
    HostGarbled,
    Reply,
    read_reply,
)
from spec_kitty_orchestrator.host.contract.payloads import payload_class
from spec_kitty_orchestrator.host.errors import Completed

from .canon import CONTEXT, OPTIONAL, leaves, load, since
from .case import Case

SHAPE, TYPES, EXIT_STATUS, ERRORS = COLUMNS = ("shape", "types", "exit status", "errors")
_NO_VALUE = object()


@frozen
class Breach:
    """One thing that would break orchestrators: the command, the report's column, and the words."""

    command: str
    column: str
    text: str

    def __str__(self) -> str:
        return f"{self.command}: {self.text}"


def audit(case: Case, said: Completed) -> list[Breach]:
    """Everything that is wrong with this reply to this case."""
    try:
        reply = read_reply(said.stdout)
    except ContractBreach as exc:
        unreadable = cast("Unreadable", exc.__cause__)
        return [_breach_of(case, problem, "") for problem in unreadable.problems]
    except HostGarbled as exc:
        return [Breach(case.command, SHAPE, f"{exc.message} (exit status {said.returncode}{_stderr(said)})")]
    found = [*_framing(case, reply), *_exit(case, reply.envelope, said.returncode)]
    found += [*_outcome(case, reply.envelope), *_data(case, reply.envelope)]
    return [Breach(case.command, column, text) for column, text in dict.fromkeys(found)]


def additions(case: Case, said: Completed) -> list[str]:
    """Keys of the data that the contract does not know; not a breach, it grows."""
    envelope = envelope_of(said)
    if envelope is None or (case.error is None) != envelope.success:
        return []
    try:
        known = unstructure(read(envelope.data, payload_class(case.command, case.error)))
    except Unreadable:
        return []
    known_paths = {path for path, _ in leaves(known)} | {path for path, _ in leaves(load(case.shape)["data"])}
    return [
        f"{case.command}: data.{path}"
        for path, value in leaves(envelope.data)
        if value is not None and path not in known_paths | CONTEXT
    ]


def envelope_of(said: Completed) -> Envelope | None:
    """The reply's envelope, if it has one that can be read."""
    try:
        return read_reply(said.stdout).envelope
    except HostGarbled:
        return None


Found = tuple[str, str]


def _framing(case: Case, reply: Reply) -> list[Found]:
    found = []
    if reply.after:
        found.append(
            (SHAPE, f"prints {reply.after[0]!r:.80} after the envelope, which has to be the last line")
        )
    command = "unknown" if case.error == "USAGE_ERROR" else case.command
    if reply.envelope.command != COMMAND_PREFIX + command:
        found.append(
            (SHAPE, f"command: expected '{COMMAND_PREFIX + command}', got {reply.envelope.command!r}")
        )
    if not _is_time(reply.envelope.timestamp):
        found.append((TYPES, f"timestamp: {reply.envelope.timestamp!r} is not an ISO 8601 time"))
    return found


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return False
    return True


def _exit(case: Case, envelope: Envelope, returncode: int) -> list[Found]:
    if envelope.success != (returncode == 0):
        said = "true" if envelope.success else "false"
        return [(EXIT_STATUS, f"exit status {returncode} with success: {said}{_which(case)}")]
    if envelope.error_code == case.error and returncode != case.exit_status:
        return [(EXIT_STATUS, f"exit status {returncode}, expected {case.exit_status}{_which(case)}")]
    return []


def _which(case: Case) -> str:
    return f" ({case.error}: {case.why})" if case.error else ""


def _outcome(case: Case, envelope: Envelope) -> list[Found]:
    if case.error is None and not envelope.success:
        message = envelope.data.get("message", "")
        return [(ERRORS, f"refused with {envelope.error_code} in the case {case.name}: {message}")]
    if case.error is not None and envelope.success:
        return [(ERRORS, f"accepts {case.why}; it has to be refused with {case.error}")]
    if envelope.error_code != case.error:
        return [(ERRORS, f"error_code: expected {case.error} for {case.why}, got {envelope.error_code}")]
    return [*_version(case, envelope), *_expected(case, envelope)]


def _version(case: Case, envelope: Envelope) -> list[Found]:
    if case.name != "contract_version_success":
        return []
    try:
        check_contract(str(envelope.data.get("api_version")))
    except HostError as exc:
        return [(ERRORS, f"data.api_version: {exc.message}")]
    return []


def _expected(case: Case, envelope: Envelope) -> list[Found]:
    found = []
    for path, value in case.expected.items():
        got = _value_at(envelope.data, path.split("."))
        if got is not _NO_VALUE and got != value:
            because = f" ({case.why})" if case.why else f" in the case {case.name}"
            found.append((ERRORS, f"data.{path}: expected {value!r}, got {got!r}{because}"))
    return found


def _value_at(value: Any, steps: list[str]) -> Any:
    """The value at a dotted path, where `*` is each item of a list; _NO_VALUE if the path leads nowhere."""
    for index, step in enumerate(steps):
        if step == "*" and isinstance(value, list):
            items = [_value_at(item, steps[index + 1 :]) for item in value]
            return _NO_VALUE if _NO_VALUE in items else items
        if not isinstance(value, dict) or step not in value:
            return _NO_VALUE
        value = value[step]
    return value


def _data(case: Case, envelope: Envelope) -> list[Found]:
    """Against the class that reads it, and against the fixture, which has more than the class insists on."""
    if envelope.error_code != case.error:
        return []
    try:
        read(envelope.data, payload_class(case.command, case.error))
        problems: tuple[Problem, ...] = ()
    except Unreadable as exc:
        problems = exc.problems
    by_class = [_breach_of(case, problem, "data") for problem in problems]
    named = {breach.text.partition(":")[0] for breach in by_class}
    return [(breach.column, breach.text) for breach in by_class] + [
        found for found in _against_fixture(case, envelope) if found[1].partition(":")[0] not in named
    ]


def _against_fixture(case: Case, envelope: Envelope) -> list[Found]:
    live = {"data": envelope.data, **dict(leaves(envelope.data, "data"))}
    found = []
    for path, value in leaves(load(case.shape)["data"], "data"):
        parent = path.rpartition(".")[0].removesuffix("[0]")
        if path.rpartition(".")[2] in OPTIONAL or live.get(parent) in (None, []):
            continue  # nothing is asked of it, or there is nothing that it could be in
        if path not in live:
            found.append((SHAPE, f"{path}: missing (required since contract {since(case.command, path)})"))
        elif isinstance(value, str) and not isinstance(live[path], str):
            found.append((TYPES, f"{path}: expected a string, got {live[path]!r}"))
    return found


def _breach_of(case: Case, problem: Problem, root: str) -> Breach:
    text = problem.at(root)
    if problem.message != "missing":
        return Breach(case.command, TYPES, text)
    path = text.partition(":")[0]
    return Breach(case.command, SHAPE, f"{text} (required since contract {since(case.command, path)})")


def _stderr(said: Completed) -> str:
    lines = said.stderr.decode("utf-8", "replace").split("\n")
    words = [line.strip() for line in lines if line.strip()]
    return f"; stderr ends with {words[-1][:200]!r}" if words else ""
