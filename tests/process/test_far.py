"""An agent behind a launcher: what it gets, how it is ended, and what its end is taken for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, evolve, field
from tests.process.launch import Launch

from spec_kitty_orchestrator.agents import get_agent
from spec_kitty_orchestrator.agents.failure import classify
from spec_kitty_orchestrator.agents.spec import FailureKind
from spec_kitty_orchestrator.agents.transcript import open_reader
from spec_kitty_orchestrator.processes.ending import EndedBy, Ending
from spec_kitty_orchestrator.processes.far_file import put_far_keeper
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.processes.jobs import end_job, why_not_launchable
from spec_kitty_orchestrator.processes.launcher import (
    CommandOptions,
    FarJob,
    FarLaunch,
    Launcher,
    LauncherKind,
    News,
)
from spec_kitty_orchestrator.processes.starting import CommandNotStarted, ProgramMissing
from spec_kitty_orchestrator.run.jobs import end_jobs

from .kinds import STAYING
from .stage import PATIENCE, eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sees processes in /proc")

HERE = Path(__file__).parent
NODE = (sys.executable, "-S", str(HERE / "node.py"))


@define
class Place:
    """A machine beside this one, and how to launch there."""

    arena: Any
    socket: Path
    process: subprocess.Popen[str]
    news: list[News] = field(factory=list)
    told: trio.Event = field(factory=trio.Event)

    def hear(self, news: News) -> None:
        self.news.append(news)
        self.told.set()

    def send(self, launch: Launch, silence: float = PATIENCE, **changes: Any) -> Launch:
        """The same attempt, there; `changes` are fields of its FarLaunch."""
        keeper, report = put_far_keeper(self.arena.folder), launch.log_file.with_suffix(".far")
        report.touch()
        argv = (*NODE, "launch", str(self.socket), sys.executable, "-I", "-S", str(keeper))
        job = FarJob(LauncherKind.COMMAND, launch.log_file.stem)
        far = FarLaunch(argv, job, report, silence, PATIENCE, self.hear)
        return evolve(launch, command=evolve(launch.command, far=evolve(far, **changes)))


def place_in(arena: Any, *how: str) -> Iterator[Place]:
    socket = arena.folder / "node"
    with subprocess.Popen([*NODE, "serve", str(socket), *how], stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        assert node.stdout.readline() == "listening\n"
        yield Place(arena, socket, node)
        node.send_signal(signal.SIGCONT)
        node.kill()


@pytest.fixture
def place(arena: Any) -> Iterator[Place]:
    """Where stdin ends with the launcher."""
    yield from place_in(arena)


@pytest.fixture
def deaf_place(arena: Any) -> Iterator[Place]:
    """Where nobody hears that a launcher is gone."""
    yield from place_in(arena, "--deaf")


def shell(arena: Any, script: str, **limits: Any) -> Launch:
    launch = arena.launch("obey", **limits)
    return evolve(launch, command=evolve(launch.command, argv=("sh", "-c", script)))


def pids_of(words: str) -> list[int]:
    """The processes with these words on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            continue
        if entry.name.isdigit() and int(entry.name) != os.getpid() and words.encode() in command:
            found.append(int(entry.name))
    return found


@define
class Trial:
    """One attempt elsewhere under test: what is done to it once its agent is ready."""

    launch: Launch
    sink: Any
    ready: trio.Event = field(factory=trio.Event)
    keeper: list[ProcessIdentity] = field(factory=list)

    async def run(self) -> Ending:
        self.sink.on_ready = self.ready.set
        return await self.launch.run(self.sink, self.keeper.append)

    async def run_with(self, meddle: Callable[[], object]) -> Ending:
        endings = []
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                endings.append(await self.run())
                nursery.cancel_scope.cancel()

            nursery.start_soon(run)
            await self.ready.wait()
            meddle()
            await trio.sleep_forever()
        return endings[0]

    def kill_launcher(self) -> None:
        """The launcher alone: the only child of its keeper."""
        listing = Path(f"/proc/{self.keeper[0].pid}/task/{self.keeper[0].pid}/children")
        for pid in listing.read_text().split():
            os.kill(int(pid), signal.SIGKILL)

    def kill_keeper(self) -> None:
        os.kill(self.keeper[0].pid, signal.SIGKILL)


# What it is given.


async def test_it_has_its_prompt_folder_arguments_and_environment_as_here(
    place: Place, new_sink: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODD", "a 'b'\n\"c\" ü\udcff")
    long = "x" * 100_000
    script = 'cat; pwd; printf "%s|" "$ODD" "$PWD" "$1" "${#2}" >&2; exit 7'
    launch = shell(place.arena, script)
    argv = (*launch.command.argv, "sh", "", long)
    env = {**launch.command.env, "ODD": os.environ["ODD"]}
    launch = evolve(launch, command=evolve(launch.command, argv=argv, env=env))
    sink = new_sink()
    ending = await place.send(launch).run(sink)
    assert (ending.returncode, ending.ended_by, ending.elsewhere) == (7, EndedBy.EXITED, "")
    assert sink.stdout.decode() == f"the prompt\n{place.arena.folder}\n"
    told = os.fsencode(f"{os.environ['ODD']}|{place.arena.folder}||100000|")
    assert sink.stderr == told
    assert [bool(each.where) for each in place.news] == [True]


async def test_a_hundred_mebibytes_come_whole_and_a_log_that_is_full_ends_it(
    place: Place, new_sink: Any
) -> None:
    script = "head -c 100000000 /dev/zero"
    launch = place.send(shell(place.arena, script, max_log_mib=256))
    assert (await launch.run(new_sink())).returncode == 0
    assert launch.log_file.stat().st_size == 100_000_000
    ending = await place.send(shell(place.arena, script, max_log_mib=1)).run(new_sink())
    assert ending.ended_by is EndedBy.LOG_FULL


# How it is ended.


async def cancelled(trial: Trial) -> object:
    with trio.CancelScope() as scope:
        await trial.run_with(scope.cancel)
    return scope.cancelled_caught


async def cancelled_then_killed(trial: Trial) -> object:
    def both() -> None:
        scope.cancel()
        trial.launch.command.kill_now.set()

    with trio.CancelScope() as scope:
        await trial.run_with(both)
    return scope.cancelled_caught


async def time_out(trial: Trial) -> object:
    return (await trial.run()).ended_by in (EndedBy.TIMEOUT, EndedBy.COMPLETED)


async def launcher_killed(trial: Trial) -> object:
    return (await trial.run_with(trial.kill_launcher)).ended_by is EndedBy.LOST


async def keeper_killed(trial: Trial) -> object:
    return (await trial.run_with(trial.kill_keeper)).ended_by is EndedBy.LOST


ENDINGS: dict[Callable[[Trial], Awaitable[object]], dict[str, float]] = {
    cancelled: {"exit_deadline": PATIENCE},
    cancelled_then_killed: {"exit_deadline": PATIENCE},
    time_out: {"timeout": 0.6},
    launcher_killed: {"exit_deadline": PATIENCE},
    keeper_killed: {"exit_deadline": PATIENCE},
}


@pytest.mark.parametrize("mode", STAYING)
async def test_nothing_is_left_of_an_agent_elsewhere_that_is_ended(
    place: Place, new_sink: Any, mode: str
) -> None:
    wrong: dict[str, Any] = {}

    async def one(end: Callable[[Trial], Awaitable[object]], limits: dict[str, float]) -> None:
        trial = Trial(place.send(place.arena.launch(mode, **limits)), new_sink())
        as_expected = await end(trial)
        gone = await trio.to_thread.run_sync(eventually, lambda: not place.arena.left_of(trial.launch))
        if not gone or not as_expected:
            wrong[end.__name__] = {"gone": gone, "as expected": as_expected}

    async with trio.open_nursery() as nursery:
        for end, limits in ENDINGS.items():
            nursery.start_soon(one, end, limits)
    assert wrong == {}


VICTIMS = {
    "the orchestrator": ("orchestrator",),
    "it and the keepers": ("orchestrator", "keepers"),
    "it, the keepers and the launchers": ("orchestrator", "keepers", "launchers"),
}


@pytest.mark.parametrize("victims", VICTIMS.values(), ids=VICTIMS)
def test_nothing_is_left_anywhere_when_all_here_is_killed(place: Place, victims: tuple[str, ...]) -> None:
    place.arena.is_init = True
    kill_all_here(place, victims, PATIENCE)


def test_nothing_is_left_where_nobody_hears_of_it_when_all_here_is_killed(deaf_place: Place) -> None:
    """Nothing but the signs of life can tell."""
    deaf_place.arena.is_init = True
    kill_all_here(deaf_place, VICTIMS["it, the keepers and the launchers"], 3.0)


def kill_all_here(place: Place, victims: tuple[str, ...], silence: float) -> None:
    modes = ("ignore", "grandchild", "nameless_grandchild")
    driver = place.arena.drive(*(place.send(place.arena.launch(mode), silence) for mode in modes))
    driver.await_ready()
    pids = {
        "orchestrator": [driver.pid],
        "keepers": driver.keepers,
        "launchers": pids_of(f"node.py launch {place.socket}"),
    }
    for victim in victims:
        for pid in pids[victim]:
            os.kill(pid, signal.SIGKILL)
    assert driver.await_exit() == -signal.SIGKILL
    assert eventually(lambda: not place.arena.left())


async def test_what_it_leaves_behind_is_ended_and_named(place: Place, new_sink: Any) -> None:
    ending = await place.send(place.arena.launch("grandchild", "exit")).run(new_sink())
    assert (ending.returncode, ending.ended_by) == (0, EndedBy.EXITED)
    assert "python" in ending.swept[0]
    assert eventually(lambda: not place.arena.left())


async def test_an_order_to_kill_does_not_wait_for_the_grace(place: Place, new_sink: Any) -> None:
    trial = Trial(place.send(place.arena.launch("ignore", grace=3600.0)), new_sink())
    with trio.fail_after(PATIENCE):
        assert await cancelled_then_killed(trial)
    assert eventually(lambda: not place.arena.left())


@pytest.mark.parametrize("victims", ["launcher", "keeper"])
async def test_it_ends_by_itself_when_the_signs_of_life_stay_away(
    deaf_place: Place, new_sink: Any, victims: str
) -> None:
    launch = deaf_place.send(deaf_place.arena.launch("nameless_grandchild"), silence=1.5)
    trial = Trial(launch, new_sink())
    meddle = {"launcher": trial.kill_launcher, "keeper": trial.kill_keeper}[victims]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spec_kitty_orchestrator.processes.far.REPORT_SECONDS", PATIENCE)
        ending = await trial.run_with(meddle)
    assert (ending.ended_by, ending.elsewhere) == (EndedBy.LOST, "")
    assert "nothing was heard" in ending.words
    assert eventually(lambda: not deaf_place.arena.left())


async def test_signs_of_life_keep_a_silent_agent_alive(place: Place, new_sink: Any) -> None:
    launch = place.send(shell(place.arena, "sleep 7; exit 3"), silence=5.0)
    assert (await launch.run(new_sink())).returncode == 3


async def test_a_frozen_launcher_is_ended_and_so_is_what_it_launched(
    deaf_place: Place, new_sink: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spec_kitty_orchestrator.processes.far.KEEPER_SECONDS", 0.5)
    monkeypatch.setattr("spec_kitty_orchestrator.processes.far.LAUNCHER_SECONDS", 0.5)
    monkeypatch.setattr("spec_kitty_orchestrator.processes.far.REPORT_SECONDS", PATIENCE)
    launch = deaf_place.send(deaf_place.arena.launch("grandchild", timeout=1.0), silence=2.0)
    trial = Trial(launch, new_sink())

    def freeze() -> None:
        for pid in pids_of(f"node.py launch {deaf_place.socket}"):
            os.kill(pid, signal.SIGSTOP)

    ending = await trial.run_with(freeze)
    assert ending.ended_by is EndedBy.TIMEOUT
    assert eventually(lambda: not deaf_place.arena.left())


# What its end is taken for.


def failure_of(ending: Ending, sink: Any) -> FailureKind | None:
    reader = open_reader(get_agent("claude-code"))
    reader.feed_stdout(b'{"type": "result", "subtype": "success", "is_error": false, "result": "done"}\n')
    reader.feed_stderr(sink.stderr)
    found = classify(get_agent("claude-code"), ending, reader.finish())
    return None if found is None else found.kind


async def test_a_success_there_is_one(place: Place, new_sink: Any) -> None:
    sink = new_sink()
    ending = await place.send(shell(place.arena, "exit 0")).run(sink)
    assert failure_of(ending, sink) is None


async def test_a_node_that_fails_is_no_success_although_the_launcher_says_so(
    place: Place, new_sink: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spec_kitty_orchestrator.processes.far.REPORT_SECONDS", 0.2)
    place.arena.is_init = True
    trial = Trial(place.send(place.arena.launch("obey")), new_sink())
    far_keeper = str(place.arena.folder / "far-keeper.pyz")

    def fail() -> None:
        for pid in pids_of(f"-S {far_keeper}"):
            if not Path(f"/proc/{pid}/cmdline").read_bytes().count(b"launch"):
                os.kill(pid, signal.SIGKILL)

    ending = await trial.run_with(fail)
    assert ending.ended_by is EndedBy.LOST
    assert "nobody can be asked" in ending.elsewhere
    assert failure_of(ending, trial.sink) is FailureKind.LOST


async def test_one_that_is_stopped_by_somebody_there_is_no_success_whatever_its_status(
    place: Place, new_sink: Any
) -> None:
    launch = place.send(shell(place.arena, "trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done"))
    trial, far_keeper = Trial(launch, new_sink()), str(place.arena.folder / "far-keeper.pyz")

    def ask() -> None:
        for pid in pids_of(f"-S {far_keeper}"):
            if not Path(f"/proc/{pid}/cmdline").read_bytes().count(b"launch"):
                os.kill(pid, signal.SIGTERM)

    ending = await trial.run_with(ask)
    assert (ending.ended_by, ending.returncode, ending.elsewhere) == (EndedBy.ENDED_THERE, 0, "")
    assert failure_of(ending, trial.sink) is FailureKind.LOST


async def test_one_whose_launcher_is_gone_is_no_success_whatever_its_status(
    place: Place, new_sink: Any
) -> None:
    launch = place.send(shell(place.arena, "trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done"))
    trial = Trial(launch, new_sink())
    ending = await trial.run_with(trial.kill_launcher)
    assert (ending.ended_by, ending.returncode, ending.elsewhere) == (EndedBy.LOST, 0, "")
    assert failure_of(ending, trial.sink) is FailureKind.LOST


async def test_one_that_had_said_all_and_then_was_lost_is_no_success(
    place: Place, new_sink: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spec_kitty_orchestrator.processes.far.REPORT_SECONDS", 0.2)
    monkeypatch.setattr("spec_kitty_orchestrator.processes.far.KEEPER_SECONDS", 0.5)
    monkeypatch.setattr("spec_kitty_orchestrator.processes.far.LAUNCHER_SECONDS", 0.5)
    script = "echo FINAL RESULT; echo ready; exec sleep 1000"
    launch = place.send(shell(place.arena, script, grace=0.2, exit_deadline=0.5))
    trial = Trial(launch, new_sink())
    far_keeper = str(place.arena.folder / "far-keeper.pyz")
    frozen: list[int] = []

    def freeze() -> None:
        for pid in pids_of(f"-S {far_keeper}"):
            if not Path(f"/proc/{pid}/cmdline").read_bytes().count(b"launch"):
                frozen.append(pid)
                os.kill(pid, signal.SIGSTOP)

    try:
        ending = await trial.run_with(freeze)
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    assert ending.ended_by is EndedBy.LOST
    assert eventually(lambda: not place.arena.left())


NEVER = {
    "the launcher exits with 0": ("true", (), ""),
    "the launcher fails": ("sh", ("-c", "echo no such partition >&2; exit 1"), ""),
    "there is no such interpreter": ("env", ("no-such-python",), ""),
    "the log folder is another one there": ("env", ("rm", "$report"), ""),
}


@pytest.mark.parametrize(("program", "args"), [case[:2] for case in NEVER.values()], ids=NEVER)
async def test_what_never_begins_is_never_a_success(
    place: Place, new_sink: Any, program: str, args: tuple[str, ...]
) -> None:
    launch = place.send(place.arena.launch("obey"), argv=(program, *args))
    if "$report" in args:
        launch = place.send(place.arena.launch("obey"), report=Path("/no/such/report"))
    sink = new_sink()
    ending = await launch.run(sink)
    assert (ending.ended_by, ending.elsewhere) == (EndedBy.NOT_LAUNCHED, "")
    assert failure_of(ending, sink) is FailureKind.NOT_LAUNCHED


@pytest.mark.parametrize(
    ("change", "words"),
    [({"cwd": Path("/sys/kernel")}, "No such file"), ({"stdin": Path("/no/such/prompt")}, "No such file")],
    ids=["its folder is another one there", "its prompt is not there"],
)
async def test_a_place_where_something_is_missing_says_what(
    place: Place, new_sink: Any, change: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "exists", lambda path, **_: os.path.lexists(path) or path.name == ".git")
    launch = place.arena.launch("obey")
    launch = place.send(evolve(launch, command=evolve(launch.command, **change)))
    ending = await launch.run(new_sink())
    assert ending.ended_by is EndedBy.NOT_LAUNCHED
    assert words in ending.words


async def test_a_program_that_is_not_there_is_a_missing_program(place: Place, new_sink: Any) -> None:
    launch = place.arena.launch("obey")
    launch = evolve(launch, command=evolve(launch.command, argv=("no-such-agent-anywhere",)))
    with pytest.raises(ProgramMissing, match="no-such-agent-anywhere"):
        await place.send(launch).run(new_sink())


async def test_a_launcher_that_is_not_there_is_not_the_agents_fault(place: Place, new_sink: Any) -> None:
    with pytest.raises(CommandNotStarted, match="the launcher: cannot start no-such-launcher") as caught:
        await place.send(place.arena.launch("obey"), argv=("no-such-launcher",)).run(new_sink())
    assert not isinstance(caught.value, ProgramMissing)
    by_command = Launcher(LauncherKind.COMMAND, command=CommandOptions(("no-such-launcher",)))
    assert "not installed" in await why_not_launchable(by_command, dict(os.environ))


# What is left of it.


async def test_a_job_that_a_persons_own_variables_hide_is_not_taken_for_gone(tmp_path: Path) -> None:
    """What `squeue` shows is narrowed by its variables, and by partitions that are hidden."""
    script = '#!/bin/sh\ncase "$* $SQUEUE_STATES" in *--all*" ") echo "7 RUNNING node1";; esac\n'
    for name, text in {"squeue": script, "scancel": "#!/bin/sh\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SQUEUE_STATES": "PENDING"}
    assert "RUNNING" in await end_job(FarJob(LauncherKind.SLURM, "sko-1"), environ, 1.0)


async def test_of_a_job_that_nobody_can_be_asked_about_nobody_says_that_it_has_ended() -> None:
    settled = await end_jobs([FarJob(LauncherKind.COMMAND, "sko-1")], os.environ)
    assert (settled.unsettled, len(settled.words)) == ((), 1)
    assert "nobody can be asked" in settled.words[0]


# The way there.


def held(place: Place, launch: Launch, **changes: Any) -> Launch:
    """It gets to its place once the file `go` is there."""
    far = place.send(launch).command.far
    assert far is not None
    wait = 'while [ ! -e go ]; do sleep 0.05; done; exec "$@"'
    return place.send(launch, argv=("sh", "-c", wait, "sh", *far.argv), **changes)


async def test_the_way_there_counts_for_no_limit_and_is_told(place: Place, new_sink: Any) -> None:
    launch = held(place, shell(place.arena, "exit 3", timeout=4.0, idle_timeout=4.0))
    endings = []

    async def run() -> None:
        endings.append(await launch.run(new_sink()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await place.told.wait()
        assert place.news[0].where == ""
        await trio.sleep(4.5)  # longer than the attempt itself may take
        (place.arena.folder / "go").touch()
    assert (endings[0].returncode, endings[0].ended_by) == (3, EndedBy.EXITED)
    assert place.news[1].where != ""
    assert place.news[1].seconds > 4.0 > endings[0].seconds


async def test_one_that_takes_too_long_to_begin_is_given_up(place: Place, new_sink: Any) -> None:
    ending = await held(place, place.arena.launch("obey"), start_within=0.3).run(new_sink())
    assert ending.ended_by is EndedBy.NOT_LAUNCHED
    assert "did not begin within 0.3 s" in ending.words
    assert eventually(lambda: not place.arena.left())


async def test_one_that_is_on_its_way_is_stopped_at_once(place: Place, new_sink: Any) -> None:
    launch = held(place, place.arena.launch("obey", grace=3600.0))
    with trio.fail_after(PATIENCE), trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(launch.run, new_sink())
            await place.told.wait()
            scope.cancel()
    assert eventually(lambda: not place.arena.left())
