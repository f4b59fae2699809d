"""How a keeper process is called: its interpreter, its command line, its pipes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from .open_files import BEFORE

PYTHON = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
"""The interpreter itself: the path of a virtual environment may name us, and keepers need nothing of it."""
KEEPER_CODE = {"KEEPER_CODE": str(Path(__file__).parents[1])}
START_KEEPER = f"""\
import resource; files = resource.RLIMIT_NOFILE
resource.setrlimit(files, ({BEFORE}, resource.getrlimit(files)[1]))
import os, sys; sys.path.append(os.environ.pop("KEEPER_CODE"))
from processes._keeper import main; main(*sys.argv[1:])"""
"""First the command gets back the limit that we raised for ourselves.

A module's bytecode is cached, a script's is not: compiling it would cost a third of the start.

Nothing on a keeper's command line names this program or its place, lest a `pkill -f` take the keepers too.
"""


def keeper_argv(
    control: int, report: int, stopped_by: tuple[int, float, float], shield: Iterable[int], size: int
) -> list[str]:
    """The command line of a keeper; see `_keeper.py` for what it says."""
    first_signal, patience, grace = stopped_by
    options = (
        control,
        report,
        int(first_signal),
        patience,
        grace,
        " ".join(map(str, map(int, shield))),
        size,
    )
    return [PYTHON, "-I", "-S", "-c", START_KEEPER, *map(str, options)]


def pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """A pipe whose ends are closed with the stack that each belongs to."""
    read, write = os.pipe()
    reader.callback(os.close, read)
    writer.callback(os.close, write)
    return read, write
