"""Plays the person who owns a project: a plain description becomes a repository with a planned mission."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import evolve, field, frozen

from ..errors import HostError, OrchestratorError, UsageError

BRANCH = "feat/work"
"""Where the mission is planned; the host refuses to plan on `main`."""

PATIENCE_SECONDS = 120.0
"""The dearest of these commands takes about ten seconds of CPU; this leaves room for a slow machine."""

POLICY: Mapping[str, object] = {
    "orchestrator_id": "spec-kitty-orchestrator",
    "orchestrator_version": "demo",
    "agent_family": "person",
    "approval_mode": "interactive",
    "sandbox_mode": "none",
    "network_mode": "none",
    "dangerous_flags": [],
}
"""What is true of the person who is played here."""

# The person's own habits (signing, hooks) have no business in a throwaway repository, and whoever commits
# in it must find an identity.
_GIT_CONFIG = {
    "user.name": "Demo",
    "user.email": "demo@example.invalid",
    "commit.gpgsign": "false",
    "core.hooksPath": ".git/hooks",
}


@frozen
class PlannedWorkPackage:
    """One work package as its author thinks of it.

    Attributes:
        wp_id: `WP01`.
        title: a few words.
        text: what is asked for, in Markdown.
        owned_files: paths inside the project; work packages that do not depend on each other must not
            own the same ones.
        subtasks: what the roster says, one line each; their ids (T001, T002, ...) are given out in order
            over the whole mission.
        dependencies: ids of work packages that must be approved before.
    """

    wp_id: str
    title: str
    text: str
    owned_files: tuple[str, ...]
    subtasks: tuple[str, ...] = ("Write it",)
    dependencies: tuple[str, ...] = ()


@frozen
class ProjectPlan:
    """A mission's name (letters, digits, hyphens), its work packages, and further files of the project.

    `topology` is how the host lays out its branches; spec-kitty 3.2.7 accepts no mission of its default.
    """

    mission: str
    work_packages: tuple[PlannedWorkPackage, ...]
    files: Mapping[str, str] = field(factory=dict)
    topology: str = "lanes"


@frozen
class Project:
    """A made project: its root, the mission's slug as the host named it, the work packages' ids."""

    root: Path
    mission: str
    wp_ids: tuple[str, ...]
    host: Path
    environ: Mapping[str, str]

    @property
    def planning_dir(self) -> Path:
        return self.root / "kitty-specs" / self.mission

    def git(self, *args: str) -> str:
        """What a git command in the project prints; UsageError when it fails."""
        return _run(("git", *args), self.root, self.environ)

    def host_api(self, command: str, *args: str) -> dict[str, object]:
        """The data of one orchestrator-api command; HostError when it is refused or breaks."""
        return _ask_host((str(self.host), "orchestrator-api", command, *args), self.root, self.environ)


def make_project(
    plan: ProjectPlan, root: Path, host: Path, environ: Mapping[str, str] | None = None
) -> Project:
    """Makes a git repository at `root` and plans the mission in it, with the host's own commands.

    Args:
        plan: what to make.
        root: a folder that does not exist yet, or is empty.
        host: the host's program.
        environ: the environment of git and of the host; ours by default.

    Raises:
        UsageError: the folder is not empty, or git is missing or failed.
        HostError: the host is missing, or refused something.
    """
    return plan_mission(start_project(plan.files, root, host, environ), plan)


def start_project(
    files: Mapping[str, str], root: Path, host: Path, environ: Mapping[str, str] | None = None
) -> Project:
    """The first half of make_project, and the dearer: a repository without a mission."""
    project = Project(root.absolute(), "", (), host, environ or dict(os.environ))
    _claim_folder(project.root)
    project.git("init", "-q", "-b", "main")
    for key, value in _GIT_CONFIG.items():
        project.git("config", key, value)
    _run((str(host), "init", "--non-interactive", "--ai", "claude"), project.root, project.environ)
    for path, text in files.items():
        _write(project.root, path, text)
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "Start the project")
    project.git("checkout", "-q", "-b", BRANCH)
    return project


def plan_mission(project: Project, plan: ProjectPlan) -> Project:
    """The second half: the plan's mission in a project that has none."""
    project = _specify(project, plan)
    paths = [_write(project.root, path, text) for path, text in _planning_files(project, plan).items()]
    project.git("add", "--", *paths)
    # Only those files: the host's event log lies beside them, and must not be committed by hand.
    project.git("commit", "-q", "-m", "Plan the mission", "--", *paths)
    project.host_api("tasks", "--mission", project.mission, "--policy", json.dumps(POLICY))
    return project


def _claim_folder(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        taken = any(root.iterdir())
    except OSError as error:
        raise UsageError(f"{root}: {error.strerror}", remedy="name a folder that can be made") from error
    if taken:
        raise UsageError(f"{root} is not empty", remedy="name a new folder")


def _specify(project: Project, plan: ProjectPlan) -> Project:
    data = project.host_api(
        "specify",
        *("--mission", plan.mission, "--mission-type", "software-dev", "--topology", plan.topology),
        *("--policy", json.dumps(POLICY)),
    )
    wp_ids = tuple(wp.wp_id for wp in plan.work_packages)
    return evolve(project, mission=str(data["mission_slug"]), wp_ids=wp_ids)


def _planning_files(project: Project, plan: ProjectPlan) -> dict[str, str]:
    """Path inside the project → text, of everything that the host's `tasks` wants to read."""
    at = project.planning_dir.relative_to(project.root)
    requirements, sections, files = [], [], {}
    first = 1
    for number, wp in enumerate(plan.work_packages, 1):
        need = f"FR-{number:03}"
        roster = {f"T{first + n:03}": text for n, text in enumerate(wp.subtasks)}
        first += len(roster)
        requirements.append(f"| {need} | {wp.title} | As a user, I want this: {wp.title}. | High | Open |")
        sections.append(_section(wp, need, roster))
        files[f"{at}/tasks/{wp.wp_id}-{_slug(wp.title)}.md"] = _prompt_file(wp, need, roster)
    files[f"{at}/spec.md"] = _SPEC.format(title=plan.mission, requirements="\n".join(requirements))
    files[f"{at}/plan.md"] = f"# Plan: {plan.mission}\n\nEach work package says what it needs.\n"
    files[f"{at}/tasks.md"] = "# Tasks\n\n" + "\n".join(sections)
    return files


def _section(wp: PlannedWorkPackage, need: str, roster: Mapping[str, str]) -> str:
    boxes = "\n".join(f"- [ ] {task} {text}" for task, text in roster.items())
    after = ", ".join(wp.dependencies) or "none"
    return f"## {wp.wp_id} {wp.title}\n\n**Requirement Refs**: {need}\n**Dependencies**: {after}\n\n{boxes}\n"


def _prompt_file(wp: PlannedWorkPackage, need: str, roster: Mapping[str, str]) -> str:
    owned = json.dumps(list(wp.owned_files))  # a JSON list is a YAML list
    boxes = "\n".join(f"- {task}: {text}" for task, text in roster.items())
    return f"""---
work_package_id: {wp.wp_id}
title: {json.dumps(wp.title)}
dependencies: {json.dumps(list(wp.dependencies))}
requirement_refs: [{need}]
subtasks: {json.dumps(list(roster))}
owned_files: {owned}
create_intent: {owned}
authoritative_surface: {wp.owned_files[0]}
execution_mode: code_change
---

# {wp.wp_id}: {wp.title}

{wp.text.strip()}

Subtasks:
{boxes}
"""


_SPEC = """\
# Mission Specification: {title}

## Requirements

### Functional Requirements

| ID | Title | User Story | Priority | Status |
|----|-------|------------|----------|--------|
{requirements}
"""


def _slug(title: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())


def _write(root: Path, path: str, text: str) -> str:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")
    return path


def _ask_host(argv: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> dict[str, object]:
    said = _run(argv, cwd, environ, accept=(0, 1, 2))
    try:
        envelope = json.loads(said.splitlines()[-1])
        succeeded, data = envelope["success"], envelope["data"]
    except (IndexError, KeyError, TypeError, ValueError):
        raise HostError(f"{' '.join(argv[:3])} gave no answer in {cwd}: {said.strip()[-300:]}") from None
    if not succeeded or not isinstance(data, dict):
        raise HostError(f"{' '.join(argv[:3])}: {envelope.get('error_code')}: {data}")
    return data


def _run(argv: Sequence[str], cwd: Path, environ: Mapping[str, str], accept: tuple[int, ...] = (0,)) -> str:
    broken: type[OrchestratorError] = UsageError if argv[0] == "git" else HostError
    shown = f"{Path(argv[0]).name} {' '.join(argv[1:3])}"
    env = {**environ, "PWD": str(cwd)}
    try:
        done = subprocess.run(
            argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        remedy = "install git" if argv[0] == "git" else "pip install 'spec-kitty-cli>=3.2.7'"
        raise broken(f"{argv[0]} was not found", remedy=remedy) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise broken(f"{shown}: {error}") from error
    if done.returncode not in accept:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise broken(f"{shown} ended with status {done.returncode}: {last}")
    # A crash of the host leaves stdout empty; its last words are the only thing to show then.
    return done.stdout or (done.stderr if done.returncode else "")
