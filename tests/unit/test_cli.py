"""The command line as a program: what it costs to ask it for help."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
