"""Why a command could not be started: the program's own fault, or the machine's."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..errors import OrchestratorError

NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENOEXEC}
"""What executing a program ends with when it, or what interprets it, is not there or is no program."""
LONGEST_NAME = 256  # bytes: of the line that names an interpreter the kernel reads no more


class CommandNotStarted(OrchestratorError):
    """It could not be started: no process or descriptor was to be had, or its folder or input is gone."""


class ProgramMissing(CommandNotStarted):
    """The program, or the interpreter that it names, does not exist or may not be executed."""


def not_executed(program: str, cwd: Path, env: Mapping[str, str], number: int) -> CommandNotStarted:
    """The error for an `errno` that starting a program ended with, where folder and input are there."""
    message = f"cannot start {program}: {os.strerror(number)}"
    if number not in NOT_THERE:
        return CommandNotStarted(message)
    interpreter = _interpreter_of(program, cwd, env) if number == errno.ENOENT else ""
    return ProgramMissing(
        message + (f" (it is there, its interpreter is not: {interpreter})" * bool(interpreter))
    )


def _interpreter_of(program: str, cwd: Path, env: Mapping[str, str]) -> str:
    """What the first line of a script says that it is run by; empty for anything else."""
    named = str(cwd / program) if os.sep in program else program
    found = shutil.which(named, path=env.get("PATH", os.defpath))
    with suppress(OSError):
        if found is not None:
            with open(found, "rb") as script:
                first = script.readline(LONGEST_NAME)
            if first.startswith(b"#!"):
                return first[2:].decode(errors="replace").strip()
    return ""
