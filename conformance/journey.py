"""Puts a host through the cases: makes a project with it, plays the agent, and keeps what the host said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import evolve, field, frozen, mutable

from spec_kitty_orchestrator.contract.converter import ContractBreach, HostGarbled
from spec_kitty_orchestrator.contract.envelope import read_reply
from spec_kitty_orchestrator.demo.project import make_project
from spec_kitty_orchestrator.errors import OrchestratorError
from spec_kitty_orchestrator.host_errors import Completed, HostMissing

from .audit import ERRORS, SHAPE, Breach, additions, audit, envelope_of
from .case import Case, Stage
from .cases import APART, CASES, JOURNEY, PLAN, SUBTASKS

PATIENCE_SECONDS = 120.0
"""For one call; a host takes about two seconds, and this leaves room for a slow machine."""

MOST_AT_ONCE = min(4, os.cpu_count() or 1)
"""A call of the host is CPU: more at once than cores gain nothing."""

_GIT_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
"""Set inside a git hook; they would lead the host's git to another repository than the one made here."""


@mutable
class Recording:
    """What a host said to each case, as far as the journey went.

    Attributes:
        said: by the case's name.
        stopped: why it ended early; empty when every case was put.
        mishaps: breaches that were seen outside the replies: in the workspace, or while making the project.
        root, mission: the project's root and the mission's slug.
    """

    said: dict[str, Completed] = field(factory=dict)
    stopped: str = ""
    mishaps: list[Breach] = field(factory=list)
    root: Path = Path()
    mission: str = ""

    def breaches(self) -> list[Breach]:
        """All of them, each once, in the order of the journey."""
        found = [breach for case in self.reached() for breach in audit(case, self.said[case.name])]
        return list(dict.fromkeys([*found, *self.mishaps, *self._repeated()]))

    def additions(self) -> list[str]:
        """Keys that the contract does not know."""
        found = (text for case in self.reached() for text in additions(case, self.said[case.name]))
        return list(dict.fromkeys(found))

    def reached(self) -> list[Case]:
        """The cases that were put."""
        return [case for case in CASES if case.name in self.said]

    def _repeated(self) -> Iterable[Breach]:
        seen: set[str] = set()
        for case in self.reached():
            envelope = envelope_of(self.said[case.name])
            if envelope is not None and envelope.correlation_id in seen:
                yield Breach(case.command, SHAPE, "correlation_id: the same as in an earlier reply")
            seen.add(envelope.correlation_id if envelope else "")


@frozen
class Host:
    """A host's program, the environment that it gets, and the seconds for one call."""

    binary: Path
    environ: Mapping[str, str]
    patience: float = PATIENCE_SECONDS

    def call(self, args: Sequence[str], cwd: Path) -> Completed:
        """One run of it.

        Raises:
            HostMissing: it cannot be started.
        """
        try:
            process = subprocess.Popen(
                (str(self.binary), *args),
                cwd=cwd,
                env={**self.environ, "PWD": str(cwd)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as exc:
            raise HostMissing(f"{self.binary} cannot be run: {exc.strerror}") from exc
        try:
            stdout, stderr = process.communicate(timeout=self.patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # what it started may hold the pipes
            process.communicate()
            return Completed(-signal.SIGKILL, b"", f"no answer in {self.patience:g} s".encode())
        return Completed(process.returncode, stdout, stderr)


def travel(binary: Path, folder: Path, environ: Mapping[str, str] | None = None) -> Recording:
    """Puts every case to the host at `binary`, in a project made under `folder`, as far as it goes.

    Raises:
        HostMissing: the host cannot be run: it does not start, or not even contract-version gets a reply.
    """
    given = os.environ if environ is None else environ
    host = Host(binary, {name: value for name, value in given.items() if name not in _GIT_VARIABLES})
    journey = _Journey(host, Recording(root=folder / "project"))
    (folder / "apart").mkdir(parents=True)
    journey.put(APART, folder / "apart")
    _insist_on_a_reply(binary, journey.recording.said[APART.cases[0].name])
    if journey.begin():
        for stage in JOURNEY:
            if journey.recording.stopped:
                break
            journey.take(stage)
    return journey.recording


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


@frozen
class _Journey:
    host: Host
    recording: Recording

    def begin(self) -> bool:
        """Makes the project; whether that went well."""
        recording = self.recording
        try:
            project = make_project(PLAN, recording.root, self.host.binary, self.host.environ)
        except OrchestratorError as exc:
            recording.mishaps.append(Breach("making a project", ERRORS, exc.message))
            recording.stopped = "no project could be made with the host's own commands"
            return False
        recording.root, recording.mission = project.root, project.mission
        return True

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
