"""`conformance`: puts a host to the suite that ships with this program, and prints what it breaks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click

from ..errors import ExitCode, UsageError
from .output import examples

HOST_VARIABLE = "SK_ORCH_E2E_SPEC_KITTY_BIN"
IN_THE_WHEEL = Path(__file__).parent.parent / "_conformance"
IN_THE_CHECKOUT = Path(__file__).parents[3] / "conformance"

OUTCOMES = {
    0: ExitCode.ACCEPTED,
    1: ExitCode.ATTENTION,
    2: ExitCode.INTERRUPTED,
    3: ExitCode.HOST,
}
"""pytest's exit statuses; the suite itself gives 3 when the host cannot be run. All others are our fault."""


@click.command(
    "conformance",
    short_help="Check a host against the contract.",
    epilog=examples("conformance", "conformance --host-bin .venv/bin/spec-kitty --junitxml report.xml"),
)
@click.option(
    "--host-bin",
    metavar="PATH",
    envvar=HOST_VARIABLE,
    help=f"The host to put to the test (default: ${HOST_VARIABLE}, else the one that a run would use).",
)
@click.option("--junitxml", metavar="FILE", type=click.Path(path_type=Path), help="Write a JUnit report too.")
@click.pass_context
def conformance_command(context: click.Context, host_bin: str | None, junitxml: Path | None) -> None:
    """Check that a host keeps the contract: 0 it does, 1 it does not, 3 it cannot be run.

    Makes a throwaway project with it and drives a mission through its whole life: about 50 calls, one to
    three minutes with a host that takes 2 s for each.
    """
    context.exit(check_host(host_bin, junitxml))


def check_host(host_bin: str | None, junitxml: Path | None) -> ExitCode:
    """Runs the suite's host side in this process.

    Raises:
        UsageError: pytest is missing, or the suite is.
        HostMissing: the host that was named is no program, or none was named and there is none.
    """
    try:
        import pytest
    except ImportError:
        remedy = "pip install 'spec-kitty-orchestrator[conformance]>=1.0'"
        raise UsageError("the conformance suite needs pytest", remedy=remedy) from None
    host = _find_host(host_bin)
    options = ["--host-bin", str(host), *(("--junitxml", str(junitxml)) if junitxml else ())]
    click.echo(f"driving a mission with {host}; this takes a minute or two", err=True)
    return OUTCOMES.get(int(pytest.main([*_arguments(_find_suite()), *options])), ExitCode.INTERNAL)


def _find_host(host_bin: str | None) -> Path:
    from ..host.errors import HostMissing
    from ..host.program import find_host_binary

    if host_bin and shutil.which(host_bin) is None:
        raise HostMissing(f"--host-bin: {host_bin} is not a program", remedy="give the path of a spec-kitty")
    return find_host_binary(host_bin, os.environ)


def _find_suite() -> Path:
    for folder in (IN_THE_WHEEL, IN_THE_CHECKOUT):
        if (folder / "test_host.py").is_file():
            return folder
    raise UsageError("the conformance suite is not installed", remedy="install spec-kitty-orchestrator anew")


def _arguments(suite: Path) -> list[str]:
    """The same run wherever it is started: no settings of the project that we stand in, nothing written."""
    return [
        str(suite / "test_host.py"),
        *("-c", os.devnull, "--rootdir", str(suite), "--import-mode", "importlib"),
        *("-p", "no:cacheprovider", "--quiet", "--no-header", "--tb", "no", "-rN"),
    ]
