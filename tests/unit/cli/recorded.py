"""A project with recorded runs, written as a run writes them, and `logs` on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from attrs import frozen
from click.testing import CliRunner, Result

from spec_kitty_orchestrator.cli.main import main
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.report.events import AttemptEnded, AttemptStarted, Event, RunStarted
from spec_kitty_orchestrator.report.stream import Records
from spec_kitty_orchestrator.run.state import RunState, RunStore

MISSION = "shop-01ABCDEF"
LANES = {"WP01": "planned", "WP02": "planned"}


@frozen
class Project:
    """A folder that is a project, and what is recorded in it."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> Project:
        for folder in (".git", ".kittify"):
            (root / folder).mkdir()
        return cls(root)

    def record(self, run_id: str, *events: Event, mission: str = MISSION) -> Path:
        """Adds to a run's events; with the run's start, if it is new. Returns its folder."""
        folder = self.root / ".kittify" / "logs" / run_id
        is_new = not folder.exists()
        lines = Records(folder / "events.jsonl", lambda _: None)
        for event in [RunStarted(run_id, mission, "me", LANES, False), *events] if is_new else events:
            lines(event)
        lines.close()
        return folder

    def attempt(self, number: int = 1, role: str = "implementation", **changes: str) -> AttemptStarted:
        name = f"{changes.get('wp_id', 'WP01')}-{role}-{number}.log"
        given = {"wp_id": "WP01", "agent": "claude-code", "log": f".kittify/logs/RUN/{name}", **changes}
        return AttemptStarted(role=role, number=number, **given)

    def ended(
        self, number: int = 1, role: str = "implementation", outcome: str = "succeeded"
    ) -> AttemptEnded:
        return AttemptEnded("WP01", role, "claude-code", number, outcome, "", 1.5)

    def is_at_work(self, run_id: str, process: ProcessIdentity | None = None) -> None:
        """Stores that this is the last run, and that this process is it."""
        process = process or ProcessIdentity.of(os.getpid())
        state = RunState(run_id, MISSION, "me", "2026-01-01T00:00:00+00:00", process)
        RunStore(self.root / ".kittify").save(state)

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "spec_kitty_orchestrator", "logs", *args, "--repo-root", str(self.root)]

    def logs(self, *args: str) -> Result:
        """The command, in this process."""
        argv = ["logs", *args, "--repo-root", str(self.root)]
        return CliRunner().invoke(main, argv, standalone_mode=False, catch_exceptions=False)

    def start(self, *args: str, **streams: int) -> subprocess.Popen[bytes]:
        """The command as a program of its own."""
        piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        return subprocess.Popen(self.command(*args), stdin=subprocess.DEVNULL, **piped)
