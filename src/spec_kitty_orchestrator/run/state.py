"""What is remembered between runs: one atomic file, `.kittify/orchestrator-run-state.json`. Never a lane.

The other of the two places with mutable state (see `roster.py`): the mission changes the head of a
`RunState`, the task of a work package changes that work package's record, and nobody else does.
"""

from __future__ import annotations

import enum
import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from attrs import define, evolve, field

from ..agents.spec import Role
from ..agents.transcript import Usage
from ..converter import ALWAYS_SENT, Unreadable, read, unstructure
from ..errors import StateFileError
from ..mission.rules import LIES_IN_THE_AGENT, Tally
from ..processes.identity import ProcessIdentity
from ..settings.values import Flags

SCHEMA_VERSION = 1
SUCCEEDED, INTERRUPTED = "succeeded", "interrupted"
FILE_NAME = "orchestrator-run-state.json"


class RunStatus(str, enum.Enum):
    """How the last run stands; `running` in a file whose process is gone means that it was killed."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"
    ABORTED = "aborted"
    STOPPED = "stopped"
    FINISHED = "finished"

    @property
    def is_resumable(self) -> bool:
        """Whether `resume` has something to go on with."""
        return self is not RunStatus.FINISHED

    @property
    def is_unfinished(self) -> bool:
        """Whether forgetting the run would lose something that nobody has given up."""
        return self in (RunStatus.RUNNING, RunStatus.INTERRUPTED, RunStatus.STOPPED)


@define
class AttemptRecord:
    """One attempt of one agent. `outcome` is None while it runs; paths are relative to the repository."""

    role: Role
    agent: str
    number: int
    log: str
    started_at: str
    keeper: ProcessIdentity | None = None
    outcome: str | None = None
    message: str = ""
    seconds: float | None = None
    swept: tuple[str, ...] = ()
    usage: Usage = field(factory=Usage)

    @property
    def failed(self) -> bool:
        """It ended, and what it was made for was not reached."""
        return self.outcome not in (None, SUCCEEDED, INTERRUPTED)


@define
class WpRecord:
    """What is remembered of one work package.

    Attributes:
        ours: this run holds the claim (or the review) at the host.
        implementer: the agent that handed the work over last.
        rejections: how often a reviewer asked for changes.
        feedback: what the last reviewer asked to change, until that is handed over.
        refusal: why the host would not take the work for review, until it does.
        tallies: failures by role and agent since that role was last brought to an end.
    """

    ours: bool = False
    implementer: str | None = None
    rejections: int = 0
    feedback: str | None = None
    refusal: str | None = None
    last_error: str | None = None
    tallies: dict[Role, dict[str, Tally]] = field(factory=dict)
    attempts: list[AttemptRecord] = field(factory=list)

    def tally(self, role: Role, agent: str) -> Tally:
        """This agent's failures in this role."""
        return self.tallies.get(role, {}).get(agent, Tally())

    def set_tally(self, role: Role, agent: str, tally: Tally) -> None:
        """Records this agent's failures in this role."""
        self.tallies.setdefault(role, {})[agent] = tally

    def forgive(self) -> None:
        """A run that goes on asks those again who were given up for reasons of their own."""
        for tallies in self.tallies.values():
            for agent in [agent for agent, tally in tallies.items() if tally.given_up in LIES_IN_THE_AGENT]:
                del tallies[agent]

    def for_a_new_run(self) -> WpRecord:
        """What a new run of the same mission keeps: whose it is and what the implementer must still heed."""
        return WpRecord(self.ours, self.implementer, feedback=self.feedback, refusal=self.refusal)

    def next_number(self, role: Role) -> int:
        """The number of the next attempt in a role, from 1, never used twice."""
        return 1 + max((attempt.number for attempt in self.attempts if attempt.role is role), default=0)


@define
class RunState:
    """One run of one mission, as it is stored."""

    run_id: str
    mission: str
    actor: str
    started_at: str
    process: ProcessIdentity
    flags: Flags = field(factory=Flags)
    status: RunStatus = field(default=RunStatus.RUNNING, metadata=ALWAYS_SENT)
    reason: str = ""
    updated_at: str = ""
    work_packages: dict[str, WpRecord] = field(factory=dict)
    schema_version: Literal[1] = field(default=1, metadata=ALWAYS_SENT)

    def record(self, wp_id: str) -> WpRecord:
        """The record of a work package, made when there is none."""
        return self.work_packages.setdefault(wp_id, WpRecord())


class RunStore:
    """Reads and writes the state file.

    A save writes the whole file, but turns only what changed into JSON anew: the cost of a run stays
    linear in its work packages. It blocks for one fsync on purpose: what a run does next is only
    recoverable once this is on the disk.
    """

    def __init__(self, kittify_dir: Path) -> None:
        self.path = kittify_dir / FILE_NAME
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
        except (OSError, UnicodeDecodeError) as problem:
            raise _damaged(self.path, str(problem)) from problem
        try:
            value: object = json.loads(text)
        except ValueError as problem:
            raise _damaged(self.path, str(problem)) from problem
        _refuse_newer(self.path, value)
        try:
            return read(value, RunState)
        except Unreadable as problem:
            raise _damaged(self.path, str(problem)) from problem

    def save(self, state: RunState, changed: str | None = None) -> None:
        """Stores a run atomically; `changed` names the one record that changed, if only one did.

        Raises:
            StateFileError: the file cannot be written; the one before is untouched.
        """
        state.updated_at = utc_now()
        for wp_id in state.work_packages if changed is None else (changed,):
            record = json.dumps(unstructure(state.work_packages[wp_id]))
            self._records[wp_id] = f"  {json.dumps(wp_id)}: {record}"
        head = json.dumps(unstructure(evolve(state, work_packages={})), indent=1).removesuffix("\n}")
        records = ",\n".join(self._records.values())
        self._replace(f'{head},\n "work_packages": {{\n{records}\n }}\n}}\n')

    def delete(self) -> None:
        """Removes the file, if there is one."""
        self.path.unlink(missing_ok=True)

    def _replace(self, text: str) -> None:
        draft = self.path.with_suffix(".json.new")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self.path)
        except OSError as problem:
            raise StateFileError(
                f"cannot write {self.path}: {problem.strerror}",
                remedy="make .kittify writable (or free some space), then run again",
            ) from problem


def utc_now() -> str:
    """The time of day, ISO 8601 in UTC, to the millisecond."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def _refuse_newer(path: Path, value: object) -> None:
    version = value.get("schema_version") if isinstance(value, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise StateFileError(
            f"{path} is of a newer spec-kitty-orchestrator (schema {version}, known: {SCHEMA_VERSION})",
            remedy="upgrade spec-kitty-orchestrator; nothing was changed",
        )


def _damaged(path: Path, what: str) -> StateFileError:
    return StateFileError(
        f"{path} is damaged: {what}",
        remedy="mend it, or move it away and start a new run; nothing was changed",
    )
