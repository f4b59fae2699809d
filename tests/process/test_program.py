"""Our whole program, whatever its agents do and however it is ended: nothing is left, and it can go on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from attrs import field, frozen
from tests.process.stage import GRACE, Stage, eventually, press_until_said, said, zombies_of

from spec_kitty_orchestrator.run.state import RunStatus

STAGE_1, STAGE_2 = "stopping; agents have", "Killing everything"


def first_signal(signum: int) -> Callable[[Stage], tuple[int, list[str]]]:
    def end(stage: Stage) -> tuple[int, list[str]]:
        stage.signal(signum)
        returncode, stderr = stage.finish()
        return returncode, stderr.splitlines()

    return end


def second_ctrl_c(stage: Stage) -> tuple[int, list[str]]:
    assert stage.orchestrator is not None
    stage.signal(signal.SIGINT)
    first = said(stage.orchestrator.stderr, STAGE_1)
    second = press_until_said(lambda: stage.signal(signal.SIGINT), stage.orchestrator.stderr, STAGE_2)
    returncode, rest = stage.finish()
    return returncode, (first + second + rest).splitlines()


def aborted(stage: Stage) -> tuple[int, list[str]]:
    done = stage.run("abort")
    assert done.returncode == 0
    assert f"run {stage.state().run_id} is recorded as aborted" in done.stdout
    assert "it stopped by itself" in done.stderr
    assert stage.left() == []
    returncode, stderr = stage.finish()
    return returncode, stderr.splitlines()


def killed(stage: Stage) -> tuple[int, list[str]]:
    stage.signal(signal.SIGKILL)
    returncode, stderr = stage.finish()
    assert eventually(lambda: not stage.left())
    assert "was killed; go on with" in stage.run("status").stdout
    return returncode, stderr.splitlines()


@frozen
class Ending:
    """A way to end a run: by whom it is played, and what must come of it."""

    do: Callable[[Stage], tuple[int, list[str]]]
    modes: tuple[str, ...]
    returncode: int
    stderr: tuple[str, ...] = (STAGE_1,)
    status: RunStatus = RunStatus.INTERRUPTED


ENDINGS = {
    "Ctrl-C": Ending(first_signal(signal.SIGINT), ("ignore", "grandchild", "server", "print_for_ever"), 130),
    "SIGTERM": Ending(
        first_signal(signal.SIGTERM), ("obey", "nameless_grandchild", "fork_loop", "stop_itself"), 143
    ),
    "SIGHUP": Ending(
        first_signal(signal.SIGHUP),
        ("run_away", "close_output", "stopped_grandchild", "final_then_stay"),
        129,
    ),
    "a second Ctrl-C": Ending(
        second_ctrl_c,
        ("ignore", "stop_itself", "nameless_grandchild", "print_for_ever"),
        130,
        (STAGE_1, STAGE_2),
    ),
    "abort": Ending(
        aborted,
        ("ignore", "open_terminal", "close_output", "fork_loop"),
        143,
        status=RunStatus.ABORTED,
    ),
    "kill -9": Ending(
        killed, ("ignore", "grandchild", "server", "run_away"), -signal.SIGKILL, (), RunStatus.RUNNING
    ),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_nothing_is_left_of_a_run_that_is_ended_and_it_goes_on_to_accepted(stage: Stage, name: str) -> None:
    ending = ENDINGS[name]
    stage.cast(ending.modes, grace_seconds=600 if STAGE_2 in ending.stderr else GRACE)
    stage.start()
    stage.await_ready(len(ending.modes))
    returncode, stderr = ending.do(stage)
    assert stage.left() == []
    assert [returncode, stage.status()] == [ending.returncode, ending.status]
    assert len(stderr) == len(ending.stderr)
    assert all(wanted in line for wanted, line in zip(ending.stderr, stderr, strict=True))
    goes_on_to_accepted(stage)


def goes_on_to_accepted(stage: Stage) -> None:
    before = {log: log.stat().st_size for log in stage.logs()}
    done = stage.cast().run("resume")
    assert done.returncode == 0, done.text
    assert stage.left() == []
    assert set(stage.arena.lanes().values()) == {"done"}
    assert {log: log.stat().st_size for log in stage.logs() if log in before} == before


def nothing(stage: Stage) -> None:
    """The agents' own doing."""


def kill_keepers(stage: Stage) -> None:
    stage.await_ready(4)
    for keeper in stage.keepers(4):
        os.kill(keeper, signal.SIGKILL)


@frozen
class Unfit:
    """What makes an agent give way to the next: by whom it is played, and the outcomes that are recorded."""

    modes: tuple[str, ...]
    outcomes: set[str]
    limits: dict[str, Any] = field(factory=dict)
    meddle: Callable[[Stage], None] = nothing


UNFIT = {
    "time-out": Unfit(
        ("ignore", "nameless_grandchild", "server", "print_for_ever"),
        {"timeout"},
        {"settings": {"bad": {"timeout_seconds": 2}}},
    ),
    "silence": Unfit(
        ("close_output", "stop_itself", "grandchild", "run_away"), {"stalled"}, {"idle_timeout_seconds": 12}
    ),
    "a lost keeper": Unfit(
        ("ignore", "nameless_grandchild", "fork_loop", "stopped_grandchild"), {"crashed"}, meddle=kill_keepers
    ),
    "an end of its own": Unfit(
        ("leave_pipe", "die", "exit_137", "kill_keeper"), {"handover_refused", "crashed"}
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_nothing_is_left_of_an_agent_that_gives_way_and_the_next_one_ends_the_work(
    stage: Stage, name: str
) -> None:
    unfit = UNFIT[name]
    acts = {"default": {"review": [{"sleep": 0.5}]}}
    limits = {"max_retries": 0, **unfit.limits}
    stage.cast(unfit.modes, agents=limits, acts=acts, max_log_mb=100_000)  # time comes before the log's end
    orchestrator = stage.start()
    unfit.meddle(stage)
    stage.until(lambda: len(list(stage.arena.state.glob("*-review-1.json"))) == 4)
    running = stage.left()
    assert eventually(lambda: not zombies_of(orchestrator.pid))
    assert not [line for line in running if "agents.py" in line]
    assert stage.finish() == (0, "")
    assert stage.left() == []
    bad = [a for r in stage.state().work_packages.values() for a in r.attempts if a.agent == "bad"]
    assert {attempt.outcome for attempt in bad} == unfit.outcomes
