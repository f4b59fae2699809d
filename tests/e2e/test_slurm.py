"""Agents on a real Slurm: a mission, every way to end it, and what becomes of it when parts of it fail."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest
import trio
from attrs import define, evolve, field
from tests.e2e.slurm_cluster import CPUS, NODES, Cluster, cluster_in, why_not_here
from tests.process.conftest import Arena, Sink, arena, empty_afterwards, make_independent
from tests.process.launch import Launch
from tests.process.stage import PATIENCE, Stage, eventually

from spec_kitty_orchestrator.agents import get_agent
from spec_kitty_orchestrator.agents.failure import classify
from spec_kitty_orchestrator.agents.spec import FailureKind
from spec_kitty_orchestrator.agents.transcript import open_reader
from spec_kitty_orchestrator.demo.project import Project
from spec_kitty_orchestrator.processes.ending import EndedBy, Ending
from spec_kitty_orchestrator.processes.far_file import put_far_keeper
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.processes.jobs import why_not_launchable
from spec_kitty_orchestrator.processes.launcher import (
    FarJob,
    FarLaunch,
    Launcher,
    LauncherKind,
    News,
    SlurmOptions,
    launch_line,
)
from spec_kitty_orchestrator.run.state import RunStatus

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(why_not_here()), reason=why_not_here() or "-")]

SLURM = Launcher(LauncherKind.SLURM)
__all__ = ["arena"]  # a fixture of another folder


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster of all tests here."""
    with cluster_in(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture
def cluster(running: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The same, with nothing queued or broken before a test."""
    monkeypatch.setenv("SLURM_CONF", running.environ["SLURM_CONF"])
    monkeypatch.setenv("SLURM_NTASKS", "2")  # what a shell inside a job has: everything would run twice
    if running.daemons["slurmctld"].poll() is not None:
        running.start_controller()
        running.ask("scancel", "--user", "root")
    running.until(lambda: not running.jobs())
    running.revive()
    return running


@define
class Trial:
    """One attempt by Slurm: what is done to it once its agent is ready."""

    launch: Launch
    sink: Sink = field(factory=Sink)
    news: list[News] = field(factory=list)
    told: trio.Event = field(factory=trio.Event)
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

    def hear(self, news: News) -> None:
        self.news.append(news)
        self.told.set()

    @property
    def name(self) -> str:
        assert self.launch.command.far is not None
        return self.launch.command.far.job.name

    def sruns(self) -> list[int]:
        """`srun`, and the helper that it forks."""
        word = f"--job-name={self.name}"
        return [p.pid for p in psutil.process_iter(["cmdline"]) if word in (p.info["cmdline"] or ())]

    def far_keeper(self) -> psutil.Process:
        """The keeper on the node: the child of Slurm's own process there."""
        words = str(self.launch.log_file.parent / "far-keeper.pyz")
        found = [p for p in psutil.process_iter(["cmdline"]) if words in (p.info["cmdline"] or ())]
        return next(p for p in found if p.parent() is not None and p.parent().name() == "slurmstepd")

    def failure_of(self, ending: Ending) -> FailureKind | None:
        """What the ending is taken for, although the agent says that all is well."""
        reader = open_reader(get_agent("claude-code"))
        reader.feed_stdout(b'{"type": "result", "subtype": "success", "is_error": false, "result": "done"}\n')
        reader.feed_stderr(self.sink.stderr)
        found = classify(get_agent("claude-code"), ending, reader.finish())
        return None if found is None else found.kind


def by_slurm(arena: Arena, launch: Launch, silence: float = PATIENCE, **options: Any) -> Trial:
    """An attempt of the arena's, by Slurm."""
    report = launch.log_file.with_suffix(".far")
    report.touch()
    job = FarJob(LauncherKind.SLURM, f"sko-{uuid.uuid4()}")
    launcher = evolve(SLURM, slurm=SlurmOptions(**options))
    trial = Trial(launch)
    argv = launch_line(launcher, job, put_far_keeper(arena.folder), {})
    far = FarLaunch(argv, job, report, silence, PATIENCE, trial.hear)
    trial.launch = evolve(launch, command=evolve(launch.command, far=far))
    return trial


def shell(arena: Arena, script: str, **limits: Any) -> Launch:
    launch = arena.launch("obey", **limits)
    return evolve(launch, command=evolve(launch.command, argv=("sh", "-c", script)))


# One attempt.


async def test_an_agent_runs_on_a_node_as_it_would_here(cluster: Cluster, arena: Arena) -> None:
    script = 'cat; pwd; echo "$SLURMD_NODENAME $SLURM_NTASKS" >&2; exit 7'
    trial = by_slurm(arena, shell(arena, script))
    ending = await trial.run()
    assert (ending.returncode, ending.ended_by, ending.elsewhere) == (7, EndedBy.EXITED, "")
    assert trial.sink.stdout.decode() == f"the prompt\n{arena.folder}\n"
    node, tasks = trial.sink.stderr.decode().split()
    assert (node in NODES, tasks) == (True, "1")
    assert "(job " in trial.news[0].where


async def cancelled(trial: Trial) -> object:
    with trio.CancelScope() as scope:
        await trial.run_with(scope.cancel)
    return scope.cancelled_caught


async def timed_out(trial: Trial) -> object:
    return (await trial.run()).ended_by is EndedBy.TIMEOUT


def killing(victims: Callable[[Trial], list[int]]) -> Callable[[Trial], Any]:
    """Whoever is killed, the end is either told by the keeper there or taken for lost."""

    async def kill(trial: Trial) -> object:
        def meddle() -> None:
            for pid in victims(trial):
                with suppress(ProcessLookupError):  # it dies with the one before it
                    os.kill(pid, signal.SIGKILL)

        ending = await trial.run_with(meddle)
        return ending.ended_by is not EndedBy.NOT_LAUNCHED and trial.failure_of(ending) is not None

    return kill


async def cancelled_by_a_person(trial: Trial) -> object:
    """Slurm asks all processes of a job at once: the agent may be gone before its keeper is told."""
    ending = await trial.run_with(lambda: os.system(f"scancel --name={trial.name}"))
    is_told = ending.ended_by in (EndedBy.ENDED_THERE, EndedBy.LOST)
    return trial.failure_of(ending) is (FailureKind.LOST if is_told else FailureKind.CRASHED)


ENDINGS: dict[str, tuple[Callable[[Trial], Any], dict[str, float]]] = {
    "cancelled": (cancelled, {}),
    "timed out": (timed_out, {"timeout": 1.0}),
    "srun killed": (killing(lambda trial: trial.sruns()[:1]), {}),
    "srun and its helper killed": (killing(lambda trial: trial.sruns()), {}),
    "its keeper killed": (killing(lambda trial: [trial.keeper[0].pid]), {}),
    "all here killed": (killing(lambda trial: [*trial.sruns(), trial.keeper[0].pid]), {}),
    "cancelled by a person": (cancelled_by_a_person, {}),
}


@pytest.mark.parametrize("mode", ["nameless_grandchild", "stopped_grandchild"])
async def test_nothing_is_left_on_a_node_however_it_is_ended(
    cluster: Cluster, arena: Arena, mode: str
) -> None:
    wrong: dict[str, object] = {}
    room = trio.CapacityLimiter(CPUS * len(NODES) - 1)

    async def one(name: str, end: Callable[[Trial], Any], limits: dict[str, float]) -> None:
        trial = by_slurm(arena, arena.launch(mode, **limits), silence=60.0, cpus=1)
        async with room:
            as_expected = await end(trial)
        gone = await trio.to_thread.run_sync(eventually, lambda: not arena.left_of(trial.launch))
        queued = [job for job in cluster.jobs() if trial.name in job]
        if not gone or not as_expected or queued:
            wrong[name] = {"gone": gone, "as expected": as_expected, "queued": queued}

    async with trio.open_nursery() as nursery:
        for name, (end, limits) in ENDINGS.items():
            nursery.start_soon(one, name, end, limits)
    assert wrong == {}


async def test_a_node_that_fails_is_no_success_and_nothing_is_left_when_it_is_back(
    cluster: Cluster, arena: Arena
) -> None:
    trial = by_slurm(arena, arena.launch("nameless_grandchild"), silence=6.0)
    frozen: list[psutil.Process] = []

    def freeze() -> None:
        frozen.extend(cluster.node_of(trial.far_keeper()))
        for process in frozen:
            process.send_signal(signal.SIGSTOP)

    try:
        ending = await trial.run_with(freeze)
        assert ending.ended_by is EndedBy.LOST
        assert trial.failure_of(ending) is FailureKind.LOST
        assert arena.left() != []  # frozen
    finally:  # else no test after this one would find a node
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
    assert eventually(lambda: not arena.left())


async def test_one_that_waits_in_the_queue_has_no_time_of_its_own_and_leaves_it_when_stopped(
    cluster: Cluster, arena: Arena
) -> None:
    holders = [by_slurm(arena, arena.launch("obey"), cpus=CPUS) for _ in NODES]
    waiting = by_slurm(arena, arena.launch("obey", timeout=0.5), cpus=CPUS)
    async with trio.open_nursery() as nursery:
        for holder in holders:
            nursery.start_soon(holder.run)
        for holder in holders:
            await holder.ready.wait()
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as inner:
                inner.start_soon(waiting.run)
                await waiting.told.wait()
                scope.cancel()
        assert [each.where for each in waiting.news] == [""]
        assert not [job for job in cluster.jobs() if waiting.name in job]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ""),
        ({"partition": "nope"}, "nvalid partition"),
        ({"cpus": CPUS + 1}, "not available"),
        ({"memory": "4X"}, "--mem"),
    ],
)
async def test_what_slurm_would_refuse_is_told_before_anything_begins(
    cluster: Cluster, options: dict[str, Any], words: str
) -> None:
    launcher = evolve(SLURM, slurm=SlurmOptions(**options))
    told = await why_not_launchable(launcher, dict(os.environ))
    assert (words in told, bool(told)) == (True, bool(words))
    assert cluster.jobs() == []


# The whole program.


@pytest.fixture(scope="module")
def two(clean_environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two work packages on the fake host."""
    return make_independent(2, clean_environ, tmp_path_factory.mktemp("two"))


@pytest.fixture
def stage(enter: Callable[[Project], Any], two: Project, trace: Any, cluster: Cluster) -> Iterator[Stage]:
    """A stage whose agents run by Slurm, which must be empty afterwards."""
    arena = enter(two)
    arena.environ.update(cluster.environ)
    with empty_afterwards(Stage(arena, trace.word)) as stage:
        yield stage


BY_SLURM = {"use": "slurm", "slurm": {"cpus": 1}, "silence_seconds": 10}


def at_work(stage: Stage, *modes: str) -> None:
    stage.cast(modes, launcher=BY_SLURM)
    stage.start()
    stage.await_ready(len(modes))


def test_ctrl_c_ends_all_and_resume_goes_on(stage: Stage, cluster: Cluster) -> None:
    at_work(stage, "nameless_grandchild", "ignore")
    assert len(cluster.jobs()) == 2
    stage.signal(signal.SIGINT)
    assert stage.finish()[0] == 130
    assert cluster.jobs() == []
    assert stage.left() == []
    assert stage.attempts() == ["interrupted", "interrupted"]
    assert stage.state().far_jobs() == []
    stage.cast(launcher=BY_SLURM)
    done = stage.run("resume")
    assert done.returncode == 0, done.text
    assert cluster.jobs() == []


def test_abort_ends_all(stage: Stage, cluster: Cluster) -> None:
    at_work(stage, "nameless_grandchild", "obey")
    done = stage.run("abort")
    assert [done.returncode, stage.status()] == [0, RunStatus.ABORTED], done.text
    assert stage.finish()[0] == 143
    assert cluster.jobs() == []
    assert stage.left() == []


@pytest.mark.parametrize("command", ["resume", "abort"])
def test_what_a_run_that_was_killed_with_all_that_it_had_here_has_left_is_cancelled(
    stage: Stage, cluster: Cluster, command: str
) -> None:
    at_work(stage, "obey", "obey")
    jobs = stage.state().far_jobs()
    assert len(jobs) == 2
    keepers = stage.keepers(2)
    sruns = [
        p.pid
        for p in psutil.process_iter(["cmdline"])
        if any(f"--job-name={job.name}" in (p.info["cmdline"] or ()) for job in jobs)
    ]
    stage.signal(signal.SIGKILL)
    for pid in (*sruns, *keepers):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    stage.finish()
    assert len(cluster.jobs()) == 2
    stage.cast(launcher=BY_SLURM)
    # What is on this machine is found by its mark, too; on another one the job's name alone leads there.
    shim, calls = stage.arena.folder / "bin" / "scancel", stage.arena.folder / "cancelled"
    shim.parent.mkdir(exist_ok=True)
    shim.write_text(f'#!/bin/sh\necho "$*" >> "{calls}"\nexec /usr/bin/scancel "$@"\n')
    shim.chmod(0o755)
    done = stage.run(command)
    assert done.returncode == 0, done.text
    assert cluster.jobs() == []
    assert stage.left() == []
    assert stage.state().far_jobs() == []
    assert {f"-Q --name={job.name}" for job in jobs} <= set(calls.read_text().splitlines())


def test_a_launcher_that_slurm_would_refuse_is_wrong_usage(stage: Stage, cluster: Cluster) -> None:
    stage.cast(launcher={**BY_SLURM, "slurm": {"partition": "nope"}})
    done = stage.run(*stage.orchestrate_command[3:])
    assert done.returncode == 2
    assert "launcher slurm of good: " in done.stderr
    assert "nvalid partition" in done.stderr


def test_a_mission_goes_from_planned_to_accepted_on_the_real_host(
    enter: Any, trace: Any, apart: Callable[[int], Project], cluster: Cluster
) -> None:
    arena = enter(apart(2))
    arena.environ.update(cluster.environ)
    agents = {"implementation": ["claude-code"], "review": ["codex"]}
    arena.settings({"agents": agents, "refresh_seconds": 3600, "launcher": BY_SLURM})
    arena.agent("claude", {"WP02": {"implementation": [{"signal": "SIGKILL"}, {}]}})
    arena.agent("codex", {})
    ended = arena.orchestrate()
    assert ended.returncode == 0, ended.text
    assert arena.lanes() == dict.fromkeys(("WP01", "WP02"), "done")
    found = [event for event in arena.events() if event["event"] == "PlaceFound"]
    assert len(found) == 5  # two for each, and one more for the one that crashed
    assert all("(job " in event["where"] for event in found)
    assert trace.survivors() == []


# Last, as it takes Slurm a minute to forget the job of a controller that was away.


async def test_a_controller_that_is_away_spoils_no_result_and_launches_nothing(
    cluster: Cluster, arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spec_kitty_orchestrator.processes.far.CLEANUP_SECONDS", 1.0)
    monkeypatch.setattr("spec_kitty_orchestrator.processes.far.FAR_EXIT_SECONDS", 1.0)
    trial = by_slurm(arena, shell(arena, "echo ready; while [ ! -e go ]; do sleep 0.1; done; exit 3"))

    def take_away() -> None:
        cluster.stop_controller()
        (arena.folder / "go").touch()

    ending = await trial.run_with(take_away)
    assert (ending.returncode, ending.ended_by) == (3, EndedBy.EXITED)
    assert "it has ended, and may still hold its place" in ending.elsewhere
    late = by_slurm(arena, arena.launch("obey"))
    ending = await late.run()
    assert ending.ended_by is EndedBy.NOT_LAUNCHED
    assert "nobody knows whether it has ended" in ending.elsewhere
    assert late.failure_of(ending) is FailureKind.NOT_LAUNCHED
