"""`kill -9` of the orchestrator at every step: nothing goes on without it, and `resume` ends the mission."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve
from conformance.fake.program import install_fake_host
from tests.conftest import Arena
from tests.process.stage import Stage, eventually

from spec_kitty_orchestrator.demo.project import PlannedWorkPackage, Project, ProjectPlan, make_project
from spec_kitty_orchestrator.run.state import RunStatus

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sees processes in /proc")

CRASH = Path(__file__).with_name("crash.sh")
FEEDBACK = "mend the first line"
ACTS = {"WP01": {"review": [{"verdict": "changes_requested", "feedback": FEEDBACK}, {}]}}
AT_ONCE = 2

STEPS = (
    "contract-version", "mission-state",
    "start-implementation", "for_review", "start-review", "in_progress", "for_review", "start-review", "done",
    "start-implementation", "for_review", "start-review", "done", "accept-mission",
)  # fmt: skip
"""The host calls of the mission: WP01 is rejected once, WP02 waits for it."""
AGENTS = 6
TO_DONE = "--actor spec-kitty-orchestrator --to done"


@pytest.fixture(scope="module")
def chain(clean_environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two work packages, one after the other."""
    folder = tmp_path_factory.mktemp("chain")
    first = PlannedWorkPackage("WP01", "Write one", "Write it.", ("one.txt",))
    second = PlannedWorkPackage("WP02", "Write two", "Write it.", ("two.txt",), dependencies=("WP01",))
    host = install_fake_host(folder / "bin")
    return make_project(ProjectPlan("chain", (first, second)), folder / "project", host, clean_environ)


@define
class Crash:
    """One mission that is killed as planned."""

    folder: Path
    stage: Stage

    def plan(self, text: str) -> None:
        (self.folder / "plan").write_text(text + "\n")

    def run(self, *args: str) -> int:
        """One run of our program, which leaves its pid where `crash.sh` looks for it."""
        argv = shlex.join(self.stage.command(*args))
        self.stage.start(["sh", "-c", f"echo $$ > {shlex.quote(str(self.folder / 'pid'))}; exec {argv}"])
        return self.stage.finish()[0]

    def orchestrate(self) -> int:
        return self.run("orchestrate", "--mission", self.stage.arena.project.mission)

    def done(self, words: str) -> int:
        """How many host calls with these words succeeded."""
        calls = (self.folder / "done").read_text().split("\0")
        return sum(words in call for call in calls)

    def logs(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.stage.logs()}

    def problems(self, before: dict[Path, bytes]) -> list[str]:
        """What is not as it must be at the end."""
        state, lanes = self.stage.state(), self.stage.arena.lanes()
        attempts = [attempt for record in state.work_packages.values() for attempt in record.attempts]
        logs = [attempt.log for attempt in attempts]
        after = self.logs()
        prompts = self.stage.arena.prompts("good", "WP01", "implementation")
        was_rejected = self.done("--to in_progress") > 0
        checks = {
            "a process is left": not self.stage.left(),
            "the run has not finished": state.status is RunStatus.FINISHED,
            f"lanes: {lanes}": set(lanes.values()) == {"done"},
            "approved twice": all(self.done(f"--wp {wp} {TO_DONE}") <= 1 for wp in ("WP01", "WP02")),
            "the feedback was lost": not was_rejected or FEEDBACK in prompts[-1],
            "two attempts share a log": len(set(logs)) == len(logs),
            "a log was overwritten": all(after[path].startswith(text) for path, text in before.items()),
            "an attempt was recorded as running": all(attempt.outcome for attempt in attempts),
        }
        return [what for what, holds in checks.items() if not holds]


NewCrash = Callable[[str], Crash]


NewCrash = Callable[[str], Crash]


@pytest.fixture
def new_crash(tmp_path: Path, clean_environ: dict[str, str], chain: Project, trace: Any) -> NewCrash:
    def make(name: str) -> Crash:
        folder = tmp_path / re.sub(r"\W", "-", name)
        shutil.copytree(chain.root, folder / "project", symlinks=True)
        host = folder / "host" / "spec-kitty"
        host.parent.mkdir()
        argv = shlex.join([str(CRASH), str(folder), "host", str(chain.host)])
        host.write_text(f'#!/bin/sh\nexec {argv} "$@"\n')
        host.chmod(0o755)
        environ = {**clean_environ, **trace.environ, "SK_ORCH_HOST_BINARY": str(host)}
        environ["MARK_OF_THIS_CRASH"] = mark = f"{trace.word}:{name}."
        arena = Arena(folder, evolve(chain, root=folder / "project", environ=environ), environ)
        crash = Crash(folder, Stage(arena, mark))
        crash.stage.cast(acts=ACTS, before_agent=[str(CRASH), str(folder), "agent"])
        return crash

    return make


def killed_and_resumed(crash: Crash, plan: str) -> list[str]:
    """Runs the mission, is killed as planned, goes on; what is wrong then."""
    crash.plan(plan)
    returncode = crash.orchestrate()
    if returncode != -signal.SIGKILL:
        return [f"was not killed: {returncode}"]
    crash.plan("none never")
    if "during" not in plan and not eventually(lambda: not crash.stage.left()):
        return [f"went on without its orchestrator: {crash.stage.left()}"]
    before = crash.logs()
    returncode = crash.run("resume")
    return [*([f"resume ended with {returncode}"] if returncode else []), *crash.problems(before)]


def put_through(new_crash: NewCrash, when: str, steps: Sequence[str]) -> dict[str, list[str]]:
    """What went wrong, by step."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda step: killed_and_resumed(new_crash(step), f"{step} {when}"), steps)
        return {step: wrong for step, wrong in zip(steps, found, strict=True) if wrong}


def test_the_mission_takes_the_steps_that_are_tried_below(new_crash: NewCrash) -> None:
    crash = new_crash("undisturbed")
    crash.plan("none never")
    assert crash.orchestrate() == 0
    calls = re.findall(
        r"orchestrator-api ([\w-]+)(?:[^\0]*? --to (\w+))?", (crash.folder / "done").read_text()
    )
    taken = [lane or command for command, lane in calls]
    assert (*sorted(taken[:2]), *taken[2:]) == STEPS, "the first two are asked for side by side"
    assert len(list(crash.folder.glob("agent-*"))) == AGENTS


def test_killed_before_the_host_did_what_it_was_asked(new_crash: NewCrash) -> None:
    assert put_through(new_crash, "instead", [f"host-{n}" for n in (3, 4, 5, 6, 9, 14)]) == {}


def test_killed_before_it_heard_what_the_host_did(new_crash: NewCrash) -> None:
    assert put_through(new_crash, "after", [f"host-{n}" for n in (3, 4, 5, 6, 7, 8, 9, 14)]) == {}


def test_resumed_at_once_while_the_host_still_does_what_the_dead_run_asked(new_crash: NewCrash) -> None:
    assert put_through(new_crash, "during", [f"host-{n}" for n in (3, 6, 9)]) == {}


def test_killed_as_an_agent_begins(new_crash: NewCrash) -> None:
    assert put_through(new_crash, "instead", [f"agent-{n}" for n in (1, 2)]) == {}


def test_killed_as_an_agent_ends(new_crash: NewCrash) -> None:
    assert put_through(new_crash, "after", [f"agent-{n}" for n in (1, 2, 3, 4)]) == {}


def test_killed_after_every_single_change_it_still_comes_to_the_end(new_crash: NewCrash) -> None:
    crash = new_crash("again and again")
    crash.plan("change after")
    ends = [crash.orchestrate()]
    while len(ends) <= len(STEPS) and crash.stage.status() is RunStatus.RUNNING:
        before = crash.logs()
        ends.append(crash.run("resume"))
    assert len(ends) > 10
    crash.plan("none never")
    assert crash.run("resume") == 0
    assert crash.problems(before) == []


def test_a_torn_draft_of_the_state_file_is_no_state(new_crash: NewCrash) -> None:
    crash = new_crash("torn")
    crash.plan("host-5 after")
    crash.orchestrate()
    draft = crash.stage.store().path.with_suffix(".json.new")
    draft.write_text(json.dumps({"schema_version": 1})[:9])
    crash.plan("none never")
    assert crash.run("resume") == 0
    assert not draft.exists()
