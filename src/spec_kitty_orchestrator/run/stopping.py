"""How a run is stopped: by signals in stages, from another terminal, and by force."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import FrameType

import trio

from ..errors import ExitCode, RunLocked, UsageError
from ..processes.bounds import KILLED_SECONDS, SAME_EVENT_SECONDS, orderly_stop_seconds
from ..processes.identity import ProcessIdentity
from ..report.outlet import LAST_WORDS_SECONDS, within
from .lock import Holder, find_live_run
from .state import RunState

EXIT_CODES: dict[int, ExitCode] = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
    signal.SIGHUP: ExitCode.HUNG_UP,
}
LOOK_AGAIN_SECONDS = 0.05
PROGRESS_SECONDS = 1.0
SAY_WHO_SECONDS = 3.0
"""What a run that is alive may need to say who it is: it is just starting, or its files were taken away."""


class StopControl:
    """The stages of a stop; only `watch` moves them on.

    Attributes:
        stopping: set by the first signal.
        kill_now: set by Ctrl-C (SIGINT) after it. SIGTERM and SIGHUP then change nothing: `abort` and service
            managers send them to a run that a person has stopped already.
        exit_code: what the program exits with because of the first signal, else None.
        grace: seconds that agents have between the first signal and SIGKILL.
        leave_terminal: for `exit_hard_when_late`: gives back the terminal, which shows the board's screen.
        orders: every signal, at the moment when it comes; for `exit_hard_when_late`.
    """

    def __init__(self, grace: float = 10.0) -> None:
        self.stopping = trio.Event()
        self.kill_now = trio.Event()
        self.exit_code: ExitCode | None = None
        self.grace = grace
        self.leave_terminal: Callable[[], object] = lambda: None
        self.orders: SimpleQueue[int] = SimpleQueue()  # of all queues the one that a signal handler may use
        self._arrived: deque[int] = deque()
        self._arrival = trio.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self._handling = False

    @contextlib.contextmanager
    def handlers(self) -> Iterator[None]:
        """Catch the signals from here on: one that comes before `watch` is kept, one after it does no harm.

        Put it around `trio.run`. SIGHUP stays ignored if it is (`nohup`). SIGINT is caught even where a
        shell's `&` made it ignored: who sends it wants the agents to end.
        """
        caught = [s for s in EXIT_CODES if s != signal.SIGHUP or signal.getsignal(s) != signal.SIG_IGN]
        before = {signum: signal.signal(signum, self._take) for signum in caught}
        self._handling = True
        try:
            yield
        finally:
            self._handling = False
            if not self.stopping.is_set():  # else we are ending: a late one must not change how
                for signum, handler in before.items():
                    signal.signal(signum, handler)

    async def watch(self, cancel: Callable[[], None], say: Callable[[str], None]) -> None:
        """Turn signals into stages until cancelled. Run it outside of what `cancel` cancels.

        Args:
            cancel: ends admission and cancels all work, at the first signal.
            say: shows one line at each stage, after it has begun; must not wait for a reader.
        """
        with contextlib.ExitStack() as stack:
            if not self._handling:
                stack.enter_context(self.handlers())
            stack.callback(setattr, self, "_token", None)
            self._token = trio.lowlevel.current_trio_token()
            signum = await self._next_signal()
            self.exit_code = EXIT_CODES[signum]
            self.stopping.set()
            cancel()
            name = "Ctrl-C" if signum == signal.SIGINT else signal.Signals(signum).name
            say(f"{name}: stopping; agents have {self.grace:g} s to end. Ctrl-C now kills them at once.")
            await trio.sleep(SAME_EVENT_SECONDS)
            self._arrived.clear()
            while await self._next_signal() != signal.SIGINT:
                pass  # it asks for what is being done
            self.kill_now.set()
            say("Killing everything that still runs.")
            await trio.sleep_forever()

    async def _next_signal(self) -> int:
        while not self._arrived:
            self._arrival = trio.Event()
            if not self._arrived:  # else it came before there was something to wake
                await self._arrival.wait()
        return self._arrived.popleft()

    def _take(self, signum: int, _frame: FrameType | None) -> None:
        self._arrived.append(signum)
        self.orders.put(signum)
        if self._token is not None:
            self._token.run_sync_soon(self._arrival.set)


def exit_hard_when_late(stop: StopControl, seconds: float) -> None:
    """From now on: so many seconds after the first order to stop the program is gone, whatever still hangs.

    The keepers then end what is left below them. A program that ends in time ends this with it.
    """
    threading.Thread(target=_exit_hard_when_late, args=(stop, seconds), daemon=True).start()


def _exit_hard_when_late(stop: StopControl, seconds: float) -> None:
    code = EXIT_CODES[stop.orders.get()]
    for _ in range(math.ceil(seconds)):  # in small pieces: what sleeps while we are suspended is over then
        time.sleep(seconds / math.ceil(seconds))
    line = f"Not everything could be ended in {seconds:g} s; leaving it to the keepers."
    stop.leave_terminal()
    within(LAST_WORDS_SECONDS, partial(os.write, 2, f"{line}\n".encode()))
    os._exit(code)


async def await_live_run(repo_root: Path, state: RunState | None) -> Holder | None:
    """The live run of a checkout as `find_live_run` finds it, once it says who it is; bounded.

    Raises:
        RunLocked: there is one, but it cannot be reached from here.
    """
    give_up_at = trio.current_time() + SAY_WHO_SECONDS
    while True:
        try:
            return find_live_run(repo_root, state)
        except RunLocked:
            if trio.current_time() > give_up_at:
                raise
        await trio.sleep(LOOK_AGAIN_SECONDS)


async def stop_live_run(
    orchestrator: ProcessIdentity, grace: float, progress: Callable[[float], None] = lambda _: None
) -> bool:
    """Ask a live run to stop as SIGTERM does, and wait until its process is gone.

    After the longest that stopping its agents can take it is killed; its keepers then end their agents by
    themselves, which `sweep_run` sees to. A change at the host that takes longer is cut short by that.

    Args:
        progress: is told about once a second for how many seconds we have waited.

    Returns:
        True when it went by itself, False when it had to be killed.

    Raises:
        UsageError: it is another user's.
    """
    began = trio.current_time()
    _signal(orchestrator, signal.SIGTERM)
    _signal(orchestrator, signal.SIGCONT)  # a suspended one hears nothing
    if await _gone_within(orchestrator, orderly_stop_seconds(grace), progress):
        return True
    _signal(orchestrator, signal.SIGKILL)
    waited = trio.current_time() - began
    await _gone_within(orchestrator, KILLED_SECONDS, lambda seconds: progress(waited + seconds))
    return False


async def _gone_within(who: ProcessIdentity, seconds: float, progress: Callable[[float], None]) -> bool:
    began = told = trio.current_time()
    while who.is_alive():
        now = trio.current_time()
        if now - began > seconds:
            return False
        if now - told >= PROGRESS_SECONDS:
            told = now
            progress(now - began)
        await trio.sleep(LOOK_AGAIN_SECONDS)
    return True


def _signal(who: ProcessIdentity, signum: int) -> None:
    if who.is_alive():
        try:
            os.kill(who.pid, signum)
        except ProcessLookupError:
            pass
        except PermissionError as error:
            message = f"process {who.pid} belongs to another user"
            raise UsageError(message, remedy="abort as that user") from error
