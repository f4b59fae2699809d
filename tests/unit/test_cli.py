"""The command line as a program: what it costs to ask it for help, and that every flag arrives."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner

from spec_kitty_orchestrator.cli import main
from spec_kitty_orchestrator.cli.orchestrate import orchestrate_command
from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.run.opening import Request
from spec_kitty_orchestrator.settings.loading import FLAGS

HEAVY = {"trio", "rich", "cattrs", "ruamel.yaml", "psutil"}
SHOW = """
import atexit, sys
from spec_kitty_orchestrator.cli.main import run
atexit.register(lambda: print("LOADED", *sys.modules))
run()
"""


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["orchestrate", "--help"], ["resume", "--help"]])
def test_help_imports_no_trio(argv: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", SHOW, *argv], capture_output=True, text=True, check=True)
    loaded = done.stdout.rpartition("LOADED ")[2].split()
    assert "click" in loaded
    assert not HEAVY & set(loaded)


SWITCHES = ("merge", "wait_for_people", "allow_sleep")


def test_every_flag_that_outranks_the_settings_arrives_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (".kittify", ".git"):
        (tmp_path / folder).mkdir()
    seen: list[Request] = []

    def supervise(request: Request, *, resume: bool) -> ExitCode:
        seen.append(request)
        return ExitCode.ACCEPTED

    monkeypatch.setattr("spec_kitty_orchestrator.run.session.supervise", supervise)
    argv = ["--mission", "m", "--actor", "me", "--repo-root", str(tmp_path)]
    given = {name: str(number) for number, (_, name) in enumerate(FLAGS.values(), start=1)}
    given |= dict.fromkeys(SWITCHES, "True")
    for flag, name in FLAGS.values():
        argv += [flag] if name in SWITCHES else [flag, given[name]]
    done = CliRunner().invoke(orchestrate_command, argv, catch_exceptions=False)
    assert done.exit_code == ExitCode.ACCEPTED
    (request,) = seen
    assert (request.mission, request.actor, request.repo_root) == ("m", "me", tmp_path)
    told = attrs.asdict(request.flags, filter=lambda _, value: value is not None)
    assert {name: str(value).removesuffix(".0") for name, value in told.items()} == given


INTERRUPTED_WHILE_IT_LOADS = """
from spec_kitty_orchestrator.cli import main

def interrupted(**_):
    exec("raise KeyboardInterrupt")  # as the standard library makes its named tuples

main.main.main = interrupted
main.run()
"""


def test_ctrl_c_in_the_middle_of_an_import_ends_with_its_own_exit_code(tmp_path: Path) -> None:
    """After it Python ends what runs as `-m` by SIGINT, whatever it exits with."""
    (tmp_path / "interrupted.py").write_text(INTERRUPTED_WHILE_IT_LOADS)
    done = subprocess.run([sys.executable, "-m", "interrupted"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (ExitCode.INTERRUPTED, "")


def test_an_internal_error_on_a_full_disk_is_still_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(main.tempfile, "NamedTemporaryFile", full)
    assert main._explain(KeyError("it")) == (
        ExitCode.INTERNAL,
        "internal error: KeyError('it') (please report it)",
    )
