"""An attempt's log: its cap, a disk that takes nothing, and a disk that is slow; nobody else is held up."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import trio
from attrs import evolve
from tests.process.launch import Launch
from tests.process.stage import Stage

from spec_kitty_orchestrator.processes import attempt_log
from spec_kitty_orchestrator.processes.attempt_log import LogNotWritten
from spec_kitty_orchestrator.processes.ending import EndedBy

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the arena sees processes in /proc")

MIB = 2**20


def shell(arena: Any, script: str, **limits: Any) -> Launch:
    launch = arena.launch("obey", **limits)
    return evolve(launch, command=evolve(launch.command, argv=("sh", "-c", script)))


async def test_an_agent_that_prints_more_than_it_may_is_stopped_and_its_log_says_so(
    arena: Any, new_sink: Any
) -> None:
    launch = shell(arena, "yes", max_log_mib=1.5)
    ending = await launch.run(new_sink())
    assert ending.ended_by is EndedBy.LOG_FULL
    log = launch.log_file.read_bytes()
    assert log[: MIB + MIB // 2] == b"y\n" * (MIB * 3 // 4)
    assert b"had printed 1.5 MiB" in log[MIB + MIB // 2 :]
    assert log.endswith(b"(max_log_mb)]\n")
    assert len(log) < MIB * 3 // 2 + 200


async def test_what_fills_its_log_to_the_brim_may_go_on(arena: Any, new_sink: Any) -> None:
    launch = shell(arena, f"head -c {MIB} /dev/zero", max_log_mib=1)
    ending = await launch.run(new_sink())
    assert (ending.returncode, ending.ended_by) == (0, EndedBy.EXITED)
    assert launch.log_file.read_bytes() == bytes(MIB)


async def test_a_log_is_whole_when_the_attempt_is_over(arena: Any, new_sink: Any) -> None:
    launch = shell(arena, "seq 1 300000")
    await launch.run(new_sink())
    assert launch.log_file.read_text() == "".join(f"{n}\n" for n in range(1, 300001))


@pytest.fixture
def stuck_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A disk that takes nothing of the first log until the event is set; the threads are gone afterwards."""
    really_append, works = attempt_log._append, threading.Event()
    stuck: list[threading.Thread] = []

    def append(descriptor: int, data: bytes) -> None:
        if "/1.log" in os.readlink(f"/proc/self/fd/{descriptor}"):
            stuck.append(threading.current_thread())
            if not works.wait(120):
                works.set()  # whoever waited for it will see that it was too long
            stuck.remove(threading.current_thread())
        really_append(descriptor, data)

    monkeypatch.setattr(attempt_log, "_append", append)
    yield works
    works.set()
    while stuck:
        threading.Event().wait(0.01)


async def test_a_slow_disk_holds_up_its_own_agent_alone_and_is_no_silence(
    arena: Any, new_sink: Any, stuck_disk: threading.Event
) -> None:
    talker, other = (
        shell(arena, "yes | head -c 4000000", idle_timeout=4.0),
        shell(arena, "echo hello; sleep 5"),
    )
    endings = {}

    async def run(launch: Launch) -> None:
        endings[launch.log_file.stem] = await launch.run(new_sink())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, talker)
        await run(other)
        assert set(endings) == {"2"}
        assert endings["2"].returncode == 0
        stuck_disk.set()
    assert endings["1"].ended_by is EndedBy.EXITED
    assert talker.log_file.stat().st_size == 4_000_000


async def test_a_disk_that_hangs_holds_up_no_stop(
    arena: Any, new_sink: Any, stuck_disk: threading.Event, eventually: Any
) -> None:
    files = len(os.listdir("/proc/self/fd"))
    launch = shell(arena, "echo FINAL RESULT", drain=0.5)
    with pytest.raises(LogNotWritten, match="the disk takes too long"):
        await launch.run(new_sink())
    assert not stuck_disk.is_set()
    stuck_disk.set()
    assert await trio.to_thread.run_sync(eventually, lambda: len(os.listdir("/proc/self/fd")) == files)


async def test_of_a_log_in_trouble_nothing_more_is_kept(arena: Any, new_sink: Any) -> None:
    with attempt_log.AttemptLog(arena.folder / "log", 1) as log:
        log.trouble = OSError(errno.EIO, "broken")
        log.take(b"x" * 1000)
        await log.caught_up()
        assert not log._waiting


def test_a_file_that_may_not_grow_costs_its_work_package_and_no_other(stage: Stage) -> None:
    """The limit that the system sets stands for a full disk, which only the one that prints much meets."""
    stage.cast(["print_for_ever"], agents={"max_retries": 0})
    stage.start(["bash", "-c", f"ulimit -f 2048; exec {shlex.join(stage.orchestrate_command)}"])
    assert stage.finish()[0] == 1
    lanes = stage.arena.lanes()
    assert lanes.pop("WP01") == "in_progress"
    assert set(lanes.values()) == {"done"}
    record = stage.state().work_packages["WP01"]
    assert "cannot write the log" in (record.last_error or "")
    assert "File too large" in record.attempts[0].message
    assert record.attempts[0].outcome == "interrupted"  # nothing is spent
    assert not record.tallies


def test_an_agent_that_prints_for_ever_gives_way_to_the_next(stage: Stage) -> None:
    stage.cast(["print_for_ever"], agents={"max_retries": 0}, max_log_mb=1)
    stage.start()
    assert stage.finish() == (0, "")
    assert "log_full" in stage.attempts()
    assert set(stage.arena.lanes().values()) == {"done"}


def test_a_check_that_prints_more_than_a_log_may_hold_is_red_however_it_then_exits(stage: Stage) -> None:
    stage.cast(
        checks=[["sh", "-c", "trap 'exit 0' TERM; yes"]],
        max_log_mb=1,
        max_concurrent_wps=1,
        agents={"max_retries": 0},
    )
    stage.start()
    assert stage.finish()[0] == 1
    events = next(stage.arena.root.glob(".kittify/logs/*/events.jsonl")).read_text()
    assert "printed more than a log may hold" in events
    assert "done" not in stage.arena.lanes().values()


def test_a_folder_for_the_events_that_cannot_be_made_is_told(stage: Stage) -> None:
    stage.cast(["ignore"] * 4, max_concurrent_wps=1)
    stage.start()
    stage.await_ready(1)
    stage.signal(signal.SIGTERM)
    stage.finish()
    logs = stage.arena.root / ".kittify" / "logs" / stage.state().run_id
    logs.rename(logs.with_suffix(".old"))
    logs.write_text("in the way")
    resumed = stage.run("resume")
    assert (resumed.returncode, resumed.stderr) == (2, f"error: cannot write {logs}: File exists\n")
