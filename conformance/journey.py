"""Puts a host through the cases: makes a project with it, plays the agent, and keeps what the host said."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import evolve, field, mutable

from spec_kitty_orchestrator.demo.project import make_project
from spec_kitty_orchestrator.errors import OrchestratorError
from spec_kitty_orchestrator.host.contract.envelope import ContractBreach, HostGarbled, read_reply
from spec_kitty_orchestrator.host.errors import Completed, HostMissing

from .audit import ERRORS, Breach, envelope_of
from .case import Case, Stage
from .cases import APART, JOURNEY, PLAN, SUBTASKS
from .program import Host
from .recording import Recording

MOST_AT_ONCE = min(4, os.cpu_count() or 1)
"""A call of the host is CPU: more at once than cores gain nothing."""

_GIT_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
"""Set inside a git hook; they would lead the host's git to another repository than the one made here."""


def set_out(binary: Path, folder: Path, environ: Mapping[str, str] | None = None) -> Journey:
    """Asks the host at `binary` what needs no project, and makes one with it under `folder`.

    Raises:
        HostMissing: the host cannot be run: it does not start, or not even contract-version gets a reply.
    """
    given = os.environ if environ is None else environ
    kept = {name: value for name, value in given.items() if name not in _GIT_VARIABLES}
    # A home of its own: no settings of whoever runs this, and none of the host's files left with them.
    host = Host(binary, {**kept, "HOME": str(folder / "home")})
    journey = Journey(host, Recording(root=folder / "project"))
    for name in ("home", "apart"):
        (folder / name).mkdir(parents=True)
    journey.put(APART, folder / "apart")
    _insist_on_a_reply(binary, journey.recording.said[APART.cases[0].name])
    journey.begin()
    return journey


def _insist_on_a_reply(binary: Path, said: Completed) -> None:
    try:
        read_reply(said.stdout)
    except ContractBreach:
        return  # a host, and one that the report has something to say about
    except HostGarbled as exc:
        words = said.stderr.decode("utf-8", "replace").strip().splitlines() or [exc.message]
        raise HostMissing(
            f"{binary} orchestrator-api contract-version gave no reply: {words[-1][:300]}"
        ) from exc


@mutable
class Journey:
    """One host on its way through the cases; `recording` grows as it goes."""

    host: Host
    recording: Recording
    stages: list[Stage] = field(factory=lambda: list(JOURNEY))

    def reach(self, case: Case) -> Completed | None:
        """What the host says to this case, once those before it were put; None if it cannot be reached."""
        while self.goes_on and case.name not in self.recording.said:
            self.take(self.stages.pop(0))
        return self.recording.said.get(case.name)

    def finish(self) -> Recording:
        """Puts all cases that are left."""
        while self.goes_on:
            self.take(self.stages.pop(0))
        return self.recording

    @property
    def goes_on(self) -> bool:
        return bool(self.stages) and not self.recording.stopped

    def begin(self) -> None:
        """Makes the project."""
        recording = self.recording
        try:
            project = make_project(PLAN, recording.root, self.host.binary, self.host.environ)
        except OrchestratorError as exc:
            recording.mishaps.append(Breach("making a project", ERRORS, exc.message))
            recording.stopped = "no project could be made with the host's own commands"
        else:
            recording.root, recording.mission = project.root, project.mission

    def take(self, stage: Stage) -> None:
        """The agent's part, then the cases; stops the journey when what follows would mean nothing."""
        for doing, wp_id in stage.before:
            self._act(doing, wp_id)
        if self.recording.stopped:
            return
        self.put(stage, self.recording.root)
        for case in stage.cases:
            if case.is_change and not _went_as_planned(case, self.recording.said[case.name]):
                self.recording.stopped = f"the case {case.name} ({case.command}) went wrong"
            elif case.command == "start-implementation" and case.error is None:
                self._check_workspace(case)

    def put(self, stage: Stage, cwd: Path) -> None:
        """All cases of a stage, at once; raises HostMissing."""

        def one(case: Case) -> Completed:
            args = [arg.replace("{mission}", self.recording.mission) for arg in case.args]
            return self.host.call(("orchestrator-api", case.command, *args), cwd)

        with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
            for case, said in zip(stage.cases, pool.map(one, stage.cases), strict=True):
                self.recording.said[case.name] = said

    def _act(self, doing: str, wp_id: str) -> None:
        workspace = self._workspace(wp_id)
        if self.recording.stopped:
            return
        if doing == "edit":
            (workspace / f"{wp_id}.txt").write_text(f"{wp_id} was here.\n", encoding="utf-8")
        elif doing == "commit":
            for args in (("add", "-A"), ("commit", "-q", "-m", f"Do {wp_id}")):
                evolve(self.host, binary=Path("git")).call(args, workspace)
        else:
            self._mark(wp_id, workspace)

    def _mark(self, wp_id: str, workspace: Path) -> None:
        command = ("agent", "tasks", "mark-status")
        options = ("--status", "done", "--mission", self.recording.mission, "--json")
        said = self.host.call((*command, *SUBTASKS[wp_id], *options), workspace)
        if said.returncode != 0:
            words = (said.stdout + said.stderr).decode("utf-8", "replace").strip().splitlines()[-1:]
            self.recording.mishaps.append(
                Breach(" ".join(command), ERRORS, f"exit status {said.returncode}: {' '.join(words)[:200]}")
            )

    def _workspace(self, wp_id: str) -> Path:
        """Where the host says that it is; one that does not say has a breach for that already."""
        lane = "lane-a" if wp_id == "WP01" else "lane-b"
        predicted = self.recording.root / ".worktrees" / f"{self.recording.mission}-{lane}"
        for path in (Path(str(self._started(wp_id).get("workspace_path"))), predicted):
            # Only inside the project that was made for this: the next step writes and commits there.
            if path.is_dir() and self.recording.root.resolve() in path.resolve().parents:
                return path
        self.recording.stopped = f"there is no workspace of {wp_id}"
        return self.recording.root.parent

    def _started(self, wp_id: str) -> Mapping[str, object]:
        name = "start_implementation_success" if wp_id == "WP01" else "start_dependent"
        envelope = envelope_of(self.recording.said[name])
        return envelope.data if envelope else {}

    def _check_workspace(self, case: Case) -> None:
        """An agent in a plain folder would commit to the primary checkout: it has to be a linked worktree."""
        envelope = envelope_of(self.recording.said[case.name])
        data = envelope.data if envelope else {}
        for key, problem in (
            ("workspace_path", _worktree_problem(data, self.recording.root)),
            ("prompt_path", _prompt_problem(data)),
        ):
            if problem:
                self.recording.mishaps.append(Breach(case.command, ERRORS, f"data.{key}: {problem}"))


def _worktree_problem(data: Mapping[str, object], root: Path) -> str:
    path, branch = data.get("workspace_path"), data.get("lane_branch")
    if not isinstance(path, str) or not isinstance(branch, str):
        return ""
    marker = Path(path) / ".git"
    if not marker.is_file():
        return f"{path} is no linked worktree"
    git_dir = Path(marker.read_text(encoding="utf-8").partition("gitdir:")[2].strip())
    if (root / ".git" / "worktrees").resolve() != git_dir.resolve().parent:
        return f"{path} is no worktree of {root}"
    head = (git_dir / "HEAD").read_text(encoding="utf-8").strip()
    return "" if head == f"ref: refs/heads/{branch}" else f"{path} is not on data.lane_branch, {branch}"


def _prompt_problem(data: Mapping[str, object]) -> str:
    path = data.get("prompt_path")
    return f"{path} is no file" if isinstance(path, str) and not Path(path).is_file() else ""


def _went_as_planned(case: Case, said: Completed) -> bool:
    """Whether the mission is now where the rest of the journey takes it to be."""
    try:
        success = json.loads(said.stdout.decode("utf-8", "replace").splitlines()[-1])["success"]
    except (ValueError, LookupError, TypeError):
        envelope = envelope_of(said)
        success = envelope.success if envelope else None
    return success is (case.error is None)
