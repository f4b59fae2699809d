"""The command, also as `python -m spec_kitty_orchestrator`: signals first, then everything else is loaded."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import NoReturn

AT_ONCE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIGNALLED = 128


def run() -> NoReturn:
    """The program; until a command takes signals itself, one ends it at once, in silence, as documented."""
    for signum in AT_ONCE:
        if signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, _leave)
    from .cli import main

    main.run()


def _leave(signum: int, _frame: FrameType | None) -> NoReturn:
    os._exit(SIGNALLED + signum)


if __name__ == "__main__":
    run()
