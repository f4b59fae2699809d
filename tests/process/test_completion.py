"""Completion in real shells: what is typed with Tab arrives at the program in full."""

from __future__ import annotations

import os
import pty
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.process.stage import PATIENCE
from tests.process.test_surroundings import TAKE_TERMINAL
from tests.unit.test_completion import record

ASKS = '[ -n "$_SPEC_KITTY_ORCHESTRATOR_COMPLETE" ] || [ "$1" = completion ]'

SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(spec-kitty-orchestrator completion bash)"'),
    "zsh": (
        ["zsh", "-f", "-i"],
        'autoload -Uz compinit; compinit -u -D; eval "$(spec-kitty-orchestrator completion zsh)"',
    ),
    "fish": (["fish", "--no-config", "-i"], "spec-kitty-orchestrator completion fish | source"),
}
TYPED = {
    "stat\t--mission ta\t": "status --mission tally-01AAAAAA",
    "config sh\t--json": "config show --json",
    "retry WP01 W\t--agent cod\t": "retry WP01 WP02 --agent codex",
    "resu\t--only WP01,\t": "resume --only WP01,WP02",
}


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_completes_commands_missions_work_packages_and_agents(
    tmp_path: Path, clean_environ: dict[str, str], shell: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    for name in (".kittify", ".git", "bin"):
        (tmp_path / name).mkdir()
    record(tmp_path / ".kittify", None, "run-1", "tally-01AAAAAA", "WP01", "WP02")
    ran = tmp_path / "ran"
    program = tmp_path / "bin" / "spec-kitty-orchestrator"
    ours = shlex.join([sys.executable, "-m", "spec_kitty_orchestrator"])
    told = f"""printf '%s\\n' "$*" >> {shlex.quote(str(ran))}"""
    program.write_text(f'#!/bin/sh\nif {ASKS}; then exec {ours} "$@"; fi\n{told}\n')
    program.chmod(0o755)
    path = os.pathsep.join([str(program.parent), clean_environ["PATH"]])
    (name, *options), setup = SHELLS[shell]
    argv = [sys.executable, "-c", TAKE_TERMINAL, str(shutil.which(name)), *options]
    master, terminal = pty.openpty()
    env = {**clean_environ, "PATH": path, "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE_TERMINAL, *argv],
        cwd=tmp_path,
        env=env,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    shown = b""
    try:
        shown += type_in(master, f"{setup}\r", ran, "ready")
        for line, words in TYPED.items():
            shown += type_in(master, f"spec-kitty-orchestrator {line}\r", ran, words)
    except BaseException:
        print(shown.decode(errors="replace"))
        raise
    finally:
        process.kill()
        process.wait()
        os.close(master)


def type_in(master: int, keys: str, ran: Path, until: str) -> bytes:
    """Types, and returns what was shown until the program was called with these words."""
    if until == "ready":
        keys += "spec-kitty-orchestrator ready\r"
    os.write(master, keys.encode())
    shown, deadline = b"", time.monotonic() + PATIENCE
    os.set_blocking(master, False)
    while not ran.exists() or until not in ran.read_text().splitlines():
        assert time.monotonic() < deadline, (until, ran.exists() and ran.read_text(), shown)
        try:
            shown += os.read(master, 65536)
        except BlockingIOError:
            time.sleep(0.05)
    return shown
