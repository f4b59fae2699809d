"""Tells people outside: runs commands of theirs when something needs a person, and when the run has ended."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import trio
from attrs import define, field, frozen

from ..converter import ALWAYS_SENT, unstructure
from ..errors import OrchestratorError
from ..mission.checks import CommandLine, Tail, how_it_failed, new_log
from ..mission.context import RunContext
from ..processes.agent_process import Limits
from ..processes.attempt_log import LogNotWritten
from ..processes.bounds import NOTICE_AT_STOP_SECONDS, NOTICE_GRACE_SECONDS, NOTICE_SECONDS
from ..processes.keeper import Command
from ..processes.orphans import RUN_MARKER
from ..report.events import Event, LaneChanged, Notice, RunEnded, RunStarted, WpLeft
from ..report.run_events import AgentDropped, AgentsNeedAPerson, BudgetUsedUp, WaitingForPeople
from ..report.totals import Totals
from .stopping import StopControl


@frozen
class Matter:
    """One thing that needs a person; `kind` is work_package, agents, budget or people."""

    kind: str
    text: str
    wp_id: str | None = None


@frozen
class Summary:
    """What a command is given on stdin, as one JSON object.

    Attributes:
        event: attention, or finish.
        text: all of it for a person, in a few lines.
        matters: for attention: what needs a person.
        status, exit_code, totals: for finish: see `RunEnded`; `report`: its page, if it is there.
        work_packages: each one's lane, as far as the run knows.
    """

    event: str
    text: str
    run_id: str
    mission: str
    repository: str
    work_packages: Mapping[str, str]
    matters: tuple[Matter, ...] = ()
    status: str | None = None
    exit_code: int | None = None
    totals: Totals | None = None
    report: str | None = None
    schema_version: Literal[1] = field(default=1, metadata=ALWAYS_SENT)


@define(eq=False)
class Notices:
    """A listener to events that has the commands run. What becomes of them changes nothing in the run.

    Attributes:
        stop: cuts what it does short.
    """

    run: RunContext
    stop: StopControl
    _mission: str = ""
    _lanes: dict[str, str] = field(factory=dict)
    _matters: list[Matter] = field(factory=list)
    _arrived: trio.Event = field(factory=trio.Event)
    _ended: RunEnded | None = None
    _say: Callable[[str], None] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._say = lambda line: self.run.events.emit(Notice(line))

    def __call__(self, event: Event) -> None:
        """Takes in what happened."""
        if isinstance(event, RunStarted):
            self._mission, self._lanes = event.mission, dict(event.lanes)
        elif isinstance(event, LaneChanged):
            self._lanes[event.wp_id] = event.lane
        elif isinstance(event, RunEnded):
            self._ended = event
        if self.run.settings.on_attention and (matter := self._matter_in(event)) is not None:
            self._matters.append(matter)
            self._arrived.set()

    def _matter_in(self, event: Event) -> Matter | None:
        if isinstance(event, WpLeft):
            if self.run.budget.is_spent and event.reason == self.run.budget.reason:
                return None  # which was told itself
            text = f"{event.wp_id} {self._lanes.get(event.wp_id, '')}: {event.reason}"
            return Matter("work_package", text, event.wp_id)
        kinds: Mapping[type[Event], str] = {
            BudgetUsedUp: "budget",
            AgentsNeedAPerson: "agents",
            AgentDropped: "agents",
            WaitingForPeople: "people",
        }
        kind = kinds.get(type(event))
        return None if kind is None else Matter(kind, event.line)

    async def keep(self) -> None:
        """Tells what needs a person, until cancelled; what is being told then is still told."""
        while True:
            await self._arrived.wait()
            self._arrived = trio.Event()
            await self._tell_matters()

    async def finish(self, page: Path | None, say: Callable[[str], None]) -> None:
        """Tells what is left to tell, and that the run has ended. Bounded, and not to be cancelled.

        Args:
            page: the run's, if there is one.
            say: is told what went wrong, as the events are closed by now.
        """
        ended, self._say = self._ended, say
        if ended is None:
            return
        if not self.stop.stopping.is_set():
            await self._tell_matters()
        commands = self.run.settings.on_finish
        summary = self._summary(
            "finish",
            ended.line,
            status=ended.status,
            exit_code=ended.exit_code,
            totals=ended.totals,
            report=None if page is None else str(page),
        )
        await self._run_all("on_finish", commands, summary, NOTICE_AT_STOP_SECONDS - NOTICE_GRACE_SECONDS)

    async def _tell_matters(self) -> None:
        matters, self._matters = tuple(self._matters), []
        if matters:
            text = "\n".join(matter.text for matter in matters)
            summary = self._summary("attention", text, matters=matters)
            await self._run_all("on_attention", self.run.settings.on_attention, summary, 0.0)

    def _summary(self, event: str, text: str, **more: object) -> Summary:
        run, root = self.run, str(self.run.repo_root)
        return Summary(event, text, run.run_id, self._mission, root, dict(self._lanes), **more)  # type: ignore[arg-type]

    async def _run_all(
        self, name: str, commands: Sequence[CommandLine], summary: Summary, seconds_at_stop: float
    ) -> None:
        if not commands:
            return
        with trio.CancelScope(shield=True) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._hurry, scope, seconds_at_stop)
                for command in commands:
                    await self._run(name, command, summary)
                nursery.cancel_scope.cancel()
        if scope.cancelled_caught:
            self._warn(name, commands, "cut short, as the run was told to stop")

    async def _hurry(self, scope: trio.CancelScope, seconds: float) -> None:
        await self.stop.stopping.wait()
        scope.deadline = trio.current_time() + seconds

    async def _run(self, name: str, command: CommandLine, summary: Summary) -> None:
        run, said = self.run, Tail()
        try:
            log = new_log(run, name)
            given = log.with_suffix(".json")
            await trio.to_thread.run_sync(_write, given, json.dumps(unstructure(summary)) + "\n")
            spec = Command(
                command,
                run.repo_root,
                {**run.agents.environ, RUN_MARKER: run.run_id},
                stdin=given,
                grace=NOTICE_GRACE_SECONDS,
                kill_now=run.agents.kill_now,
                on_end=lambda ending: run.note_left(f"{name} `{shlex.join(command)}`", ending.left),
            )
            limits = Limits(NOTICE_SECONDS, max_log_mib=run.settings.max_log_mb)
            ending = await run.agents.start(spec, log, limits, said, lambda _: None)
        except (OrchestratorError, OSError) as problem:
            self._warn(name, [command], str(problem))
        else:
            if how := how_it_failed(ending):
                self._warn(name, [command], f"{how}: {' '.join(said.text.split())}")

    def _warn(self, name: str, commands: Iterable[CommandLine], why: str) -> None:
        told = "; ".join(map(shlex.join, commands))
        self._say(f"WARNING: {name} `{told}`: {why}")


def _write(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as problem:
        raise LogNotWritten(f"cannot write {path}: {problem.strerror}") from problem
