"""What doctor finds, and what it says to do: each check on a project that is well, or broken in one way."""

from __future__ import annotations

import json
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from attrs import evolve
from click.testing import CliRunner
from dulwich.repo import Repo

from spec_kitty_orchestrator.agents.spec import Wall
from spec_kitty_orchestrator.cli import doctor as command
from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.host.program import installed_version
from spec_kitty_orchestrator.processes.launcher import CommandOptions, Launcher, LauncherKind
from spec_kitty_orchestrator.run.doctor import launchers, leftovers, machine, repository, walls
from spec_kitty_orchestrator.run.doctor.examination import GROUPS, Examination
from spec_kitty_orchestrator.run.doctor.findings import Case, Finding, Level, error, warning
from spec_kitty_orchestrator.run.opening import named_agents
from spec_kitty_orchestrator.settings.values import AgentChoice, SandboxSettings, Settings

OK, WARNING, ERROR = Level.OK, Level.WARNING, Level.ERROR
UNIT, SCOPE = "0::/system.slice/night.service\n", "0::/user.slice/user@1000.service/app.slice/term.scope\n"

CASES = {
    "a machine": ("systemd", SCOPE, 77, []),
    "a container with an init": ("docker-init", "0::/\n", 77, []),
    "a container without one": ("sh", "0::/\n", 77, ["sh is process 1"]),
    "we are the first process": ("python3", "0::/\n", 1, ["we are process 1"]),
    "a unit": ("systemd", UNIT, 77, ["night.service: stopping it"]),
    "no /proc": (None, None, 77, []),
}


@pytest.mark.parametrize(("first", "cgroup", "pid", "said"), CASES.values(), ids=CASES)
def test_it_warns_of_who_would_stop_us_in_another_way(
    tmp_path: Path, first: str | None, cgroup: str | None, pid: int, said: list[str]
) -> None:
    for folder, name, text in (("1", "comm", first), ("self", "cgroup", cgroup)):
        (tmp_path / folder).mkdir()
        if text is not None:
            (tmp_path / folder / name).write_text(text)
    found = machine.surroundings_in(tmp_path, pid)
    assert len(found) == len(said)
    assert all(one.found.startswith(words) for one, words in zip(found, said, strict=True))
    assert all(one.level is WARNING and one.remedy for one in found)


async def test_it_says_what_is_out_of_reach() -> None:
    told = [found for found in await machine.clean_up(Case({})) if found.what == "out of reach"]
    assert "tmux" in told[0].found
    assert "other users'" in told[0].found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project as it should be: on a branch of its own, with a host's config, a worktree and a committer."""
    root = tmp_path / "a project"
    (root / ".kittify").mkdir(parents=True)
    with Repo.init(root, default_branch=b"feature") as repo:
        config = repo.get_config()
        config.set("user", "name", "Somebody")
        config.set("user", "email", "somebody@example.invalid")
        config.write_to_path()
    git_dir, folder = root / ".git" / "worktrees" / "m-lane-a", root / ".worktrees" / "m-lane-a"
    git_dir.mkdir(parents=True)
    folder.mkdir(parents=True)
    (git_dir / "gitdir").write_text(f"{folder / '.git'}\n")
    (folder / ".git").write_text(f"gitdir: {git_dir}\n")
    return root


def case(root: Path, settings: Settings | None = None, **environ: str) -> Case:
    settings = settings or Settings(agents=AgentChoice(implementation=("gemini",), review=("codex",)))
    return Case(environ, root, settings, named_agents(settings, environ))


EVERY = [
    repository.project,
    repository.branch,
    repository.settings,
    repository.writable,
    repository.last_run,
    leftovers.processes,
    leftovers.worktrees,
    leftovers.index_lock,
    machine.disk_space,
    machine.open_files,
]


@pytest.mark.parametrize("check", EVERY, ids=lambda check: check.__name__)
async def test_a_project_that_is_as_it_should_be_has_nothing_wrong(root: Path, check: object) -> None:
    found = await check(case(root))  # type: ignore[operator]
    assert found
    assert [one for one in found if one.level is not OK or one.remedy] == []


@pytest.mark.parametrize("check", EVERY, ids=lambda check: check.__name__)
async def test_without_a_project_there_is_nothing_to_find(check: object) -> None:
    assert await check(Case({})) == []  # type: ignore[operator]


def test_where_there_is_no_project_it_says_what_to_do(tmp_path: Path) -> None:
    root, (found,) = repository.the_project(tmp_path)
    assert root is None
    assert found.level is ERROR
    assert "spec-kitty init" in found.remedy


def head(root: Path, text: str) -> None:
    (root / ".git" / "HEAD").write_text(f"{text}\n")


def remote(root: Path, text: str) -> None:
    (root / ".git" / "refs" / "remotes" / "origin").mkdir(parents=True)
    (root / ".git" / "refs" / "remotes" / "origin" / "HEAD").write_text(f"{text}\n")


def config(root: Path, text: str) -> None:
    (root / ".kittify" / "config.yaml").write_text(text)


BRANCHES = {
    "main": (lambda root: head(root, "ref: refs/heads/main"), WARNING, "main is protected"),
    "master": (lambda root: head(root, "ref: refs/heads/master"), WARNING, "master is protected"),
    "the remote's": (
        lambda root: remote(root, "ref: refs/remotes/origin/feature"),
        WARNING,
        "feature is protected",
    ),
    "another remote's": (lambda root: remote(root, "ref: refs/remotes/origin/trunk"), OK, "feature"),
    "one that the host's config lists": (
        lambda root: config(root, "protection: {protected_branches: [feature]}"),
        WARNING,
        "feature is protected",
    ),
    "one that it does not": (
        lambda root: (
            head(root, "ref: refs/heads/main"),
            config(root, "protection: {protected_branches: [trunk]}"),
        ),
        OK,
        "main",
    ),
    "a config that is damaged": (
        lambda root: (head(root, "ref: refs/heads/main"), config(root, "protection: [")),
        WARNING,
        "main is protected",
    ),
    "none": (lambda root: head(root, "0" * 40), ERROR, "none is checked out"),
}


@pytest.mark.parametrize(("change", "level", "words"), BRANCHES.values(), ids=BRANCHES)
async def test_the_branch_is_one_that_the_host_commits_on(
    root: Path, change: object, level: Level, words: str
) -> None:
    change(root)  # type: ignore[operator]
    found = (await repository.branch(case(root)))[0]
    assert (found.what, found.level) == ("branch", level)
    assert found.found.startswith(words)
    assert bool(found.remedy) == (level is not OK)


async def test_the_hosts_own_variable_lifts_the_protection(root: Path) -> None:
    head(root, "ref: refs/heads/main")
    found = (await repository.branch(case(root, SPEC_KITTY_ALLOW_PROTECTED_BRANCH_COMMITS="yes")))[0]
    assert found.level is OK


async def test_a_repository_without_a_committer_is_told_only_of_the_agent_that_needs_one(root: Path) -> None:
    (root / ".git" / "config").write_text("[core]\n\trepositoryformatversion = 0\n[user]\n\tname = me\n")
    _, committer = await repository.branch(case(root))
    assert committer.level is WARNING
    assert "git config user.name" in committer.remedy
    others = Settings(agents=AgentChoice(implementation=("codex",), review=("codex",)))
    assert len(await repository.branch(case(root, others))) == 1


async def test_a_repository_that_cannot_be_read_is_an_error_with_what_to_do(root: Path) -> None:
    (root / ".git" / "config").write_text("[core\n")
    (found,) = await repository.branch(case(root))
    assert found.level is ERROR
    assert "git fsck" in found.remedy


async def test_settings_that_cannot_be_read_are_an_error_with_every_line(root: Path) -> None:
    (root / ".kittify" / "orchestrator.yaml").write_text("grace_seconds: soon\nno_such: 1\n")
    (found,) = await repository.settings(case(root))
    assert found.level is ERROR
    assert {*found.found.splitlines()} == {
        "orchestrator.yaml:2:1: no_such: unknown key",
        "orchestrator.yaml:1:1: grace_seconds: expected a number, got a string ('soon')",
    }


async def test_a_state_that_is_damaged_is_an_error(root: Path) -> None:
    (root / ".kittify" / "orchestrator-run-state.json").write_text("{")
    (found,) = await repository.last_run(case(root))
    assert (found.level, "move it away" in found.remedy) == (ERROR, True)


async def test_files_that_may_not_be_written_are_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / ".kittify" / "logs").mkdir()
    ours = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path).name != "logs" and ours(path, mode)
    )  # root may write anywhere
    (found,) = await repository.writable(case(root))
    assert found.level is ERROR
    assert str(root / ".kittify" / "logs") in found.found


Usage = namedtuple("Usage", "total used free")
DISKS = {
    "full": (50 * 2**20, ERROR, "50 MiB free"),
    "less than the logs may take": (900 * 2**20, WARNING, "1.0 GiB (max_log_mb)"),
    "less than is comfortable": (1800 * 2**20, WARNING, "1.8 GiB free"),
    "enough": (9 * 2**30, OK, "9.0 GiB free"),
}


@pytest.mark.parametrize(("free", "level", "words"), DISKS.values(), ids=DISKS)
async def test_there_is_room_for_what_a_run_writes(
    root: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: Level, words: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 2**40 - free, free))
    (found,) = await machine.disk_space(case(root))
    assert found.level is level
    assert words in found.found


async def test_too_few_open_files_are_an_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spec_kitty_orchestrator.run.opening.most_open_files", lambda: 80)
    (found,) = await machine.open_files(case(root))
    assert found.level is ERROR
    assert "LimitNOFILE" in found.remedy


def plain(root: Path) -> None:
    (root / ".worktrees" / "m-lane-b").mkdir()


def own(root: Path) -> None:
    (root / ".worktrees" / "m-lane-b" / ".git").mkdir(parents=True)


def broken(root: Path) -> None:
    shutil.rmtree(root / ".git" / "worktrees" / "m-lane-a")


def foreign(root: Path) -> None:
    (root / "other").mkdir()
    (root / ".worktrees" / "m-lane-a" / ".git").write_text(f"gitdir: {root / 'other'}\n")


def gone(root: Path) -> None:
    shutil.rmtree(root / ".worktrees" / "m-lane-a")


WORKTREES = {
    "a plain folder": (plain, ERROR, "m-lane-b is a plain folder"),
    "a repository": (own, ERROR, "m-lane-b is a repository of its own"),
    "a git folder that is gone": (broken, ERROR, "m-lane-a is broken: its git folder is gone"),
    "another repository's": (foreign, ERROR, "m-lane-a belongs to another repository"),
    "a worktree that is gone": (gone, WARNING, "m-lane-a is gone"),
}


@pytest.mark.parametrize(("change", "level", "words"), WORKTREES.values(), ids=WORKTREES)
async def test_what_is_no_worktree_is_told_with_the_command_that_clears_it(
    root: Path, change: object, level: Level, words: str
) -> None:
    change(root)  # type: ignore[operator]
    (found,) = await leftovers.worktrees(case(root))
    assert found.level is level
    assert words in found.found
    assert "git worktree prune" in found.remedy
    if level is ERROR:
        assert f"mv '{root / '.worktrees'}/m-lane-" in found.remedy


LOCKS = [
    (5, WARNING, "5 s"),
    (59, WARNING, "59 s"),
    (61, ERROR, "61 s"),
    (600, ERROR, "10 min"),
    (9 * 3600, ERROR, "9 h"),
    (40 * 86400, ERROR, "40 days"),
]


@pytest.mark.parametrize("place", ["index.lock", "worktrees/m-lane-a/index.lock"])
@pytest.mark.parametrize(("age", "level", "told"), LOCKS)
async def test_a_lock_of_gits_is_told_with_its_age(
    root: Path, monkeypatch: pytest.MonkeyPatch, place: str, age: int, level: Level, told: str
) -> None:
    lock = root / ".git" / place
    lock.touch()
    changed = lock.stat().st_mtime
    monkeypatch.setattr(leftovers.time, "time", lambda: changed + age)
    (found,) = await leftovers.index_lock(case(root))
    assert found.level is level
    assert f"since {told}:" in found.found
    assert (f"rm '{lock}'" in found.remedy) == (level is ERROR)


async def test_what_a_dead_run_has_left_is_told_and_what_a_live_one_has_is_not(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / ".kittify" / "logs" / "run-1").mkdir(parents=True)
    left = {"run-1": ["71 python", "72 sleep"], "of another project": ["73 python"]}
    monkeypatch.setattr(leftovers, "marked_by_runs", lambda: left)
    (found,) = await leftovers.processes(case(root))
    assert found == warning("processes", "left of a run that is dead: 71 python, 72 sleep", found.remedy)
    assert found.remedy == "spec-kitty-orchestrator abort"
    monkeypatch.setattr(leftovers, "is_locked", lambda _: True)
    monkeypatch.setattr(leftovers, "_last_run", lambda _: "run-1")
    (found,) = await leftovers.processes(case(root))
    assert found.level is OK


EXAMINED = Examination(
    {
        "one": (Finding("a", "well"), warning("b", "not so well", "mend it")),
        "two": (error("c", "first line\nsecond line", "rm it"),),
    }
)


@pytest.mark.parametrize(("groups", "code"), [(EXAMINED.groups, 1), ({"one": EXAMINED.groups["one"]}, 0)])
def test_only_an_error_makes_it_fail(
    monkeypatch: pytest.MonkeyPatch, groups: dict[str, tuple[Finding, ...]], code: int
) -> None:
    async def examine(*_: object) -> Examination:
        return Examination(groups)

    monkeypatch.setattr("spec_kitty_orchestrator.run.doctor.examination.examine", examine)
    plain = CliRunner().invoke(command.doctor_command, [], catch_exceptions=False)
    asked = CliRunner().invoke(command.doctor_command, ["--json"], catch_exceptions=False)
    assert plain.exit_code == asked.exit_code == code
    told = json.loads(asked.stdout)
    assert (told["schema_version"], told["ok"]) == (1, code == ExitCode.ACCEPTED)
    assert told["findings"][1] == {
        "group": "one",
        "what": "b",
        "level": "warning",
        "found": "not so well",
        "remedy": "mend it",
    }
    assert plain.stdout.splitlines()[:4] == [
        "one",
        "  ok       a: well",
        "  warning  b: not so well",
        "           → mend it",
    ]
    if code:
        assert plain.stdout.splitlines()[4:] == [
            "two",
            "  error    c: first line",
            "             second line",
            "           → rm it",
            "1 error and 1 warning: see above",
        ]


def test_no_check_is_made_twice() -> None:
    checks = [check for group in GROUPS.values() for check in group]
    assert len({*checks}) == len(checks)
    assert {*EVERY} <= {*checks}


def test_the_hosts_version_is_read_from_its_environment_also_through_a_link(tmp_path: Path) -> None:
    env = tmp_path / "tools" / "spec-kitty-cli"
    (env / "bin").mkdir(parents=True)
    (env / "bin" / "spec-kitty").touch()
    (tmp_path / "spec-kitty").symlink_to(env / "bin" / "spec-kitty")
    assert installed_version(tmp_path / "spec-kitty") == ""
    (env / "lib" / "python3.12" / "site-packages" / "spec_kitty_cli-3.2.7.dist-info").mkdir(parents=True)
    assert installed_version(tmp_path / "spec-kitty") == "3.2.7"


async def test_whether_the_machine_may_fall_asleep_is_told_and_never_a_fault(tmp_path: Path) -> None:
    program = tmp_path / "systemd-inhibit"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    cases = [Case({"PATH": str(tmp_path)}), Case({"PATH": ""})]
    cases.append(evolve(cases[0], settings=Settings(allow_sleep=True)))
    told = [found for each in cases for found in await machine.sleep(each)]
    assert {found.level for found in told} == {Level.OK}
    assert [found.found.split(" is ")[0] for found in told[:1]] == [str(program)]
    assert told[1].found == "nothing here can hold it up (systemd-inhibit or caffeinate)"
    assert "may fall asleep" in told[2].found


async def test_what_begins_agents_elsewhere_is_tried_and_nothing_is_asked_where_all_run_here(
    root: Path, tmp_path: Path
) -> None:
    assert await launchers.launchable(case(root)) == []
    by = Launcher(use=LauncherKind.COMMAND, command=CommandOptions(prefix=("hop", "there")))
    agents = AgentChoice(implementation=("gemini",), review=("codex",))
    settings = Settings(agents=agents, launcher=by)
    (missing,) = await launchers.launchable(case(root, settings, PATH=""))
    assert (missing.level, missing.what) == (ERROR, "command for gemini, codex")
    assert "hop: not installed" in missing.found
    (tmp_path / "hop").write_text("#!/bin/sh\n")
    (tmp_path / "hop").chmod(0o755)
    (found,) = await launchers.launchable(case(root, settings, PATH=str(tmp_path)))
    assert found.level is OK


async def test_the_walls_are_tried_where_they_are_asked_for(root: Path, tmp_path: Path) -> None:
    assert await walls.canaries(case(root)) == []
    agents = AgentChoice(implementation=("gemini",), review=("gemini",))
    (tmp_path / "gemini").write_text("#!/bin/sh\n")
    (tmp_path / "gemini").chmod(0o755)
    settings = Settings(agents=agents, sandbox=SandboxSettings(Wall.BWRAP))
    (missing,) = await walls.canaries(case(root, settings, PATH=str(tmp_path), HOME=str(tmp_path)))
    assert (missing.level, missing.what) == (ERROR, "gemini inside bwrap")
    assert "bwrap needs bwrap, which is not on PATH" in missing.found
    assert "bubblewrap" in missing.remedy
