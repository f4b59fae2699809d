"""An attempt as a value, so that a test can name it, change it and run it."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from spec_kitty_orchestrator.processes.agent_process import Limits, OnStart, OutputSink, run_agent
from spec_kitty_orchestrator.processes.ending import Ending
from spec_kitty_orchestrator.processes.keeper import Command


@frozen
class Launch:
    """An attempt that a test may run: its command, its log, its limits."""

    command: Command
    log_file: Path
    limits: Limits

    async def run(self, sink: OutputSink, on_start: OnStart = lambda _: None) -> Ending:
        return await run_agent(self.command, self.log_file, self.limits, sink, on_start)
