"""A repository with a linked worktree in which one real CLI makes one attempt, as a run would have it."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from pathlib import Path

import psutil
import trio
from attrs import define, field, frozen

from spec_kitty_orchestrator.agents.agent import Agent
from spec_kitty_orchestrator.agents.failure import Failure
from spec_kitty_orchestrator.agents.sessions import InSession
from spec_kitty_orchestrator.agents.spec import AgentSettings, AgentSpec, Role
from spec_kitty_orchestrator.agents.transcript import Transcript
from spec_kitty_orchestrator.host.workspace import Workspace
from spec_kitty_orchestrator.mission.prompts import Assignment, GoneOn, review_prompt, work_prompt
from spec_kitty_orchestrator.processes.agent_process import Limits, run_agent
from spec_kitty_orchestrator.processes.ending import Ending
from spec_kitty_orchestrator.processes.keeper import Command
from spec_kitty_orchestrator.walls.around import Walls
from spec_kitty_orchestrator.walls.enclosure import Occupant

from .rigs import Rig

MARK = "SK_ORCH_TEST_BENCH"
REVIEW_REF = "review/WP01/1-0badcafe"

_WORK_PACKAGE = """\
---
work_package_id: WP01
subtasks: ["T001", "T002"]
owned_files: ["out/wp01.txt"]
---

# WP01: Write a line

Write the line `the work of WP01` to `out/wp01.txt`.
"""


@frozen
class Outcome:
    """What came of an attempt; `failure` is None for a success."""

    ending: Ending
    transcript: Transcript
    failure: Failure | None


@define
class Bench:
    """One agent's place. `repo` is the primary checkout, `workspace` the worktree."""

    folder: Path
    spec: AgentSpec
    binary: Path
    rig: Rig
    environ: dict[str, str]
    base: str = ""
    mark: str = field(factory=lambda: uuid.uuid4().hex)
    max_cost_usd: float | None = None
    walls: Walls = field(factory=Walls)
    user: int = 0
    """Who runs the agent, in place of root."""

    @property
    def repo(self) -> Path:
        return self.folder / "project"

    @property
    def workspace(self) -> Path:
        return self.repo / ".worktrees" / "m-lane-a"

    @property
    def planning_dir(self) -> Path:
        return self.repo / "kitty-specs" / "m"

    @property
    def marks(self) -> list[str]:
        """The subtasks that were marked, in order."""
        told = self.planning_dir / "marks"
        return told.read_text().split() if told.exists() else []

    def git(self, *args: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            ("git", *args),
            cwd=cwd or self.workspace,
            env=self.environ,
            user=self.user or None,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def build(self) -> None:
        """Makes the repository, the worktree, the home folder, and a host that only takes marks."""
        self.planning_dir.mkdir(parents=True)
        (self.planning_dir / "spec.md").write_text("# Spec\n")
        self.git("init", "-q", "-b", "main", cwd=self.repo)
        # In the repository: gemini's shell does not see the settings of the home folder.
        self.git("config", "user.name", "Bench", cwd=self.repo)
        self.git("config", "user.email", "bench@example.invalid", cwd=self.repo)
        (self.repo / ".gitignore").write_text(".worktrees/\n")
        self.git("add", "-A", cwd=self.repo)
        self.git("commit", "-q", "-m", "Start", cwd=self.repo)
        self.git("worktree", "add", "-q", "-b", "kitty/m-lane-a", str(self.workspace), cwd=self.repo)
        self.base = self.git("rev-parse", "HEAD")
        host = self.folder / "host"
        host.write_text(f'#!/bin/sh\necho "$4" >> {self.planning_dir}/marks\n')
        host.chmod(0o755)
        self.rig.furnish(Path(self.environ["HOME"]))

    def do_the_work(self) -> None:
        """Commits what a reviewer is to see."""
        (self.workspace / "out").mkdir()
        (self.workspace / "out" / "wp01.txt").write_text("the work of WP01\n")
        self.git("add", "out/wp01.txt")
        self.git("commit", "-q", "-m", "Do WP01")

    def place(self) -> Workspace:
        """The workspace, as the host would have named it."""
        return Workspace(
            path=self.workspace,
            git_dir=self.repo / ".git" / "worktrees" / "m-lane-a",
            common_git_dir=self.repo / ".git",
            branch="kitty/m-lane-a",
            base=self.base,
            prompt_file=self.planning_dir / "tasks" / "WP01.md",
        )

    async def attempt(
        self,
        role: Role,
        seconds: float = 300.0,
        session: InSession | None = None,
        home: Path | None = None,
        feedback: str | None = None,
    ) -> Outcome:
        """One attempt, started and ended as every one is.

        Args:
            session: the agent's own, to be begun or gone on with.
            home: the agent's home folder, when it is not the one where it was before.
            feedback: what it is to mend.
        """
        attempt_dir = self.folder / f"attempt-{uuid.uuid4().hex[:8]}"
        attempt_dir.mkdir()
        wall = self.walls.sandbox.use
        rig, limit = self.rig, self.max_cost_usd
        settings = AgentSettings(extra_args=rig.extra_args, env=rig.env, max_cost_usd=limit, sandbox=wall)
        agent = Agent(self.spec, self.binary, settings)
        line = agent.command_line(role, self.place(), attempt_dir, session)
        env = {**self.environ, MARK: self.mark, **line.env}
        if home is not None:
            env["HOME"] = str(home)
        inside = Occupant(agent, role, self.place(), attempt_dir, env)
        walled = self.walls.around(inside, line.argv)
        for path, text in {**line.files, **walled.files}.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        prompt = attempt_dir / "prompt.md"
        prompt.write_text(self._prompt(role, session, feedback))
        command = Command((*self._as_user(), *walled.argv), walled.cwd, env, stdin=prompt, grace=2.0)
        reader = agent.open_reader()
        ending = await run_agent(
            command, attempt_dir / "log", Limits(timeout=seconds), reader, lambda _: None
        )
        transcript = reader.finish()
        return Outcome(ending, transcript, agent.judge(ending, transcript, session))

    def _as_user(self) -> tuple[str, ...]:
        if not self.user:
            return ()
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, self.user, self.user, follow_symlinks=False)
        return ("setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups")

    def _prompt(self, role: Role, session: InSession | None, feedback: str | None) -> str:
        assignment = Assignment(
            mission="m",
            wp_id="WP01",
            text=_WORK_PACKAGE,
            workspace=self.place(),
            host_command=self.folder / "host",
        )
        if role is Role.REVIEW:
            return review_prompt(assignment, REVIEW_REF)
        gone_on = GoneOn() if session is not None and session.resumed else None
        return work_prompt(assignment, feedback, gone_on=gone_on)

    async def until_napping(self) -> None:
        """Returns once the agent's shell tool is asleep."""
        with trio.fail_after(300):
            while not (self.workspace / "napping").exists():  # noqa: ASYNC110 - another program's file
                await trio.sleep(0.05)

    def survivors(self, *words: str) -> list[str]:
        """What still runs of this attempt: by its environment, or by a word of its command line."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.environ().get(MARK) == self.mark or set(words) & set(process.cmdline())
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"{process.pid} {process.cmdline()}")
            except psutil.Error:
                continue
        return found


def nap_seconds() -> str:
    """A number of seconds that no other process sleeps for; it tells this one by its command line."""
    return f"300.{time.monotonic_ns() % 10**9}"
