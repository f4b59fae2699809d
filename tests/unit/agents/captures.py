"""What the agents really printed, and how the tests read it."""

from __future__ import annotations

import json
from pathlib import Path

from attrs import frozen

from spec_kitty_orchestrator.agents import get_agent
from spec_kitty_orchestrator.agents.failure import Failure, classify
from spec_kitty_orchestrator.agents.spec import AgentSpec
from spec_kitty_orchestrator.agents.transcript import Transcript, TranscriptReader, open_reader
from spec_kitty_orchestrator.processes.ending import EndedBy, Ending

FOLDER = Path(__file__).parents[2] / "data" / "captures"


@frozen
class Capture:
    """One run of a real CLI. `returncode` is None when the recorder stopped it at its time limit."""

    agent_id: str
    case: str
    stdout: bytes
    stderr: bytes
    returncode: int | None

    @property
    def spec(self) -> AgentSpec:
        return get_agent(self.agent_id)

    def read(self, reader: TranscriptReader | None = None) -> Transcript:
        reader = reader or open_reader(self.spec)
        reader.feed_stdout(self.stdout)
        reader.feed_stderr(self.stderr)
        return reader.finish()

    def failure(self) -> Failure | None:
        by = EndedBy.TIMEOUT if self.returncode is None else EndedBy.EXITED
        return classify(self.spec, Ending(self.returncode, None, by, (), 1.0), self.read())


def load(agent_id: str, case: str) -> Capture:
    path = FOLDER / agent_id / case
    recorded = json.loads(path.with_name(f"{case}.json").read_text())
    return Capture(
        agent_id,
        case,
        path.with_name(f"{case}.stdout").read_bytes(),
        path.with_name(f"{case}.stderr").read_bytes(),
        recorded["rc"],
    )


def every_case() -> list[tuple[str, str]]:
    return sorted((path.parent.name, path.stem) for path in FOLDER.glob("*/*.json"))
