"""The host as a program: where it is, and one run of it under a keeper."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import trio
from attrs import field, frozen
from trio.abc import ReceiveStream

from ..errors import HostError
from ..processes.bounds import DRAIN_SECONDS, ORPHANED_CHANGE_SECONDS, ROLLBACK_SECONDS
from ..processes.ending import Ending
from ..processes.keeper import Command, Keeper, open_keeper
from ..processes.starting import CommandNotStarted, ProgramMissing
from .errors import Completed, HostMissing

SHIELD = frozenset({signal.SIGTERM, signal.SIGHUP})
"""What systemd, say, sends to all of a run at once: the host breaks off in the middle on it. We stop it."""

Runner = Callable[[Sequence[str], bool], Awaitable[Completed]]
"""Runs the host with these arguments; the flag says that the call changes something."""

HOST_PROGRAM = "spec-kitty"
HOST_VARIABLE = "SK_ORCH_HOST_BINARY"
INSTALL_HOST = "pip install --upgrade 'spec-kitty-cli>=3.2.6'"

STDOUT_KEPT = 16 * 2**20
STDERR_KEPT = 64 * 2**10
"""Bytes from the end of each stream: the envelope is the last line, and the error ends a traceback."""

_GIT_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
"""Set inside a git hook; they would lead the host's git to another repository than `repo_root`."""


@frozen
class HostEndpoint:
    """Where the host is and works: its program, the repository, seconds for one call, its environment."""

    binary: Path
    repo_root: Path
    timeout: float = 120.0
    environ: Mapping[str, str] | None = None
    kill_now: trio.Event = field(factory=trio.Event)
    tell_left: Callable[[str, tuple[str, ...]], None] = lambda _who, _left: None


def find_host_binary(setting: str | None, environ: Mapping[str, str]) -> Path:
    """The host's program: by setting, by environment, on PATH, or beside our own interpreter.

    Raises:
        HostMissing: it is in none of these places, or the one that was named is no program.
    """
    path = environ.get("PATH")
    for source, named in (("host.binary", setting), (HOST_VARIABLE, environ.get(HOST_VARIABLE))):
        if named:
            found = shutil.which(os.path.expanduser(named), path=path)
            if found is None:
                raise HostMissing(f"{source}: {named} is not a program", remedy=INSTALL_HOST)
            return Path(found).absolute()
    beside = str(Path(sys.executable).parent)
    found = shutil.which(HOST_PROGRAM, path=path) or shutil.which(HOST_PROGRAM, path=beside)
    if found is None:
        raise HostMissing(f"{HOST_PROGRAM} was not found on PATH or in {beside}", remedy=INSTALL_HOST)
    return Path(found).absolute()


def installed_version(binary: Path) -> str:
    """The version of the package that a host's program is of; empty where it stands in no environment.

    Read from the package's folder: to ask the program costs as much as a call.
    """
    packages = binary.resolve().parent.parent.glob("lib/python*/site-packages/spec_kitty_cli-*.dist-info")
    return next((path.stem.partition("-")[2] for path in packages), "")


class HostUnderKeeper:
    """Runs the real host under a keeper, so that no host process outlives us, not even on `kill -9`.

    Being in a session of its own, it gets no Ctrl-C from the terminal either. When the call is cancelled, or
    everything is to be killed now, one that changes something is interrupted, and killed only after
    `ROLLBACK_SECONDS`; one that only reads is killed.
    """

    def __init__(self, endpoint: HostEndpoint) -> None:
        self.endpoint = endpoint

    async def __call__(self, args: Sequence[str], mutating: bool) -> Completed:
        """Raises HostMissing when the program is not there, HostError when it cannot be started for now."""
        stdout, stderr = _Tail(STDOUT_KEPT), _Tail(STDERR_KEPT)
        try:
            async with open_keeper(self._command(args, mutating)) as keeper, trio.open_nursery() as readers:
                readers.start_soon(stdout.fill, keeper.stdout)
                readers.start_soon(stderr.fill, keeper.stderr)
                ending = await self._end_of(keeper)
                readers.cancel_scope.deadline = trio.current_time() + DRAIN_SECONDS
        except ProgramMissing as exc:
            raise HostMissing(exc.message, remedy=INSTALL_HOST) from exc
        except CommandNotStarted as exc:
            raise HostError(exc.message) from exc
        # As the standard library has it, negative for a signal; a lost keeper took the host with it.
        status = -(ending.signal or signal.SIGKILL) if ending.returncode is None else ending.returncode
        return Completed(status, bytes(stdout.kept), bytes(stderr.kept))

    async def _end_of(self, keeper: Keeper) -> Ending:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._stop_when_all_is_killed, keeper)
            ending = await keeper.wait()
            nursery.cancel_scope.cancel()
        return ending

    async def _stop_when_all_is_killed(self, keeper: Keeper) -> None:
        await self.endpoint.kill_now.wait()
        keeper.stop()

    def _command(self, args: Sequence[str], mutating: bool) -> Command:
        return Command(
            argv=(str(self.endpoint.binary), *args),
            cwd=self.endpoint.repo_root,
            env=self._environ(),
            first_signal=signal.SIGINT if mutating else signal.SIGKILL,
            patience=ORPHANED_CHANGE_SECONDS if mutating else 0.0,
            grace=ROLLBACK_SECONDS if mutating else 0.0,
            shield=SHIELD,
            on_end=lambda ending: self.endpoint.tell_left(f"the host's {' '.join(args[1:2])}", ending.left),
        )

    def _environ(self) -> dict[str, str]:
        """Ours, and the host's own folder last on PATH.

        The merge drivers that it gave to git (3.2.7) are `spec-kitty ...`; without it on PATH, claims in a
        mission with a coordination branch end in a conflict.
        """
        given = os.environ if self.endpoint.environ is None else self.endpoint.environ
        path = os.pathsep.join([given.get("PATH", os.defpath), str(self.endpoint.binary.parent)])
        kept = {name: value for name, value in given.items() if name not in _GIT_VARIABLES}
        return {**kept, "PATH": path}


class _Tail:
    """The last bytes of a stream."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.kept = bytearray()

    async def fill(self, stream: ReceiveStream) -> None:
        while chunk := await stream.receive_some():
            self.kept += chunk
            del self.kept[: -self._size]
