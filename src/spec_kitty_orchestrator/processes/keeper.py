"""Runs one command under a keeper (`_keeper.py`): its streams, orders to it, and how it ended.

Whoever runs an agent or the host does it through here: nothing that the command starts outlives the keeper,
and the keeper does not outlive its work, whatever becomes of this process.
"""

from __future__ import annotations

import ast
import contextlib
import os
import signal
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from attrs import field, frozen
from trio.abc import ReceiveStream

from .bounds import KEEPER_SECONDS, START_SECONDS
from .ending import EndedBy, Ending
from .identity import ProcessIdentity
from .launch import KEEPER_CODE, keeper_argv, pipe
from .launcher import FarLaunch
from .orphans import CHILDREN, KEEPER_MARKER, end_orphans, still_running
from .starting import CommandNotStarted, not_executed

REPORT_BYTES = 4096


@frozen
class Command:
    """What to run, and how to stop it.

    Attributes:
        argv: the program and its arguments; a name without a slash is looked for on the PATH of `env`.
        cwd: its folder.
        env: its whole environment, save `PWD`: some programs trust that more than their real folder.
        stdin: the file that it reads, or the descriptor of a pipe; nothing when None.
        first_signal: what it and its descendants are asked to stop with.
        patience: seconds that it may go on, to finish, when this process dies; orders are obeyed at once.
        grace: seconds between the first signal and SIGKILL.
        shield: signals that never reach it or what it starts, sent by whomever.
        kill_now: once it is set, the command is killed at once, also while it is being stopped.
        on_end: is told how it ended, also when whoever waits for that is cancelled.
        far: how it gets to another place, to run there; None: it runs here.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    stdin: Path | int | None = None
    first_signal: int = signal.SIGTERM
    patience: float = 0.0
    grace: float = 10.0
    shield: frozenset[int] = frozenset()
    kill_now: trio.Event = field(factory=trio.Event)
    on_end: Callable[[Ending], None] = lambda _: None
    far: FarLaunch | None = None

    @property
    def packed(self) -> bytes:
        """Its arguments as a keeper takes them.

        Raises ValueError when one of them cannot be one, as the standard library does.
        """
        if any("\0" in each for each in self.argv):
            raise ValueError("embedded null byte")
        return b"\0".join(map(os.fsencode, self.argv))

    @property
    def stopped_by(self) -> tuple[int, float, float]:
        """How a keeper stops it."""
        return self.first_signal, self.patience, self.grace


_Pipes = tuple[int, trio.lowlevel.FdStream]
"""Ours to a keeper: its orders, and its reports."""


class Keeper:
    """A keeper with its command; made by `open_keeper`.

    Attributes:
        stdout, stderr: the command's streams; end-of-file comes when all its descendants have let go of them.
        begun: when the command began, on Trio's clock.
        identity: the keeper's.
    """

    def __init__(
        self, identity: ProcessIdentity, process: trio.Process, pipes: _Pipes, command: Command, mark: str
    ) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.stdout: ReceiveStream = process.stdout
        self.stderr: ReceiveStream = process.stderr
        self.identity = identity
        self._process = process
        self._control, self._reports = pipes
        self._command = command
        self._mark = mark
        self._handed_over = False
        self._unread = b""
        self._status: int | None = None
        self._ending: Ending | None = None
        self.begun: float = trio.current_time()
        self._give_up_at = float("inf")
        self._reading: trio.CancelScope | None = None

    @property
    def has_exited(self) -> bool:
        """The command itself has ended, as far as its keeper has told; what it left behind may not have."""
        return self._status is not None

    def stop(self) -> None:
        """Ask for the first signal, the grace, SIGKILL. Returns at once; `wait` is bounded from now on."""
        self._order(b"T", self._command.grace + KEEPER_SECONDS)

    def kill(self) -> None:
        """Ask for SIGKILL now, also while stopping. Returns at once; `wait` is bounded from now on."""
        self._order(b"K", KEEPER_SECONDS)

    async def wait(self) -> Ending:
        """Wait until the command and all that it started are gone. For one task; may be called again."""
        if self._ending is None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._kill_when_told)
                with trio.CancelScope(deadline=self._give_up_at) as self._reading:
                    await self._read_reports()
                nursery.cancel_scope.cancel()
        if self._ending is None:
            await self._finish()
        assert self._ending is not None
        return self._ending

    async def _kill_when_told(self) -> None:
        await self._command.kill_now.wait()
        self.kill()

    def _order(self, order: bytes, seconds: float) -> None:
        if not self._handed_over:
            self._process.kill()  # it has nothing to end
        with contextlib.suppress(OSError):  # the keeper is gone, or does not read
            os.write(self._control, order)
        self._give_up_at = min(self._give_up_at, trio.current_time() + seconds)
        if self._reading is not None:
            self._reading.deadline = self._give_up_at

    async def _read_reports(self) -> None:
        """Take in the keeper's reports until the last one, or until it is lost."""
        while self._ending is None:
            event = await self._next_report()
            if event is None:
                return
            self._status = event.get("exited", self._status)
            if "done" in event:
                await self._finish(tuple(event["swept"]), tuple(event["left"]), done=event["done"])

    async def _next_report(self) -> dict[str, Any] | None:
        """The keeper's next line, or None when it has ended without one."""
        while b"\n" not in self._unread:
            chunk = await self._reports.receive_some(REPORT_BYTES)
            if not chunk:
                return None
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        event: dict[str, Any] = ast.literal_eval(line.decode())
        return event

    async def _finish(
        self, swept: tuple[str, ...] = (), left: tuple[str, ...] = (), *, done: bool = False
    ) -> None:
        """The end of it; unless the keeper has `done` all (it may be killed, or hang), we do the rest."""
        with trio.CancelScope(shield=True):
            if not done:
                self._process.kill()
            await self._process.wait()
            if not done:
                ours = await end_orphans(self._mark, left)
                swept, left = swept + ours.ended, still_running((*left, *ours.left))
        self._ending = self._how_it_ended(tuple(dict.fromkeys(swept)), tuple(dict.fromkeys(left)))

    def _how_it_ended(self, swept: tuple[str, ...], left: tuple[str, ...] = ()) -> Ending:
        status, seconds = self._status, trio.current_time() - self.begun
        if status is None:
            return Ending(None, None, EndedBy.KEEPER_LOST, swept, seconds, left)
        code, signum = (None, -status) if status < 0 else (status, None)
        return Ending(code, signum, EndedBy.EXITED, swept, seconds, left)

    async def _start_command(self) -> None:
        """Hand over the command, and wait until it runs; a keeper that does not answer in time is lost."""
        with trio.move_on_after(START_SECONDS):
            await self._hand_over(self._command.packed)
            event = await self._next_report()
            if event is not None and "failed" in event:
                await self._process.wait()
                self._ending = self._how_it_ended(())
                command = self._command
                raise not_executed(command.argv[0], command.cwd, command.env, event["failed"])
            return
        await self._finish()

    async def _hand_over(self, what: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # the keeper is gone, which its reports will tell
            while what:
                await trio.lowlevel.wait_writable(self._control)
                with contextlib.suppress(BlockingIOError):
                    what = what[os.write(self._control, what) :]
        self._handed_over = True

    async def _close(self) -> None:
        """Make sure that nothing is left, and let go of every pipe."""
        if self._ending is None:
            self.stop()
        ending = await self.wait()
        CHILDREN.keepers.pop(self._process.pid)
        os.close(self._control)
        for stream in (self._reports, self.stdout, self.stderr):
            await stream.aclose()
        self._command.on_end(ending)


@asynccontextmanager
async def open_keeper(command: Command) -> AsyncIterator[Keeper]:
    """Run a command under a keeper; on leaving, however, it is stopped and everything below it is gone.

    Leaving is shielded, and bounded by the grace and `KEEPER_SECONDS`; call `kill` first to leave at once.

    Raises:
        CommandNotStarted: it could not be started; ProgramMissing when the program itself is the reason.
    """
    keeper = await _start(command)
    try:
        await keeper._start_command()
        yield keeper
    finally:
        with trio.CancelScope(shield=True):
            await keeper._close()


async def _start(command: Command) -> Keeper:
    """Start the keeper, which waits for its command then; all of it or nothing.

    Both of our pipe ends are close-on-exec: no other child may hold the lifeline.
    """
    mark, size = uuid.uuid4().hex, len(command.packed)
    async with AsyncExitStack() as undo:
        with ExitStack() as ours, ExitStack() as theirs:
            try:
                control_read, control = pipe(theirs, ours)
                report, report_write = pipe(ours, theirs)
                os.set_blocking(control, False)
                async with CHILDREN.starting:
                    process = await trio.lowlevel.open_process(
                        keeper_argv(control_read, report_write, command.stopped_by, command.shield, size),
                        stdin=_open_stdin(command, theirs),
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        cwd=command.cwd,
                        env={**command.env, "PWD": str(command.cwd), KEEPER_MARKER: mark, **KEEPER_CODE},
                        pass_fds=(control_read, report_write),
                        start_new_session=True,
                    )
                    CHILDREN.keepers[process.pid] = mark
                undo.push_async_callback(_discard, process)
                identity = ProcessIdentity.of(process.pid)
                pipes = control, trio.lowlevel.FdStream(report)
            except OSError as error:
                raise CommandNotStarted(
                    f"cannot start {command.argv[0]} in {command.cwd}: {error}"
                ) from error
            ours.pop_all()
        undo.pop_all()
    return Keeper(identity, process, pipes, command, mark)


async def _discard(process: trio.Process) -> None:
    """Have a keeper gone that has not got its command yet."""
    with trio.CancelScope(shield=True):
        process.kill()
        await process.wait()
        CHILDREN.keepers.pop(process.pid)
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            await stream.aclose()


def _open_stdin(command: Command, theirs: ExitStack) -> int:
    if command.stdin is None:
        return subprocess.DEVNULL
    if isinstance(command.stdin, int):
        return command.stdin
    descriptor = os.open(command.stdin, os.O_RDONLY | os.O_CLOEXEC)
    theirs.callback(os.close, descriptor)
    return descriptor
