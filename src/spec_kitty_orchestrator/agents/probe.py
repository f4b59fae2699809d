"""Which agents stand on this machine, and in which version. Runs a CLI only to ask it for that."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import trio
from attrs import frozen
from trio.abc import ReceiveStream

from ..processes.keeper import Command, open_keeper
from ..processes.starting import CommandNotStarted
from . import find_binary
from .spec import AgentSpec
from .versions import Age, age_of

PROBE_SECONDS = 2.0
"""For each CLI to say its version; one that takes longer is listed without."""

STATUS_SECONDS = 10.0
"""For a CLI to say whether it is signed in; those that can take less than one."""

_VERSION = re.compile(r"\d+\.\d+[\w.+-]*")
_ANSWER_BYTES = 64 * 1024
# An npm package's program lies at most so deep in it (`dist/bundle/cli.js`).
_PACKAGE_DEPTH = 4


@frozen
class Found:
    """An agent as it is on this machine; `version` is None when nobody could say."""

    spec: AgentSpec
    binary: Path | None
    version: str | None

    @property
    def age(self) -> Age | None:
        """Whether it is newer or older than the version that its facts were measured on; None: neither."""
        return age_of(self.version, self.spec.verified)


async def probe_all(specs: tuple[AgentSpec, ...], environ: Mapping[str, str]) -> list[Found]:
    """Looks for all of them side by side, and asks each that is there; takes about PROBE_SECONDS."""
    versions: dict[str, str | None] = {}

    async def ask(spec: AgentSpec, binary: Path) -> None:
        versions[spec.agent_id] = _packaged_version(binary) or await _said_version(binary, environ)

    binaries = {spec.agent_id: find_binary(spec, environ) for spec in specs}
    async with trio.open_nursery() as nursery:
        for spec in specs:
            if binary := binaries[spec.agent_id]:
                nursery.start_soon(ask, spec, binary)
    return [Found(spec, binaries[spec.agent_id], versions.get(spec.agent_id)) for spec in specs]


async def exit_status(binary: Path, args: tuple[str, ...], environ: Mapping[str, str]) -> int | None:
    """What a program ends with when it is asked something; None when it does not, within STATUS_SECONDS."""
    with suppress(CommandNotStarted):
        async with open_keeper(Command((str(binary), *args), Path("/"), environ, grace=0.0)) as keeper:
            async with trio.open_nursery() as nursery:
                for stream in (keeper.stdout, keeper.stderr):
                    nursery.start_soon(_let_go, stream)
                with trio.move_on_after(STATUS_SECONDS) as patience:
                    status = (await keeper.wait()).returncode
                nursery.cancel_scope.cancel()
            if not patience.cancelled_caught:
                return status
            keeper.kill()
    return None


async def _let_go(stream: ReceiveStream) -> None:
    """What it says is not asked for, but it must be able to say it."""
    with suppress(trio.BrokenResourceError):
        while await stream.receive_some():
            pass


def _packaged_version(binary: Path) -> str | None:
    """The version in its npm package, which is faster than starting Node, and does not write anything."""
    for folder in binary.resolve().parents[:_PACKAGE_DEPTH]:
        with suppress(OSError, ValueError):
            package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
            if isinstance(package, dict) and package.get("bin"):
                return str(package.get("version") or "") or None
    return None


async def _said_version(binary: Path, environ: Mapping[str, str]) -> str | None:
    argv = (str(binary), "--version")
    answer = bytearray()
    with suppress(CommandNotStarted):
        async with open_keeper(Command(argv, Path("/"), environ, grace=0.0)) as keeper:
            with trio.move_on_after(PROBE_SECONDS):
                with suppress(trio.BrokenResourceError):
                    while len(answer) < _ANSWER_BYTES and (chunk := await keeper.stdout.receive_some()):
                        answer += chunk
            keeper.kill()
    told = _VERSION.search(answer.decode("utf-8", "replace"))
    return told.group() if told else None
