"""What one attempt does beside ending: its limits, its log, its environment, and what cancelling leaks."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, evolve
from tests.process.launch import Launch
from tests.process.test_keeper import alter_keeper

from spec_kitty_orchestrator.agents import get_agent
from spec_kitty_orchestrator.agents.failure import classify
from spec_kitty_orchestrator.agents.spec import FailureKind
from spec_kitty_orchestrator.agents.transcript import open_reader
from spec_kitty_orchestrator.errors import OrchestratorError
from spec_kitty_orchestrator.processes.attempt_log import LogNotWritten
from spec_kitty_orchestrator.processes.ending import EndedBy, Ending
from spec_kitty_orchestrator.processes.starting import CommandNotStarted, ProgramMissing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the arena sees processes in /proc")


def shell(arena: Any, script: str, **limits: Any) -> Launch:
    launch = arena.launch("obey", **limits)
    return evolve(launch, command=evolve(launch.command, argv=("sh", "-c", script)))


async def run(launch: Launch, sink: Any) -> Ending:
    return await launch.run(sink)


async def test_the_prompt_is_its_input_and_both_streams_are_its_log(arena: Any, new_sink: Any) -> None:
    launch = shell(arena, "cat; echo trouble >&2")
    sink = new_sink()
    ending = await run(launch, sink)
    assert (ending.returncode, ending.ended_by, ending.swept) == (0, EndedBy.EXITED, ())
    assert (sink.stdout, sink.stderr) == (b"the prompt\n", b"trouble\n")
    assert sorted(launch.log_file.read_text().splitlines()) == ["the prompt", "trouble"]
    assert stat.S_IMODE(launch.log_file.stat().st_mode) == 0o600


async def test_its_folder_is_the_workspace_in_both_ways(
    arena: Any, new_sink: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PWD", "/somewhere/else")
    sink = new_sink()
    await run(shell(arena, "env | grep ^PWD=; readlink /proc/self/cwd"), sink)
    assert sink.stdout.decode().split() == [f"PWD={arena.folder}", str(arena.folder)]


async def test_it_starts_with_fresh_signals_and_in_a_session_of_its_own(arena: Any, new_sink: Any) -> None:
    sink = new_sink()
    script = "grep -E 'Sig(Blk|Ign)' /proc/self/status; cut -d' ' -f6 /proc/$$/stat; echo $$"
    await run(shell(arena, script), sink)
    blocked, ignored, session, pid = sink.stdout.decode().splitlines()
    assert (int(blocked.split()[1], 16), int(ignored.split()[1], 16)) == (0, 0)
    assert session == pid


async def test_it_holds_no_pipe_of_ours(arena: Any, new_sink: Any) -> None:
    """An agent that held the lifeline would keep other agents alive after our death."""
    sink = new_sink()
    await run(shell(arena, "sleep 0.2; ls /proc/$$/fd"), sink)
    assert set(sink.stdout.decode().split()) <= {"0", "1", "2", "255"}


async def test_a_log_can_be_followed_while_the_agent_works(
    arena: Any, new_sink: Any, eventually: Any
) -> None:
    launch = shell(arena, "echo ready; sleep 60")
    sink = new_sink()
    log, seen = launch.log_file, False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, launch, sink)
        seen = await trio.to_thread.run_sync(
            eventually, lambda: log.exists() and log.read_text() == "ready\n"
        )
        nursery.cancel_scope.cancel()
    assert seen


@define
class Case:
    script: str
    limits: dict[str, float]
    ended_by: EndedBy


def pi_turns(*costs: float) -> str:
    """A script that says what pi says at the end of each turn, and goes on."""
    said = [
        json.dumps({"type": "turn_end", "message": {"role": "assistant", "usage": {"cost": {"total": cost}}}})
        for cost in costs
    ]
    return "; ".join([*(f"echo '{line}'" for line in said), "exec sleep 60"])


async def test_an_agent_that_tells_its_cost_as_it_goes_is_stopped_when_that_is_too_much(arena: Any) -> None:
    pi = get_agent("pi")
    reader = open_reader(pi, max_cost_usd=1.0)
    ending = await run(shell(arena, pi_turns(0.5, 0.25, 0.5)), reader)
    assert ending.ended_by is EndedBy.TOO_DEAR
    found = classify(pi, ending, reader.finish())
    assert found is not None
    assert found.kind is FailureKind.ATTEMPT_LIMIT
    assert reader.usage.cost_usd == 1.25


async def test_what_it_may_cost_it_may_cost_to_the_last_cent(arena: Any) -> None:
    launch = shell(arena, pi_turns(0.5, 0.5), timeout=3.0)
    assert (await run(launch, open_reader(get_agent("pi"), max_cost_usd=1.0))).ended_by is EndedBy.TIMEOUT


LIMITS = {
    "the time is up": Case("sleep 60", {"timeout": 0.2}, EndedBy.TIMEOUT),
    "output does not help against the time-out": Case(
        "while :; do echo x; sleep 0.02; done", {"timeout": 5.0, "idle_timeout": 4.0}, EndedBy.TIMEOUT
    ),
    "nothing is said": Case("echo one; sleep 60", {"idle_timeout": 0.2}, EndedBy.IDLE),
    "words on stderr count as output": Case(
        "for i in 1 2 3 4 5 6; do sleep 1; echo $i >&2; done", {"idle_timeout": 5.0}, EndedBy.EXITED
    ),
    "silence counts from the start": Case("sleep 60", {"idle_timeout": 0.2}, EndedBy.IDLE),
    "it has told that it costs too much": Case("echo TOO DEAR; sleep 60", {}, EndedBy.TOO_DEAR),
    "a result is not spoilt by what it has cost": Case(
        "echo FINAL RESULT TOO DEAR; sleep 60", {}, EndedBy.COMPLETED
    ),
    "the result is there but it stays": Case("echo FINAL RESULT; sleep 60", {}, EndedBy.COMPLETED),
    "a result is not spoilt by the time-out": Case(
        "echo FINAL RESULT; sleep 60", {"timeout": 4.0, "exit_deadline": 5.0}, EndedBy.COMPLETED
    ),
    "it exits soon after the result": Case(
        "echo FINAL RESULT; sleep 0.05", {"exit_deadline": 60}, EndedBy.EXITED
    ),
}


@pytest.mark.parametrize("case", LIMITS.values(), ids=LIMITS)
async def test_a_limit_ends_it(arena: Any, new_sink: Any, case: Case) -> None:
    ending = await run(shell(arena, case.script, **case.limits), new_sink())
    assert ending.ended_by is case.ended_by
    assert arena.left() == []


async def test_what_it_says_while_it_is_stopped_is_heard(arena: Any, new_sink: Any) -> None:
    sink = new_sink()
    script = "trap 'echo last words; exit 3' TERM; echo FINAL RESULT; while :; do sleep 0.02; done"
    launch = shell(arena, script, exit_deadline=0.1, grace=60.0)
    ending = await run(launch, sink)
    assert (ending.returncode, ending.ended_by) == (3, EndedBy.COMPLETED)
    assert "last words" in launch.log_file.read_text()


async def test_one_that_does_not_obey_is_killed_when_its_own_grace_is_over(arena: Any, new_sink: Any) -> None:
    script = "trap '' TERM; echo FINAL RESULT; while :; do sleep 0.02; done"
    ending = await run(shell(arena, script, exit_deadline=0.1, grace=11.0), new_sink())
    assert (ending.ended_by, ending.signal) == (EndedBy.COMPLETED, signal.SIGKILL)
    assert ending.seconds >= 11.1  # the usual grace is 10 s
    assert arena.left() == []


async def test_an_agent_that_ended_in_time_has_ended_by_itself_however_long_the_rest_takes(
    arena: Any, new_sink: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it left behind is deaf to SIGTERM and outlasts the limit."""
    alter_keeper(monkeypatch, "_keeper.LEFTOVER_SECONDS = 8")
    deaf = "setsid sh -c 'trap \"\" TERM; : > up; while :; do sleep 0.05; done'"
    script = f"{deaf} & while [ ! -e up ]; do sleep 0.01; done; exit 0"
    launch = shell(arena, script, grace=8.0, timeout=6.0)
    ending = await run(launch, new_sink())
    assert ending.seconds > 6.0
    assert (ending.returncode, ending.ended_by) == (0, EndedBy.EXITED)
    assert ending.swept


MISSING = {
    "no such program": ({"argv": ("/no/such/agent",)}, ProgramMissing),
    "not on the PATH": ({"argv": ("no-such-agent-anywhere",)}, ProgramMissing),
    "a file on its way": ({"argv": ("/dev/null/agent",)}, ProgramMissing),
    "not executable": ({"argv": (__file__,)}, ProgramMissing),
    "no such folder": ({"cwd": Path("/no/such/folder")}, CommandNotStarted),
    "no prompt": ({"stdin": Path("/no/such/prompt")}, CommandNotStarted),
    "more words than the system takes": ({"argv": ("true", *["x" * 100_000] * 60)}, CommandNotStarted),
}


@pytest.mark.parametrize(("change", "error"), MISSING.values(), ids=MISSING)
async def test_what_cannot_be_started_says_why_and_whose_fault_it_is(
    arena: Any, new_sink: Any, change: dict[str, Any], error: type[CommandNotStarted]
) -> None:
    launch = arena.launch("obey")
    launch = evolve(launch, command=evolve(launch.command, **change))
    words = r"cannot start .*(No such file|Permission denied|Not a directory|Argument list too long)"
    with pytest.raises(CommandNotStarted, match=words) as caught:
        await run(launch, new_sink())
    assert type(caught.value) is error


@pytest.mark.parametrize("name", ["our-script", "./our-script"])
async def test_a_script_without_its_interpreter_is_a_missing_program_and_names_it(
    arena: Any, new_sink: Any, name: str
) -> None:
    (arena.folder / "our-script").write_text("#!/no/such/node --quiet\n")
    (arena.folder / "our-script").chmod(0o755)
    launch = arena.launch("obey")
    path = f"{arena.folder}:{os.environ['PATH']}"
    command = evolve(launch.command, argv=(name,), env={**launch.command.env, "PATH": path})
    with pytest.raises(ProgramMissing, match=r"its interpreter is not: /no/such/node --quiet"):
        await run(evolve(launch, command=command), new_sink())


async def test_an_earlier_attempts_log_is_never_overwritten(arena: Any, new_sink: Any) -> None:
    launch = arena.launch("obey")
    launch.log_file.write_text("earlier")
    with pytest.raises(LogNotWritten, match="File exists"):
        await run(launch, new_sink())
    assert launch.log_file.read_text() == "earlier"


async def test_a_full_disk_stops_the_agent_with_a_reason(
    arena: Any, new_sink: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_open = os.open

    def open_full(path: Any, *rest: int) -> int:
        is_log = str(path).endswith(".log")
        return really_open("/dev/full", os.O_WRONLY) if is_log else really_open(path, *rest)

    monkeypatch.setattr("spec_kitty_orchestrator.processes.attempt_log.os.open", open_full)
    with pytest.raises(LogNotWritten, match="No space left"):
        await run(arena.launch("print_for_ever"), new_sink())


class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope after a number of task steps."""

    def __init__(self, step: int) -> None:
        self.left = step
        self.scope = trio.CancelScope()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if self.left == 0:
            self.scope.cancel()


def test_a_cancel_at_any_checkpoint_leaks_nothing(arena: Any, new_sink: Any) -> None:
    async def attempt(launch: Launch, cancel: CancelAtStep) -> None:
        with cancel.scope:
            await launch.run(new_sink())

    files, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    step = 0
    while True:
        step += 1
        cancel = CancelAtStep(step)
        launch = shell(arena, "echo one; sleep 0.02; echo FINAL RESULT")
        trio.run(attempt, launch, cancel, instruments=[cancel])
        assert arena.left() == [], f"after a cancel at step {step}"
        assert len(os.listdir("/proc/self/fd")) == files, f"after a cancel at step {step}"
        if not cancel.scope.cancel_called:
            break
    assert step > 10
    assert threading.active_count() < threads + step  # one or two, which the next attempt takes


async def test_many_attempts_in_a_row_leave_no_file_open(arena: Any, new_sink: Any) -> None:
    await run(shell(arena, "true"), new_sink())
    files = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        await run(shell(arena, "true"), new_sink())
    assert len(os.listdir("/proc/self/fd")) == files


async def test_an_error_of_the_caller_stops_the_agent(arena: Any, new_sink: Any) -> None:
    def refuse(_: object) -> None:
        raise OrchestratorError("cannot save")

    with pytest.raises(OrchestratorError, match="cannot save"):
        await arena.launch("grandchild").run(new_sink(), refuse)
    assert arena.left() == []
