"""What commands print: data on stdout, all else on stderr, one object with `--json`; a reader that leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.test_examples import EVERY

from spec_kitty_orchestrator.cli import output
from spec_kitty_orchestrator.errors import ExitCode

PROGRAM = [sys.executable, "-m", "spec_kitty_orchestrator"]


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """A folder that is no project."""
    return tmp_path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """As much of a project as can be told from folders alone."""
    for name in (".kittify", ".git"):
        (tmp_path / name).mkdir()
    return tmp_path


def run(cwd: Path, *argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environ}
    return subprocess.run([*PROGRAM, *argv], cwd=cwd, env=env, capture_output=True, text=True)


FAILING = {
    "no such option": (["agents", "--json", "--no-such"], ExitCode.USAGE, "usage", "No such option"),
    "no such command": (["nonsense", "--json"], ExitCode.USAGE, "usage", "No such command"),
}


@pytest.mark.parametrize(("argv", "code", "name", "words"), FAILING.values(), ids=FAILING)
def test_a_command_that_fails_says_so_in_an_object_too(
    nowhere: Path, argv: list[str], code: ExitCode, name: str, words: str
) -> None:
    plain = run(nowhere, *(each for each in argv if each != "--json"))
    asked = run(nowhere, *argv)
    assert (asked.returncode, plain.returncode, plain.stdout) == (code, code, "")
    told = json.loads(asked.stdout)
    assert told["schema_version"] == output.SCHEMA_VERSION
    assert told["error"]["code"] == name
    assert words in told["error"]["message"]
    assert words in asked.stderr


def test_an_argument_that_looks_like_the_flag_asks_for_nothing(nowhere: Path) -> None:
    assert run(nowhere, "retry", "--", "--json").stdout == ""


JSON = sorted(name for name, each in EVERY.items() if any(one.name == "as_json" for one in each.params))


@pytest.mark.parametrize("name", JSON)
def test_every_command_with_json_prints_one_object_and_ends_as_without(tmp_path: Path, name: str) -> None:
    """In a project, and where there is none: most commands fail there."""
    project = tmp_path / "project"
    for folder in (project / ".kittify", project / ".git"):
        folder.mkdir(parents=True)
    for cwd in (project, tmp_path):
        asked = run(cwd, *name.split(), "--json")
        told = json.loads(asked.stdout)
        assert next(iter(told)) == "schema_version"
        assert told["schema_version"] == output.SCHEMA_VERSION
        assert ("error" in told) == bool(asked.stderr)
        assert asked.returncode == run(cwd, *name.split()).returncode


UNREAD = [
    ["--help"],
    ["--version"],
    ["orchestrate", "--help"],
    ["agents"],
    ["agents", "--json"],
    ["status"],
    ["config", "show"],
    ["config", "schema"],
    ["init", "--print"],
    ["completion", "bash"],
]


@pytest.mark.parametrize("argv", UNREAD, ids=" ".join)
def test_a_reader_that_has_gone_away_is_no_trouble(project: Path, argv: list[str]) -> None:
    """The reader is gone before the first word, so that every write meets a closed pipe."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    ended = subprocess.run(
        [*PROGRAM, *argv], cwd=project, stdout=write_end, stderr=subprocess.PIPE, text=True
    )
    os.close(write_end)
    assert (ended.returncode, ended.stderr) == (0, "")


PRINTS_FOR_EVER = """
import click
from spec_kitty_orchestrator.cli import main
{define}
main.LazyGroup.get_command = lambda *_: click.Command("endless", callback=endless)
main.run()
"""
BY_ITSELF = """
def endless():
    while True:
        click.echo("more")
"""
BY_RICH = """
from rich.console import Console
def endless():
    console = Console()
    while True:
        console.print("more")
"""
OF_ANOTHER_PIPE = """
def endless():
    raise BrokenPipeError
"""


@pytest.mark.parametrize("define", [BY_ITSELF, BY_RICH], ids=["by itself", "by rich"])
def test_a_command_that_never_ends_by_itself_ends_with_its_reader(define: str) -> None:
    argv = [sys.executable, "-c", PRINTS_FOR_EVER.format(define=define), "endless"]
    endless = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with endless:
        assert endless.stdout is not None
        assert endless.stderr is not None
        assert endless.stdout.readline() == "more\n"
        endless.stdout.close()
        assert (endless.stderr.read(), endless.wait()) == ("", 0)


def test_another_pipe_that_breaks_is_not_taken_for_the_reader_of_ours() -> None:
    argv = [sys.executable, "-c", PRINTS_FOR_EVER.format(define=OF_ANOTHER_PIPE), "endless"]
    ended = subprocess.run(argv, capture_output=True, text=True)
    assert ended.returncode == ExitCode.INTERNAL
    assert "a pipe broke" in ended.stderr
