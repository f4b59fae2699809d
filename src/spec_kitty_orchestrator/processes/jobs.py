"""Jobs elsewhere: what is left of one is ended, and whether one could be begun at all is asked beforehand."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

import trio
from attrs import frozen

from .bounds import CLEANUP_SECONDS
from .keeper import Command, open_keeper
from .launcher import FarJob, Launcher, LauncherKind, launcher_environ, srun
from .starting import CommandNotStarted

ANSWER_BYTES = 64 * 1024
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
ASK_SECONDS = 30.0
"""For a question beforehand: `srun` gives up on a controller that does not answer after 9 s (22.05)."""


@frozen
class Told:
    """How a small command ended: its status (None: none was seen), and what it said."""

    status: int | None
    stdout: str = ""
    stderr: str = ""

    @property
    def words(self) -> str:
        """Why it did not succeed, on one line."""
        lines = [line.strip() for line in (self.stderr or self.stdout).splitlines() if line.strip()]
        return lines[-1] if lines else f"exit status {self.status}"


async def end_job(
    job: FarJob, environ: Mapping[str, str], seconds: float = CLEANUP_SECONDS, *, once: bool = False
) -> str:
    """Ends what is left of a job and makes sure that it is gone; asks until it is, or time is up.

    Args:
        once: all of it is known to be gone already; a command of the user's is then asked once.

    Returns why nobody knows whether it is; empty when it is gone, or when there is nothing to ask.
    """
    said, pause = "no answer", FIRST_PAUSE_SECONDS
    environ = launcher_environ(job.kind, environ)
    with trio.move_on_after(seconds):
        while said:
            said = await (_cancelled if job.kind is LauncherKind.SLURM else _cleaned_up)(job, environ)
            if once and job.kind is not LauncherKind.SLURM:
                break
            await trio.sleep(pause if said else 0)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
    return said


async def _cancelled(job: FarJob, environ: Mapping[str, str]) -> str:
    await _ask(("scancel", "-Q", f"--name={job.name}"), environ)
    listed = await _ask(("squeue", "-h", "--all", f"--name={job.name}", "-o", "%i %T %N"), environ)
    return "" if listed.status == 0 and not listed.stdout.strip() else f"squeue: {listed.words}"


async def _cleaned_up(job: FarJob, environ: Mapping[str, str]) -> str:
    done = await _ask(job.cleanup, environ) if job.cleanup else Told(0)
    return "" if done.status == 0 else f"`{shlex.join(job.cleanup)}`: {done.words}"


async def why_not_launchable(launcher: Launcher, environ: Mapping[str, str]) -> str:
    """Why nothing could be begun by this launcher; empty when it could. Begins nothing."""
    words: tuple[str, ...] = ()
    if launcher.use is LauncherKind.COMMAND:
        program = launcher.command.prefix[0]
        missing = shutil.which(program, path=environ.get("PATH", os.defpath)) is None
        return f"{program}: not installed (not on PATH)" * missing
    if launcher.use is LauncherKind.SLURM:
        one, *more = srun(launcher.slurm, "sko-test")
        words = (one, "--test-only", *more, "true")
    with trio.move_on_after(ASK_SECONDS):
        answer = await _ask(words, launcher_environ(launcher.use, environ)) if words else Told(0)
        return "" if answer.status == 0 else answer.words
    return f"no answer in {ASK_SECONDS:g} s"


async def _ask(argv: tuple[str, ...], environ: Mapping[str, str]) -> Told:
    said: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}

    async def read(name: str) -> None:
        while chunk := await getattr(keeper, name).receive_some():
            said[name] += chunk[: ANSWER_BYTES - len(said[name])]

    try:
        command = Command(argv, Path("/"), environ, grace=0.0)
        async with open_keeper(command) as keeper, trio.open_nursery() as nursery:
            nursery.start_soon(read, "stdout")
            nursery.start_soon(read, "stderr")
            ending = await keeper.wait()
    except CommandNotStarted as problem:
        return Told(None, stderr=problem.message)
    return Told(ending.returncode, *(text.decode("utf-8", "replace") for text in said.values()))
