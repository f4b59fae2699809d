"""`on_finish` and what keeps the machine awake, on our whole program: nothing stays, whatever ends it."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.process.stage import PATIENCE, Stage, eventually, marked, press_until_said, said

TO_A_FILE = ["sh", "-c", "cat > told.json"]
HANGS = ["sh", "-c", "trap '' TERM; echo hangs > begun; while :; do sleep 1; done"]
INHIBIT = """\
#!/bin/sh
echo "$@" >> "{folder}/asked"
case "$1" in {refused}) exit 1;; esac
shift 3
exec "$@"
"""


def told(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((stage.arena.root / "told.json").read_text())
    return found


def begun(stage: Stage) -> Path:
    return Path(stage.arena.root / "begun")


# Who wants to know.


def test_at_its_end_a_run_tells_whoever_wants_to_know_and_what_becomes_of_that_changes_nothing(
    stage: Stage,
) -> None:
    """One fails, one is missing, one leaves a process behind; the last is told all the same.

    That the machine cannot be kept awake is told to nobody.
    """
    asked = inhibit(stage, refused="--what*")
    leaves = ["sh", "-c", "setsid sh -c ': > left; sleep 600' & until [ -e left ]; do sleep 0.05; done"]
    commands = [["sh", "-c", "echo no such hook >&2; exit 22"], ["no-such-program"], leaves, TO_A_FILE]
    stage.cast(on_finish=commands).start()
    assert stage.orchestrator is not None
    stdout, stderr = stage.orchestrator.communicate(timeout=PATIENCE)
    assert stage.orchestrator.returncode == 0
    assert stage.left() == []
    assert len(asked.read_text().splitlines()) == 2
    assert "inhibit" not in stdout + stderr
    found = told(stage)
    assert {key: found[key] for key in ("schema_version", "event", "status", "exit_code")} == {
        "schema_version": 1,
        "event": "finish",
        "status": "finished",
        "exit_code": 0,
    }
    assert found["work_packages"] == dict.fromkeys(["WP01", "WP02", "WP03", "WP04"], "done")
    assert "accepted: 4 work packages" in found["text"]
    logs = stage.arena.root / ".kittify" / "logs" / found["run_id"]
    assert "no such hook" in (logs / "on_finish-1.log").read_text()
    assert (logs / "on_finish-4.json").stat().st_mode & 0o777 == 0o600
    assert "exit status 22: no such hook" in stderr
    assert "WARNING: on_finish `no-such-program`" in stderr
    assert Path(found["report"]).is_file()


def test_a_run_that_is_told_to_stop_tells_it_too(stage: Stage) -> None:
    stage.cast(["obey"] * 4, max_concurrent_wps=1, on_finish=[TO_A_FILE]).start()
    stage.await_ready(1)
    stage.signal(signal.SIGTERM)
    assert stage.finish()[0] == 143
    assert [told(stage)["status"], told(stage)["exit_code"]] == ["interrupted", 143]


def test_another_ctrl_c_ends_what_is_told_at_the_end_at_once(stage: Stage) -> None:
    stage.cast(["obey"] * 4, max_concurrent_wps=1, on_finish=[HANGS])
    run = stage.start()
    stage.await_ready(1)
    stage.signal(signal.SIGINT)
    said(run.stderr, "stopping;")
    stage.until(begun(stage).exists)
    press_until_said(lambda: run.send_signal(signal.SIGINT), run.stderr, "Killing everything")
    assert stage.finish()[0] == 130
    assert stage.left() == []


def test_a_command_that_hangs_holds_up_a_stop_no_longer_than_its_bound(stage: Stage) -> None:
    """And a stop that comes when the run has ended does not change how it ended."""
    stage.cast(on_finish=[HANGS, TO_A_FILE]).start()
    stage.until(begun(stage).exists)
    stage.signal(signal.SIGTERM)
    assert stage.finish()[0] == 0
    assert stage.left() == []
    assert not (stage.arena.root / "told.json").exists()


def test_what_is_told_dies_with_a_run_that_is_killed(stage: Stage) -> None:
    stage.cast(on_finish=[HANGS]).start()
    stage.until(begun(stage).exists)
    stage.signal(signal.SIGKILL)
    stage.finish()
    assert eventually(lambda: not stage.left())


def test_what_needs_a_person_is_told_while_the_run_goes_on(stage: Stage) -> None:
    """This one may fall asleep."""
    asked = inhibit(stage)
    reject = {"verdict": "changes_requested", "feedback": "No."}
    wait = {"run": ["sh", "-c", "until [ -e ../../told.json ]; do sleep 0.05; done"]}
    acts = {"WP01": {"review": [reject]}, "default": {"implementation": [wait]}}
    acts["WP01"]["implementation"] = [{}]
    stage.cast(acts=acts, agents={"max_retries": 0}, on_attention=[TO_A_FILE])
    stage.start([*stage.orchestrate_command, "--allow-sleep"])
    assert stage.finish()[0] == 1
    assert not asked.exists()
    assert [each["wp_id"] for each in told(stage)["matters"]] == ["WP01"]


# The machine's sleep.


def inhibit(stage: Stage, refused: str = "none") -> Path:
    """A `systemd-inhibit` that refuses to hold some of what it is asked for; where it notes that."""
    folder = stage.arena.folder / "inhibit"
    folder.mkdir()
    program = folder / "systemd-inhibit"
    program.write_text(INHIBIT.format(folder=folder, refused=refused))
    program.chmod(0o755)
    stage.arena.environ["PATH"] = f"{folder}:{stage.arena.environ['PATH']}"
    return folder / "asked"


def is_held(stage: Stage) -> bool:
    return any("sleep infinity" in found for found in marked(stage.mark))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_keeps_the_machine_awake_until_its_end_whatever_that_is(stage: Stage, signum: int) -> None:
    asked = inhibit(stage)
    stage.cast(["obey"] * 4, max_concurrent_wps=1).start()
    stage.await_ready(1)
    stage.until(lambda: is_held(stage))
    stage.signal(signum)
    stage.finish()
    assert eventually(lambda: not stage.left())
    (line,) = asked.read_text().splitlines()
    assert line.startswith("--what=idle:sleep --who=spec-kitty-orchestrator ")


def test_where_sleep_may_not_be_held_up_idling_is(stage: Stage) -> None:
    asked = inhibit(stage, refused="--what=idle:sleep")
    stage.cast(["obey"] * 4, max_concurrent_wps=1).start()
    stage.until(lambda: is_held(stage))
    stage.signal(signal.SIGTERM)
    assert stage.finish()[0] == 143
    assert [line.split()[0] for line in asked.read_text().splitlines()] == [
        "--what=idle:sleep",
        "--what=idle",
    ]
