"""The `conformance` command: one line in a host's CI, from the checkout and from a wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from conformance.cases import CASES
from conformance.fake.program import install_fake_host
from tests.conformance.broken_hosts import BROKEN_HOSTS

import spec_kitty_orchestrator

PACKAGE = Path(spec_kitty_orchestrator.__file__).parent
CHECKOUT = Path(__file__).parents[2]


def conformance(*args: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "spec_kitty_orchestrator", "conformance", *args]
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """The package as a wheel lays it out, with the suite inside it."""
    ignore = shutil.ignore_patterns("__pycache__")
    site = tmp_path / "site"
    shutil.copytree(PACKAGE, site / PACKAGE.name, ignore=ignore)
    shutil.copytree(CHECKOUT / "conformance", site / PACKAGE.name / "_conformance", ignore=ignore)
    return site


def test_a_host_that_conforms_gives_0_and_a_table(tmp_path: Path) -> None:
    host = install_fake_host(tmp_path / "bin")
    done = conformance("--host-bin", str(host), "--junitxml", "report.xml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["command", "cases", "shape", "types", "exit", "status", "errors"] in lines
    assert ["start-review", "4", "ok", "ok", "ok", "ok"] in lines
    assert f"conforms: {len(CASES)} cases, no breach" in done.stdout
    suite = ElementTree.parse(tmp_path / "report.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")


def test_a_host_that_does_not_gives_1_and_names_the_breach(tmp_path: Path) -> None:
    host = BROKEN_HOSTS[0].install(tmp_path / "bin")
    done = conformance(cwd=tmp_path, SK_ORCH_E2E_SPEC_KITTY_BIN=str(host))
    assert done.returncode == 1, done.stdout + done.stderr
    assert BROKEN_HOSTS[0].words in done.stdout.splitlines()
    assert done.stdout.count("2 broken") + done.stdout.count("1 broken") == 1


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (None, "is not a program"),
        ("exit 0", "gave no reply"),
        ("echo hello", "no reply; its last line is 'hello'"),
        ("echo 'No module named spec' >&2; exit 1", "No module named spec"),
    ],
)
def test_a_host_that_cannot_be_run_gives_3(tmp_path: Path, program: str | None, words: str) -> None:
    host = tmp_path / "spec-kitty"
    if program:
        host.write_text(f"#!/bin/sh\n{program}\n")
        host.chmod(0o755)
    done = conformance("--host-bin", str(host), cwd=tmp_path)
    assert done.returncode == 3, done.stdout + done.stderr
    assert words in done.stdout + done.stderr


def test_a_wheel_brings_its_own_suite(tmp_path: Path, wheel: Path) -> None:
    host = install_fake_host(tmp_path / "bin")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    done = conformance("--host-bin", str(host), cwd=tmp_path, PYTHONPATH=str(wheel))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"conforms: {len(CASES)} cases, no breach" in done.stdout


def test_the_provider_side_can_be_run_from_a_wheel_too(tmp_path: Path, wheel: Path) -> None:
    suite = wheel / PACKAGE.name / "_conformance"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    done = subprocess.run(
        [
            *command,
            "--rootdir",
            str(suite),
            "--import-mode=importlib",
            "-k",
            "boundary or canonical",
            str(suite),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
