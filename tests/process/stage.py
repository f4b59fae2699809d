"""Our whole program on the fake host, with agents that misbehave; what is done to it, and what is left."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from attrs import define, field

from spec_kitty_orchestrator.demo import project as demo_project
from spec_kitty_orchestrator.run.state import RunState, RunStatus, RunStore

HERE = Path(__file__).parent
SCRIPTED = Path(demo_project.__file__).with_name("scripted_agent.py")
GRACE = 0.5
PATIENCE = 600.0
"""Seconds for what takes a few, on a slow machine; reached only when something hangs."""
PAUSE = 0.3
"""Seconds between two signals: three times what makes them one event."""

HELD = """
case "$2" in start-implementation)
    if mkdir held 2>/dev/null; then
        trap ': > interrupted; exit 130' INT
        echo $$ > held/new && mv held/new held/pid
        until [ -e released ]; do sleep 0.05; done
        trap - INT
    fi
esac
"""
PATIENT = f"""
from spec_kitty_orchestrator.__main__ import run
from spec_kitty_orchestrator.host import program
program.ORPHANED_CHANGE_SECONDS = {PATIENCE}
run()
"""


def eventually(what: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Whether it comes true within a generous bound."""
    until = time.monotonic() + seconds
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def said(stream: IO[str] | None, words: str) -> str:
    """Waits until whole lines with these words have come, and returns all up to there.

    What comes later is left in the pipe, for `communicate`.
    """
    assert stream is not None
    heard, until = "", time.monotonic() + PATIENCE
    while words not in heard or not heard.endswith("\n"):
        ready = select.select([stream], [], [], max(0.0, until - time.monotonic()))[0]
        chunk = os.read(stream.fileno(), 65536) if ready else b""
        assert chunk, f"{words!r} was not said, but {heard!r}"
        heard += chunk.decode()
    return heard


def press_until_said(press: Callable[[], object], stream: IO[str] | None, words: str) -> str:
    """Ctrl-C until these words come, as a person does: one that comes too early is no new event."""
    assert stream is not None
    until = time.monotonic() + PATIENCE
    press()
    while not select.select([stream], [], [], PAUSE)[0] and time.monotonic() < until:
        press()
    return said(stream, words)


@define
class Stage:
    """One test's project, whose work packages are given to `bad` or to `good` agents.

    Attributes:
        arena: the project and its environment, in which everything is marked.
        mark: the mark.
        orchestrator: the process of the run, once there is one.
    """

    arena: Any
    mark: str
    orchestrator: subprocess.Popen[str] | None = field(default=None, init=False)

    # Before.

    def cast(self, modes: Sequence[str] = (), before_agent: Sequence[str] = (), **changes: Any) -> Stage:
        """The nth work package gets an agent that behaves like the nth mode, then a good one if it may retry.

        Without modes all agents are good ones, who do what `acts` (a script) says; `before_agent` is a
        command that runs them. `changes` are settings.
        """
        script = self.arena.folder / "script.json"
        script.write_text(json.dumps({"state": str(self.arena.state), **changes.pop("acts", {})}))
        of_wp = json.dumps(dict(zip(self.arena.project.wp_ids, modes, strict=False)))
        scripted = [sys.executable, "-I", "-S", str(SCRIPTED), "--script", str(script), "--name", "good"]
        argvs = {
            "bad": [sys.executable, "-S", str(HERE / "troupe.py"), of_wp],
            "good": [*before_agent, *scripted],
        }
        agents = {
            "implementation": ["bad", "good"] if modes else ["good"],
            "review": ["good"],
            "custom": {name: {"command": {"implementation": argv}} for name, argv in argvs.items()},
            **changes.pop("agents", {}),
        }
        self.arena.settings({"agents": agents, "grace_seconds": GRACE, "max_concurrent_wps": 8, **changes})
        return self

    def host(self, script: str) -> None:
        """Puts shell lines before the host; `$*` are its arguments, and `real` goes on with it."""
        path = Path(self.arena.environ["SK_ORCH_HOST_BINARY"])
        path.write_text(
            f'#!/bin/sh\nreal() {{ exec "{self.arena.project.host}" "$@"; }}\n{script}\nreal "$@"\n'
        )

    # The run.

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "spec_kitty_orchestrator", *args]

    @property
    def orchestrate_command(self) -> list[str]:
        return self.command("orchestrate", "--mission", self.arena.project.mission)

    def start(self, argv: Sequence[str] | None = None, **options: Any) -> subprocess.Popen[str]:
        """Starts a run; by default ours, with both outputs piped."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.orchestrator = subprocess.Popen(
            argv or self.orchestrate_command,
            cwd=self.arena.root,
            text=True,
            start_new_session=True,
            **{"env": self.arena.environ, **streams, **options},
        )
        return self.orchestrator

    def until(self, what: Callable[[], object]) -> None:
        """Returns when it comes true; fails at once when the run ends without."""
        assert self.orchestrator is not None
        ended = self.orchestrator.poll
        assert eventually(lambda: ended() is not None or what()), self.tell()
        assert what(), self.finish()

    def await_ready(self, count: int) -> None:
        """Until so many bad agents say that their misbehaviour is in place; their logs can be followed."""
        self.until(lambda: sum(b"ready" in _beginning(log) for log in self.logs()) >= count)

    def finish(self) -> tuple[int, str]:
        """Exit status and stderr of the run."""
        assert self.orchestrator is not None
        stderr = self.orchestrator.communicate(timeout=PATIENCE)[1]
        return self.orchestrator.returncode, stderr or ""

    def run(self, *args: str) -> Any:
        """One command to its end."""
        return self.arena.run(*args)

    def signal(self, signum: int) -> None:
        """Signals the orchestrating process, whatever shell it was started by."""
        os.kill(self.pid, signum)

    @property
    def pid(self) -> int:
        state = self.state()
        return state.process.pid

    # A change in flight.

    @property
    def patient_command(self) -> list[str]:
        """`orchestrate` with all the time for a change that it leaves behind when it is killed."""
        return [sys.executable, "-c", PATIENT, *self.orchestrate_command[3:]]

    def start_held(self, argv: Sequence[str] | None = None, *, script: str = "", **options: Any) -> None:
        """Starts a run of one agent at a time, and returns when the host is in the middle of the first claim.

        It stays there until `release`; interrupted, it exits as the real host does. `script` as for `host`.
        """
        self.cast(max_concurrent_wps=1, grace_seconds=60)  # no agent needs it; `abort` waits so much longer
        self.host(HELD + script)
        self.start(argv, **options)
        self.until((self.arena.root / "held" / "pid").exists)

    def release(self) -> None:
        (self.arena.root / "released").touch()

    def is_interrupted(self) -> bool:
        """Whether the held change was told to roll back."""
        return (self.arena.root / "interrupted").exists()

    # Afterwards.

    def logs(self) -> list[Path]:
        return sorted((self.arena.root / ".kittify" / "logs").glob("*/*.log"))

    def store(self) -> RunStore:
        return RunStore(self.arena.root / ".kittify")

    def state(self) -> RunState:
        """The state file, which must be valid."""
        state = self.store().load()
        assert state is not None
        return state

    def status(self) -> RunStatus:
        return self.state().status

    def keepers(self, count: int) -> list[int]:
        """The keepers of the attempts that are recorded as running, once there are so many."""

        def recorded() -> list[int]:
            attempts = [a for record in self.state().work_packages.values() for a in record.attempts]
            return [a.keeper.pid for a in attempts if a.keeper is not None and a.outcome is None]

        self.until(lambda: len(recorded()) == count)
        return recorded()

    def attempts(self) -> list[str | None]:
        """The outcome of every attempt of every work package."""
        return [a.outcome for record in self.state().work_packages.values() for a in record.attempts]

    def left(self) -> list[str]:
        """Whatever carries the test's mark or the run's id, in its environment or on its command line."""
        state = self.store().load()
        words = [self.mark, *([state.run_id] if state else [])]
        return [found for word in words for found in marked(word)]

    def tell(self) -> str:
        """What a failed test shows."""
        assert self.orchestrator is not None
        self.orchestrator.send_signal(signal.SIGTERM)
        return str(self.orchestrator.communicate(timeout=PATIENCE))

    def clear(self) -> None:
        """Ends a run that a failed test left, and lets go of its pipes."""
        if self.orchestrator is not None:
            self.orchestrator.kill()
            self.orchestrator.wait()
            for stream in (self.orchestrator.stdout, self.orchestrator.stderr):
                if stream is not None:
                    stream.close()


def marked(word: str) -> list[str]:
    """Every process but this one with the word in its environment or command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                if word.encode() in (entry / "environ").read_bytes() or word.encode() in command:
                    found.append(f"{entry.name} {command[:120].decode(errors='replace')}")
            except OSError:
                continue
    return found


def zombies_of(pid: int) -> list[int]:
    """The children of a process that have ended and that nobody has reaped."""
    listings = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for listing in listings for child in listing.read_text().split()]
    return [child for child in children if _state(child) == "Z"]


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096)
