"""`pause`, `unpause`, `stop` and `retry` on our whole program: live, dead, killed, on a long path."""

from __future__ import annotations

import os
import shutil
import signal
from typing import Any

import pytest
from attrs import evolve
from tests.process.stage import Stage, eventually

from spec_kitty_orchestrator.run.ordering import orders_folder
from spec_kitty_orchestrator.run.state import RunStatus

HOLD = {"run": ["sh", "-c", "until [ -e ../../released ]; do sleep 0.05; done"]}
"""An act that goes on until the test lets it."""


def hold(stage: Stage, **changes: Any) -> Stage:
    """Implementers are at work until they are let go, two at once."""
    acts = {"default": {"implementation": [HOLD], **changes.pop("acts", {})}}
    return stage.cast(acts=acts, max_concurrent_wps=2, refresh_seconds=1, **changes)


def at_work(stage: Stage) -> int:
    return stage.attempts().count(None) if stage.store().load() is not None else 0


def a_run_with_two_at_work(stage: Stage, **changes: Any) -> None:
    hold(stage, **changes).start()
    stage.until(lambda: at_work(stage) == 2)


def let_go(stage: Stage) -> None:
    (stage.arena.root / "released").touch()


def ordered(stage: Stage, *words: str) -> str:
    """One line on stdout, and nothing else."""
    done = stage.run(*words)
    assert [done.returncode, done.stderr] == [0, ""], done.text
    (line,) = done.stdout.splitlines()
    return str(line)


def end(stage: Stage) -> int:
    return stage.finish()[0]


# A live run.


def test_a_live_run_is_paused_hands_over_and_goes_on(stage: Stage) -> None:
    a_run_with_two_at_work(stage)
    assert ordered(stage, "pause") == (
        f"run {stage.state().run_id} is paused: agents at work finish, nothing new begins"
    )
    assert stage.state().paused_since is not None  # it is on the disk before it is said
    assert "PAUSED since" in stage.run("status").stdout
    let_go(stage)
    stage.until(lambda: at_work(stage) == 0)
    assert not eventually(lambda: len(stage.attempts()) > 2, seconds=1.0)
    assert "was paused before" in ordered(stage, "pause")
    assert ordered(stage, "unpause") == f"run {stage.state().run_id} goes on"
    assert end(stage) == 0
    assert stage.attempts() == ["succeeded"] * 8
    assert list(orders_folder(stage.arena.root).iterdir()) == []


def test_a_live_run_is_told_to_stop_after_what_is_at_work_and_resume_goes_on(stage: Stage) -> None:
    a_run_with_two_at_work(stage)
    assert "ends when what is at work has finished, with exit code 143" in ordered(
        stage, "stop", "--after-current"
    )
    assert stage.orchestrator is not None
    assert stage.orchestrator.poll() is None
    let_go(stage)
    assert end(stage) == 143
    assert stage.status() is RunStatus.STOPPED
    assert stage.attempts() == ["succeeded"] * 2
    assert stage.run("resume").returncode == 0
    assert stage.attempts() == ["succeeded"] * 8


def test_a_live_run_tries_again_what_it_had_blocked(stage: Stage) -> None:
    reject = {"verdict": "changes_requested", "feedback": "No."}
    acts = {"WP01": {"implementation": [{}], "review": [reject, {}]}}
    hold(stage, agents={"max_retries": 0}).cast(
        acts={"default": {"implementation": [HOLD]}, **acts},
        agents={"max_retries": 0},
        max_concurrent_wps=2,
    ).start()
    stage.until(lambda: stage.store().load() and stage.state().record("WP01").blocked)
    assert ordered(stage, "retry", "WP01", "--feedback", "Look again.") == (
        f"run {stage.state().run_id} tries WP01 again"
    )
    let_go(stage)
    assert end(stage) == 0


def test_stop_has_to_be_told_how(stage: Stage) -> None:
    done = stage.run("stop")
    assert done.returncode == 2
    assert "--after-current" in done.stderr
    assert "abort" in done.stderr


def test_the_path_of_a_repository_may_be_as_long_as_it_likes(stage: Stage) -> None:
    """A socket in it could not be bound: its path may be no longer than 107 bytes."""
    root = stage.arena.folder / ("long " * 30) / ("longer" * 30) / "project"
    shutil.copytree(stage.arena.root, root, symlinks=True)
    far = Stage(evolve(stage.arena, project=evolve(stage.arena.project, root=root)), stage.mark)
    try:
        a_run_with_two_at_work(far)
        assert "is paused" in ordered(far, "pause")
        assert "143" in ordered(far, "stop", "--after-current")
        let_go(far)
        assert end(far) == 143
    finally:
        far.clear()


# None that is alive.


@pytest.mark.parametrize("order", ["pause", "unpause", "stop --after-current"])
def test_without_a_live_run_an_order_is_refused_in_one_line(stage: Stage, order: str) -> None:
    done = stage.run(*order.split())
    assert [done.returncode, done.stdout] == [2, ""]
    (line,) = done.stderr.splitlines()
    assert f"no live run to {order.split()[0]} (start one: " in line


def test_a_run_that_was_killed_in_a_pause_stays_paused_until_it_is_told_to_go_on(stage: Stage) -> None:
    a_run_with_two_at_work(stage)
    ordered(stage, "pause")
    stage.signal(signal.SIGKILL)
    stage.finish()
    assert "was killed, PAUSED since" in " ".join(stage.run("status").stdout.split())
    refused = stage.run("pause")
    assert refused.returncode == 2
    assert "which is paused still: spec-kitty-orchestrator resume" in " ".join(refused.stderr.split())
    let_go(stage)
    stage.start(stage.command("resume"))
    stage.until(lambda: "PAUSED" in events(stage))
    assert not eventually(lambda: len(stage.attempts()) > 2, seconds=1.0)
    ordered(stage, "unpause")
    assert end(stage) == 0


def events(stage: Stage) -> str:
    """What the last start of the run has said."""
    path = stage.arena.root / ".kittify" / "logs" / stage.state().run_id / "events.jsonl"
    last = path.read_text().rpartition('"RunStarted"')[2]
    return "PAUSED" if '"RunPaused"' in last else ""


def test_a_dead_run_is_unpaused_too(stage: Stage) -> None:
    a_run_with_two_at_work(stage)
    ordered(stage, "pause")
    stage.signal(signal.SIGINT)
    assert end(stage) == 130
    assert "is not paused any more; go on with" in ordered(stage, "unpause")
    assert stage.state().paused_since is None
    assert stage.run("unpause").returncode == 2


# What lies in the folder, and is no order.


def test_what_is_no_order_for_this_run_is_not_obeyed(stage: Stage) -> None:
    a_run_with_two_at_work(stage)
    ordered(stage, "pause")
    folder, state = orders_folder(stage.arena.root), stage.state()
    another = evolve(state.process, pid=state.process.pid + 1)
    for_another = '{"order": "unpause", "to": {"pid": %d, "started": %r, "boot": "%s"}}'
    (folder / "a.order").write_text(for_another % (another.pid, another.started, another.boot))
    (folder / "b.order").write_text("no JSON")
    (folder / "c.order").write_text("[" * 200_000)
    (folder / "d.order").symlink_to("/dev/zero")
    (folder / "e.order").mkdir()
    os.mkfifo(folder / "f.order")
    stage.until(lambda: {path.name for path in folder.iterdir()} <= {"e.order"})
    assert stage.state().paused_since is not None
    ordered(stage, "unpause")
    stage.signal(signal.SIGINT)
    assert end(stage) == 130


def test_a_folder_that_others_can_write_to_carries_no_orders(stage: Stage) -> None:
    a_run_with_two_at_work(stage)
    folder = orders_folder(stage.arena.root)
    folder.mkdir()
    folder.chmod(0o777)
    done = stage.run("pause")
    assert done.returncode == 2
    assert "its owner alone may write to" in done.stderr
    stage.signal(signal.SIGINT)
    assert end(stage) == 130
