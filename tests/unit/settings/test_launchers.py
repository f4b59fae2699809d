"""Where agents run can be said of all and of one, and what would break our hold on them is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.settings.test_loading import load, refused

from spec_kitty_orchestrator.processes.bounds import FAR_SECONDS
from spec_kitty_orchestrator.processes.launcher import (
    FarJob,
    Launcher,
    LauncherKind,
    launch_line,
    launcher_environ,
)

BY_COMMAND = "launcher: {use: command, command: {prefix: [ssh, there]}}\n"
TWO = "agents: {implementation: [codex], review: [pi]"


def launcher_of(tmp_path: Path, text: str, agent: str = "codex") -> Launcher:
    launcher = load(tmp_path, text).of_agent(agent).launcher
    assert launcher is not None
    return launcher


def test_without_a_word_all_run_here(tmp_path: Path) -> None:
    assert not launcher_of(tmp_path, "").is_far
    assert load(tmp_path, "").longest_grace == 10.0


def test_one_agent_may_run_elsewhere_than_the_others(tmp_path: Path) -> None:
    own = "settings: {codex: {launcher: {use: slurm, slurm: {cpus: 2}}}}"
    text = f"{BY_COMMAND}{TWO}, {own}}}\n"
    assert launcher_of(tmp_path, text).use is LauncherKind.SLURM
    assert launcher_of(tmp_path, text, "pi").use is LauncherKind.COMMAND
    alone = f"{TWO}, {own}}}\n"
    assert not launcher_of(tmp_path, alone, "pi").is_far
    assert load(tmp_path, alone).longest_grace == 10.0 + FAR_SECONDS


def test_so_many_may_be_at_work_at_once_as_run_elsewhere(tmp_path: Path) -> None:
    assert load(tmp_path, f"{BY_COMMAND}max_concurrent_wps: 200\n").max_concurrent_wps == 200
    here = "settings: {pi: {launcher: {use: local}}}"
    assert load(tmp_path, f"{BY_COMMAND}max_concurrent_wps: 64\n{TWO}, {here}}}\n").max_concurrent_wps == 64
    (line,) = refused(tmp_path, f"{BY_COMMAND}max_concurrent_wps: 65\n{TWO}, {here}}}\n")
    assert line.endswith("max_concurrent_wps: expected 64 or fewer, as pi would run on this machine")


REFUSED = {
    "a launcher that nobody knows": (
        "launcher: {use: kubernetes}\n",
        "launcher.use: expected one of local, slurm, command",
    ),
    "no command": ("launcher: {use: command}\n", "launcher.command.prefix: expected a list of words"),
    "a name that means nothing": (
        "launcher: {use: command, command: {prefix: [podman, run, $nmae]}}\n",
        "launcher.command.prefix[2]: $name, $workspace and $repository are all it may name",
    ),
    "a dollar sign alone": (
        "launcher: {use: command, command: {prefix: [x], cleanup: [a$]}}\n",
        "launcher.command.cleanup[0]: $name, $workspace and $repository are all it may name",
    ),
    "a job of another name": (
        "launcher: {use: slurm, slurm: {extra_args: [--exclusive, --job-name=mine]}}\n",
        "launcher.slurm.extra_args[1]: --job-name is ours to say",
    ),
    "a job on another cluster": (
        "launcher: {use: slurm, slurm: {extra_args: [--clusters=far]}}\n",
        "launcher.slurm.extra_args[0]: --clusters is ours to say",
    ),
    "a step of another job": (
        "launcher: {use: slurm, slurm: {extra_args: [--jobid=7]}}\n",
        "launcher.slurm.extra_args[0]: --jobid is ours to say",
    ),
    "a name that is cut short": (
        "launcher: {use: slurm, slurm: {extra_args: [--out=file]}}\n",
        "launcher.slurm.extra_args[0]: --out is ours to say",
    ),
    "two tasks": (
        "agents: {settings: {codex: {launcher: {use: slurm, slurm: {extra_args: [-n2]}}}}}\n",
        "agents.settings.codex.launcher.slurm.extra_args[0]: -n2 is ours to say",
    ),
    "no interpreter": ("launcher: {python: ' '}\n", "launcher.python: expected a program"),
    "no partition": (
        "launcher: {use: slurm, slurm: {partition: ''}}\n",
        "launcher.slurm.partition: expected what srun is to be told",
    ),
}


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_with_a_launcher_is_told(tmp_path: Path, text: str, words: str) -> None:
    (line,) = refused(tmp_path, text)
    assert words in line


def test_slurm_is_told_what_is_set_and_nothing_else(tmp_path: Path) -> None:
    options = "{partition: batch, cpus: 2, memory: 4G, time: '10', account: us, extra_args: [--exclusive]}"
    launcher = launcher_of(tmp_path, f"launcher: {{use: slurm, slurm: {options}, python: /opt/python3}}\n")
    line = launch_line(launcher, FarJob(launcher.use, "sko-1"), Path("/logs/k.pyz"), {})
    fixed = ("--quiet", "--unbuffered", "--ntasks=1", "--export=ALL", "--chdir=/")
    asked = ("--partition=batch", "--cpus-per-task=2", "--mem=4G", "--time=10", "--account=us", "--exclusive")
    keeper = ("/opt/python3", "-I", "-S", "/logs/k.pyz")
    assert line == ("srun", "--job-name=sko-1", *fixed, *asked, *keeper)


def test_a_command_is_told_its_name_and_places(tmp_path: Path) -> None:
    prefix = "[run, --name, $name, -v, '$repository:$repository', -w, $workspace]"
    launcher = launcher_of(tmp_path, f"launcher: {{use: command, command: {{prefix: {prefix}}}}}\n")
    places = {"workspace": "/r/w", "repository": "/r"}
    line = launch_line(launcher, FarJob(launcher.use, "sko-1"), Path("/k"), places)
    assert line[:7] == ("run", "--name", "sko-1", "-v", "/r:/r", "-w", "/r/w")


def test_srun_is_no_step_of_a_job_that_we_are_in() -> None:
    env = {"SLURM_JOB_ID": "7", "SRUN_CPUS_PER_TASK": "2", "SLURM_CONF": "/etc/x", "HOME": "/h"}
    assert launcher_environ(LauncherKind.SLURM, env) == {"SLURM_CONF": "/etc/x", "HOME": "/h"}
    assert launcher_environ(LauncherKind.COMMAND, env) == env
