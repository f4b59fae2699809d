"""The attempts at a work package as they come: which is next, when it has ended, when there is no more."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from attrs import define, field

from ..agents.custom import known_agents
from ..agents.names import agent_of
from ..agents.spec import Output, OutputFormat
from ..report.wp_story import AttemptStory
from .growing import LOOK_SECONDS, pieces
from .overview import custom_agents
from .recorded import RecordedRun

ALIVE_SECONDS = 1.0
"""Between two looks at whether a run's process is alive; its events tell all else."""


@define
class Following:
    """The attempts at a work package that are asked for.

    Attributes:
        number: of the one attempt that is meant; None: the last one.
        goes_on: their logs are followed as they grow, and without a number the attempts after them too.
    """

    run: RecordedRun
    wp_id: str
    role: str | None = None
    number: int | None = None
    goes_on: bool = False
    _asked_at: float = field(default=float("-inf"), init=False)
    _is_alive: bool = field(default=False, init=False)

    def attempts(self) -> Iterator[AttemptStory]:
        """The one that is meant, and those after it until the run or the work package is through.

        Raises UsageError when there is none, and none can come.
        """
        wp, waits = self.run.work_package(self.wp_id), self.goes_on and self.number is None
        shown, is_alive = 0, self.is_alive()
        if not (waits and is_alive) or any(map(self._fits, wp.attempts)):
            first = self.run.attempt(self.wp_id, self.role, self.number)
            shown = 1 + next(at for at, each in enumerate(wp.attempts) if each is first)
            yield first
        while waits:
            coming = (at for at in range(shown, len(wp.attempts)) if self._fits(wp.attempts[at]))
            if (at := next(coming, None)) is not None:
                shown = at + 1
                yield wp.attempts[at]
            elif not is_alive or wp.is_settled or wp.left:
                return
            else:
                time.sleep(LOOK_SECONDS)
            is_alive = self.is_alive()
            self.run.look()

    def log(self, attempt: AttemptStory) -> Path:
        """Where its log is now, wherever the project was then."""
        return self.run.folder / Path(attempt.log).name

    def pieces(self, attempt: AttemptStory) -> Iterator[bytes]:
        """What is in its log, and with `goes_on` what comes until it ends; empty ones before each wait."""
        return pieces(self.log(attempt), lambda: not self.goes_on or self._has_ended(attempt))

    def is_alive(self) -> bool:
        """Whether the run is, as of a second ago at most."""
        if time.monotonic() - self._asked_at >= ALIVE_SECONDS:
            self._asked_at, self._is_alive = time.monotonic(), self.run.is_alive()
        return self._is_alive

    def _has_ended(self, attempt: AttemptStory) -> bool:
        is_alive = self.is_alive()
        self.run.look()
        return attempt.ended is not None or not is_alive

    def _fits(self, attempt: AttemptStory) -> bool:
        return self.role in (None, attempt.role)


def output_of(root: Path, agent: str) -> Output:
    """How an agent's output is read; as plain text, if nobody knows the agent any more."""
    spec = known_agents(custom_agents(root, os.environ)).get(agent_of(agent))
    return Output(OutputFormat.TEXT) if spec is None else spec.output
