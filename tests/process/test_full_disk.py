"""A disk that takes nothing of one of our files: one line says so, and the next run ends accepted."""

from __future__ import annotations

import errno
import os
import sys

import pytest
from tests.process.stage import Stage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the arena sees processes in /proc")

REFUSES = """\
import errno, os, sys

place, name, times, code = os.environ["DISK_REFUSES"].split()
left = [1] * int(times)

def guarded(call):
    def guard(what, *args, **options):
        path = os.readlink(f"/proc/self/fd/{what}") if name == "write" else os.fsdecode(what)
        reads = name == "open" and not args[0] & (os.O_WRONLY | os.O_RDWR)
        if place in path and not reads and left:
            left.pop()
            raise OSError(int(code), os.strerror(int(code)), path)
        return call(what, *args, **options)
    return guard

if "spec_kitty_orchestrator" in sys.orig_argv:
    setattr(os, name, guarded(getattr(os, name)))
"""
"""Goes into the program alone, not into what it starts."""

ONCE, OFTEN = 1, 1000
PLACES = {
    # what it is → part of the path, the call, how often it is refused, and the exit code
    "the state": ("run-state.json", "open", OFTEN, 1),
    "the state's place": ("run-state.json", "replace", OFTEN, 1),
    "the lock file": ("orchestrator.lock", "open", OFTEN, 2),
    "the folder of the logs": ("/logs", "mkdir", OFTEN, 2),
    "the events": ("events.jsonl", "open", OFTEN, 2),
    "an event": ("events.jsonl", "write", ONCE, 0),
    "all events": ("events.jsonl", "write", OFTEN, 0),
    "a log": ("-implementation-1.log", "open", ONCE, 0),
    "what an agent says": ("-review-1.log", "write", ONCE, 0),
    "a prompt": (".prompt.md", "open", ONCE, 0),
}


@pytest.mark.parametrize("what", PLACES)
def test_a_disk_that_takes_nothing_of_a_file_of_ours_costs_no_work_package(stage: Stage, what: str) -> None:
    place, call, times, expected = PLACES[what]
    site = stage.arena.folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(REFUSES)
    stage.cast()
    order = f"{place} {call} {times} {errno.ENOSPC}"
    stage.start(env={**stage.arena.environ, "PYTHONPATH": str(site), "DISK_REFUSES": order})
    assert stage.orchestrator is not None
    stdout, stderr = stage.orchestrator.communicate(timeout=25)
    said = stdout + stderr
    assert stage.orchestrator.returncode == expected, said
    assert "Traceback" not in said
    assert "internal error" not in said
    assert os.strerror(errno.ENOSPC) in said
    if expected:
        assert stage.run("orchestrate", "--mission", stage.arena.project.mission).returncode == 0
