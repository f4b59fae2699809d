"""We are suspended (Ctrl-Z, a stalled machine) while our agents go on: that time counts for nothing."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time

import pytest
from tests.process.stage import Stage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the stage sees processes in /proc")

TALK = """
i=0
while [ ! -e {folder}/enough ]; do echo talk; i=$((i+1)); echo $i > {folder}/count; sleep 0.1; done
head -c 200000 /dev/zero | tr '\\0' '\\n'
exec "$@"
"""
SECONDS = 15
"""The limit: what an agent may need for all of its work, on a slow machine."""


@pytest.mark.parametrize("limit", ["idle_timeout_seconds", "timeout_seconds"])
def test_an_agent_that_works_while_we_are_suspended_is_neither_silent_nor_too_late(
    stage: Stage, limit: str
) -> None:
    folder = stage.arena.folder
    stage.cast(
        before_agent=["sh", "-c", TALK.format(folder=shlex.quote(str(folder))), "sh"],
        agents={limit: SECONDS, "max_retries": 0},
        max_concurrent_wps=1,
    )
    stage.start()
    count = folder / "count"
    stage.until(count.exists)
    os.kill(stage.pid, signal.SIGSTOP)
    before = count.read_text()
    time.sleep(SECONDS + 2)
    assert count.read_text() != before  # the agents are in other sessions
    (folder / "enough").touch()  # now it fills its pipe, and waits for us
    time.sleep(0.5)
    os.kill(stage.pid, signal.SIGCONT)
    assert stage.finish() == (0, "")
    assert set(stage.attempts()) == {"succeeded"}
