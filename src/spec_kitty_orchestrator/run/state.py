"""What is remembered between runs: one atomic file, `.kittify/orchestrator-run-state.json`. Never a lane.

Only the session changes the head of a `RunState`; for the records in it see `mission/records.py`.
"""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from attrs import define, evolve, field

from ..converter import ALWAYS_SENT, Unreadable, read, unstructure
from ..errors import StateFileError
from ..mission.costs import totals_of
from ..mission.records import MergeRecord, WpRecord
from ..mission.rules import Rest
from ..processes.identity import ProcessIdentity
from ..processes.launcher import FarJob
from ..report.times import utc_now
from ..report.totals import Totals
from ..settings.values import Flags
from .checkout import Checkout
from .ownership import keep_owner, owner_of

SCHEMA_VERSION = 2
FILE_NAME = "orchestrator-run-state.json"


class RunStatus(str, enum.Enum):
    """How the last run stands; `running` in a file whose process is gone means that it was killed."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"
    ABORTED = "aborted"
    STOPPED = "stopped"
    FINISHED = "finished"


@define
class RunState:
    """One run of one mission, as it is stored.

    Attributes:
        checkout: where it runs; None in a file of release 1.0.0.
        accepted: the host has accepted the mission: nothing is left to go on with.
        merge: the last merge of the mission that was begun, by this run or one before it.
        paused_since: when a person paused it; None while it is not paused.
        left: what nobody could end beside what the attempts left, each as "pid name".
        jobs: what earlier runs began elsewhere, and nobody has made sure that it has ended.
        resting: agents at their limit, and until when; it is their account's, whatever the mission.
        traceparent: the span of its last start that was traced, as the W3C writes it.
    """

    run_id: str
    mission: str
    actor: str
    started_at: str
    process: ProcessIdentity
    checkout: Checkout | None = None
    flags: Flags = field(factory=Flags)
    status: RunStatus = field(default=RunStatus.RUNNING, metadata=ALWAYS_SENT)
    accepted: bool = False
    merge: MergeRecord | None = None
    reason: str = ""
    updated_at: str = ""
    paused_since: str | None = None
    left: list[str] = field(factory=list)
    jobs: list[FarJob] = field(factory=list)
    resting: dict[str, Rest] = field(factory=dict)
    traceparent: str = ""
    work_packages: dict[str, WpRecord] = field(factory=dict)
    schema_version: Literal[2] = field(default=2, metadata=ALWAYS_SENT)

    def record(self, wp_id: str) -> WpRecord:
        """The record of a work package, made when there is none."""
        return self.work_packages.setdefault(wp_id, WpRecord())

    def far_jobs(self) -> list[FarJob]:
        """What ran elsewhere, and nobody has made sure that it has ended."""
        attempts = [attempt for record in self.work_packages.values() for attempt in record.attempts]
        return [*self.jobs, *(attempt.job for attempt in attempts if attempt.job is not None)]

    def settle_jobs(self, unsettled: Iterable[FarJob]) -> None:
        """All that ran elsewhere has ended there, save these."""
        for record in self.work_packages.values():
            for attempt in record.attempts:
                attempt.job = None
        self.jobs = list(unsettled)

    def known_left(self) -> list[str]:
        """What nobody could end of all that the run started, each as "pid name"; it may be gone by now."""
        attempts = [attempt for record in self.work_packages.values() for attempt in record.attempts]
        return [*self.left, *(name for attempt in attempts for name in attempt.left)]

    @property
    def totals(self) -> Totals:
        """What the run has cost until now, over all its starts."""
        return totals_of(self.work_packages)

    @property
    def is_resumable(self) -> bool:
        """Whether there is something to go on with."""
        return not self.accepted

    @property
    def is_unfinished(self) -> bool:
        """Whether something is left to do that nobody has given up."""
        return self.is_resumable and self.status is not RunStatus.ABORTED

    def belongs_to(self, repo_root: Path) -> bool:
        """Whether it ran in this very checkout, not in the one that this is a copy of."""
        return Checkout.of(repo_root).is_same(self.checkout)


class RunStore:
    """Reads and writes a state file; by default the last run's.

    What is written is the whole file, but only what changed is turned into JSON anew: the cost of a run
    stays linear in its work packages. A live run writes through a `StateWriter`.
    """

    def __init__(self, folder: Path, name: str = FILE_NAME) -> None:
        self.path = folder / name
        self._records: dict[str, str] = {}

    def load(self) -> RunState | None:
        """The stored run, or None when there is none.

        Raises:
            StateFileError: the file is damaged, unreadable, or of a newer version. It is never
                mistaken for "no run".
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except PermissionError as problem:
            owner = owner_of(self.path.parent)
            raise StateFileError(
                f"{self.path} may not be read: the run is of another user ({owner})",
                remedy=f"do this as {owner}",
            ) from problem
        except (OSError, UnicodeDecodeError) as problem:
            raise _damaged(self.path, str(problem)) from problem
        try:
            value: object = json.loads(text)
        except ValueError as problem:
            raise _damaged(self.path, str(problem)) from problem
        _refuse_newer(self.path, value)
        try:
            return read(_as_schema_2(value), RunState)
        except Unreadable as problem:
            raise _damaged(self.path, str(problem)) from problem

    def save(self, state: RunState, changed: str | None = None) -> None:
        """Stores a run atomically; `changed` names the one record that changed, if only one did.

        Raises:
            StateFileError: the file cannot be written; the one before is untouched.
        """
        self.write(self.render(state, state.work_packages if changed is None else (changed,)))

    def render(self, state: RunState, changed: Iterable[str]) -> str:
        """The file's text as things stand, with those records anew that changed since the last text."""
        state.updated_at = utc_now()
        for wp_id in changed:
            record = json.dumps(unstructure(state.work_packages[wp_id]))
            self._records[wp_id] = f"  {json.dumps(wp_id)}: {record}"
        head = json.dumps(unstructure(evolve(state, work_packages={})), indent=1).removesuffix("\n}")
        records = ",\n".join(self._records.values())
        return f'{head},\n "work_packages": {{\n{records}\n }}\n}}\n'

    def delete(self) -> None:
        """Removes the file, if there is one."""
        self.path.unlink(missing_ok=True)

    def write(self, text: str) -> None:
        """Puts a text in the file's place, atomically. Blocks for one fsync.

        Raises:
            StateFileError: the file cannot be written; the one before is untouched.
        """
        draft = self.path.with_suffix(".json.new")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                keep_owner(descriptor, self.path.parent)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self.path)
        except OSError as problem:
            raise StateFileError(
                f"cannot write {self.path}: {problem.strerror}",
                remedy="make .kittify writable (or free some space), then run again",
            ) from problem


def _refuse_newer(path: Path, value: object) -> None:
    version = value.get("schema_version") if isinstance(value, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise StateFileError(
            f"{path} is of a newer spec-kitty-orchestrator (schema {version}, known: {SCHEMA_VERSION})",
            remedy="upgrade spec-kitty-orchestrator; nothing was changed",
        )


def _as_schema_2(value: object) -> object:
    """Schema 1 (release 1.0.0) had one word, `ours`, for a claim and a review that are held.

    That a mission was accepted stood in the run's last words alone.
    """
    if not isinstance(value, dict) or value.get("schema_version") != 1:
        return value
    accepted = str(value.get("reason")).startswith(f"mission {value.get('mission')} accepted:")
    records = value.get("work_packages", {})
    if isinstance(records, dict):
        records = {wp_id: _record_as_schema_2(record) for wp_id, record in records.items()}
    return {**value, "schema_version": 2, "accepted": accepted, "work_packages": records}


def _record_as_schema_2(record: object) -> object:
    if not isinstance(record, dict) or "ours" not in record:
        return record
    others = {key: each for key, each in record.items() if key != "ours"}
    return {**others, "holds_claim": record["ours"], "holds_review": record["ours"]}


def _damaged(path: Path, what: str) -> StateFileError:
    return StateFileError(
        f"{path} is damaged: {what}",
        remedy="mend it, or move it away and start a new run; nothing was changed",
    )
