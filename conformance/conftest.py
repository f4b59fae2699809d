"""Options and fixtures of the suite: which host it is put to, and the one journey that all its tests read."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from spec_kitty_orchestrator.host.errors import HostMissing

from .fake.program import install_fake_host
from .journey import Journey, set_out
from .recording import Recording
from .report import report

HOST_VARIABLE = "SK_ORCH_E2E_SPEC_KITTY_BIN"
CANNOT_RUN = 3
"""Exit status when the host that was named cannot be run; the same as of the `conformance` command."""

_TRAVELLED = pytest.StashKey[tuple[Recording, Path]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--host-bin PATH`."""
    parser.addoption(
        "--host-bin",
        metavar="PATH",
        help=f"the host to put to the test (default: ${HOST_VARIABLE}, else the one beside the interpreter)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Says what the marker means where no configuration file does."""
    config.addinivalue_line("markers", "e2e: drives a host, and real processes throughout")


@pytest.fixture(scope="session")
def host_binary(request: pytest.FixtureRequest) -> Path:
    """The host under test; skips when none was named and none is there."""
    named = request.config.getoption("--host-bin") or os.environ.get(HOST_VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            pytest.exit(f"{named} is not a program", returncode=CANNOT_RUN)
        return Path(found).absolute()
    beside = Path(sys.executable).with_name("spec-kitty")
    if not beside.exists():
        pytest.skip(f"no host: give --host-bin PATH, set {HOST_VARIABLE}, or install spec-kitty-cli here")
    return beside


@pytest.fixture(scope="session")
def journey(
    request: pytest.FixtureRequest, host_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Journey:
    """The one journey of the host under test; each test takes it as far as it needs."""
    try:
        journey = set_out(host_binary, tmp_path_factory.mktemp("host"))
    except HostMissing as exc:
        pytest.exit(exc.message, returncode=CANNOT_RUN)
    request.config.stash[_TRAVELLED] = journey.recording, host_binary
    return journey


@pytest.fixture(scope="session")
def fake_recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """What the fake host said."""
    folder = tmp_path_factory.mktemp("fake")
    return set_out(install_fake_host(folder / "bin"), folder / "journey").finish()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The report, for whoever maintains the host."""
    recording, host = config.stash.get(_TRAVELLED, (Recording(), Path()))
    if recording.is_whole:
        terminalreporter.section("conformance")
        for line in report(recording, str(host)):
            terminalreporter.line(line)
