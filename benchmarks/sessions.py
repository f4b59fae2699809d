"""What a rework sends to the model: by an agent that begins anew, and by one that goes on with its session.

    python tests/e2e/real_agents/install.py       once, for the real CLIs
    python benchmarks/sessions.py

Real CLIs, a scripted model. The first attempt reads a file of 20 KB and writes a line; whoever begins anew
has to read the file again before it can mend the line. Of what is sent, all but what is new in the
conversation can come from the provider's cache, which is another price.
"""

from __future__ import annotations

import json
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

import trio
from attrs import frozen

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.e2e.real_agents.bench import Bench
from tests.e2e.real_agents.install import bin_folder, cache_folder, node_is_new_enough
from tests.e2e.real_agents.model_server import ModelServer, serve
from tests.e2e.real_agents.rigs import RIGS

from spec_kitty_orchestrator.agents import find_binary, get_agent
from spec_kitty_orchestrator.agents.sessions import InSession
from spec_kitty_orchestrator.agents.spec import Role

AGENTS = ("claude-code", "codex", "opencode", "qwen", "pi")
FEEDBACK = "out/wp01.txt:2: mend it"
READ_BYTES = 20_000


@frozen
class Sent:
    """What one attempt sent: requests, their bytes, and the bytes of messages that were never sent before."""

    requests: int
    whole: int
    new: int


def main() -> None:
    print(
        "| agent | rework | requests | KB sent | KB of them new in the conversation |\n|---|---|---|---|---|"
    )
    with serve() as server:
        for agent_id in AGENTS:
            if bin_folder(agent_id).is_dir():
                for how, sent in zip(("anew", "continued"), trio.run(reworks, agent_id, server), strict=True):
                    figures = f"{sent.requests} | {sent.whole / 1000:.0f} | {sent.new / 1000:.1f}"
                    print(f"| {agent_id} | {how} | {figures} |")


async def reworks(agent_id: str, server: ModelServer) -> tuple[Sent, Sent]:
    """One rework anew and one that is continued, each after a first attempt of its own."""
    return await rework(agent_id, server, goes_on=False), await rework(agent_id, server, goes_on=True)


async def rework(agent_id: str, server: ModelServer, *, goes_on: bool) -> Sent:
    with tempfile.TemporaryDirectory(dir=cache_folder().parent, ignore_cleanup_errors=True) as folder:
        bench = make_bench(agent_id, server, Path(folder))
        sessions = bench.spec.sessions
        assert sessions is not None
        begun = InSession(str(uuid.uuid4()) if sessions.begin else None)
        server.bodies.clear()
        first = await bench.attempt(Role.IMPLEMENTATION, session=begun)
        assert first.failure is None, first.failure
        known = len(server.bodies)
        session = InSession(first.transcript.session_id, resumed=True) if goes_on else None
        second = await bench.attempt(Role.IMPLEMENTATION, session=session, feedback=FEEDBACK)
        assert second.failure is None, second.failure
        assert bench.git("show", "HEAD:out/wp01.txt").endswith("mended")
        return count(server.bodies[:known] if goes_on else [], server.bodies[known:])


def make_bench(agent_id: str, server: ModelServer, folder: Path) -> Bench:
    folders = [bin_folder(agent_id)] if node_is_new_enough() else [bin_folder("node"), bin_folder(agent_id)]
    path = ":".join([*map(str, folders), "/usr/bin", "/bin"])
    environ = {"HOME": str(folder / "home"), "PATH": path, "LANG": "C.UTF-8", "TERM": "dumb"}
    (folder / "home").mkdir()
    spec = get_agent(agent_id)
    binary = find_binary(spec, environ)
    assert binary is not None
    bench = Bench(folder, spec, binary, RIGS[agent_id].at(server.url("reads")), environ)
    bench.build()
    (bench.workspace / "notes.txt").write_text("what there is to know\n" * (READ_BYTES // 22))
    bench.git("add", "notes.txt")
    bench.git("commit", "-q", "-m", "Notes")
    return bench


def count(before: list[bytes], sent: list[bytes]) -> Sent:
    seen = {message for body in before for message in messages(body)}
    new = 0
    for body in sent:
        fresh = [message for message in messages(body) if message not in seen]
        new += sum(map(len, fresh))
        seen.update(fresh)
    return Sent(len(sent), sum(map(len, sent)), new)


def messages(body: bytes) -> list[str]:
    """The messages of a request, without the marks for the provider's cache, which wander."""
    request = json.loads(body)
    return [json.dumps(_plain(each)) for each in request.get("messages") or request.get("input") or []]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items() if key != "cache_control"}
    return [_plain(each) for each in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
