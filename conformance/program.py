"""A host's program, and one run of it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from spec_kitty_orchestrator.host.errors import Completed, HostMissing

PATIENCE_SECONDS = 120.0
"""For one call; a host takes about two seconds, and this leaves room for a slow machine."""


@frozen
class Host:
    """A host's program, the environment that it gets, and the seconds for one call."""

    binary: Path
    environ: Mapping[str, str]
    patience: float = PATIENCE_SECONDS

    def call(self, args: Sequence[str], cwd: Path) -> Completed:
        """One run of it.

        Raises:
            HostMissing: it cannot be started.
        """
        try:
            process = subprocess.Popen(
                (str(self.binary), *args),
                cwd=cwd,
                env={**self.environ, "PWD": str(cwd)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as exc:
            raise HostMissing(f"{self.binary} cannot be run: {exc.strerror}") from exc
        try:
            stdout, stderr = process.communicate(timeout=self.patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # what it started may hold the pipes
            process.communicate()
            return Completed(-signal.SIGKILL, b"", f"no answer in {self.patience:g} s".encode())
        return Completed(process.returncode, stdout, stderr)
