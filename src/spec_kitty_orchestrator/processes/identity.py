"""Which process is meant: a pid is given out again, a pid with its start time and its boot is not."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

import psutil
from attrs import frozen

SLACK_SECONDS = 0.001 if sys.platform == "linux" else 2.0
"""How far two readings of one start may differ: outside Linux it is wall time, which gets corrected."""
START_FIELD = 19
"""Of /proc/PID/stat, counted from the state that follows the name: ticks since boot."""


@cache
def boot_identity() -> str:
    """What tells this boot of the machine from any other."""
    if sys.platform == "linux":
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return str(int(psutil.boot_time()))


@cache
def pid_namespace() -> str | None:
    """What tells the pids that we see from those of another container; None where there is no such thing."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None


@frozen
class ProcessIdentity:
    """One process that ran on this machine.

    Attributes:
        pid: its number.
        started: on Linux seconds since boot, which no clock correction moves; elsewhere since the epoch.
        boot: the boot that both belong to.
        namespace: the container whose pids are meant; None: none is known.
    """

    pid: int
    started: float
    boot: str
    namespace: str | None = None

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """The process that has this pid now, also one that has ended and that nobody has waited for yet.

        Raises ProcessLookupError when there is none.
        """
        return cls(pid, _look(pid)[0], boot_identity(), pid_namespace())

    @property
    def is_of_another_container(self) -> bool:
        """Its pid means nothing here, or another process: whether it is alive cannot be seen by it."""
        return None not in (self.namespace, pid_namespace()) and self.namespace != pid_namespace()

    def is_alive(self) -> bool:
        """This very process can be seen from here, and is not a zombie."""
        if self.boot != boot_identity() or self.is_of_another_container:
            return False
        try:
            started, ended = _look(self.pid)
        except ProcessLookupError:
            return False
        return not ended and abs(started - self.started) < SLACK_SECONDS


def _look(pid: int) -> tuple[float, bool]:
    """When a process was started, and whether it has ended."""
    if sys.platform != "linux":
        return _look_elsewhere(pid)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError as error:
        raise ProcessLookupError(pid) from error
    return int(fields[START_FIELD]) / os.sysconf("SC_CLK_TCK"), fields[0] in "ZX"


def _look_elsewhere(pid: int) -> tuple[float, bool]:
    try:
        process = psutil.Process(pid)
        return process.create_time(), process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error as error:
        raise ProcessLookupError(pid) from error
