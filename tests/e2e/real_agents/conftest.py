"""The CLIs that are installed for these tests, the model that they talk to, and places to work in."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spec_kitty_orchestrator.agents import find_binary, get_agent

from .bench import Bench
from .install import bin_folder, cache_folder, node_is_new_enough
from .model_server import ModelServer, serve
from .rigs import RIGS

NewBench = Callable[[str, str], Bench]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Not below the system's temporary folder: codex may always write there, which would prove nothing.

    Beside the CLIs, then; in /var/tmp when the checkout itself lies in the temporary folder.
    """
    beside = cache_folder().resolve().parent
    temporary = {Path("/tmp"), Path(tempfile.gettempdir()).resolve()}
    base = Path("/var/tmp") if temporary & {beside, *beside.parents} else beside
    folder = base / f"arena-{uuid.uuid4().hex[:12]}"
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def model_server() -> Iterator[ModelServer]:
    with serve() as server:
        yield server


def cli_path(*agent_ids: str) -> str:
    """A PATH with these CLIs, or a skip that says how to get them."""
    folders = [bin_folder(agent_id) for agent_id in agent_ids]
    if not node_is_new_enough():
        folders.insert(0, bin_folder("node"))
    if not all(folder.is_dir() for folder in folders):
        command = f"python tests/e2e/real_agents/install.py {' '.join(agent_ids)}"
        pytest.skip(f"{' or '.join(agent_ids)} is not in {cache_folder()}: {command}")
    git = shutil.which("git") or "/usr/bin/git"
    return os.pathsep.join([*map(str, folders), str(Path(git).parent), "/usr/bin", "/bin"])


@pytest.fixture(autouse=True)
def _needs_its_clis(request: pytest.FixtureRequest) -> None:
    """Skips a test with the scripted model before it begins, when a CLI that it names is missing."""
    named = getattr(request.node, "callspec", None)
    if named is not None and {"model_server", "new_bench"} & set(request.fixturenames):
        for name in {"agent_id", "implementer", "reviewer"} & set(named.params):
            cli_path(named.params[name])


@pytest.fixture
def new_bench(tmp_path: Path, model_server: ModelServer) -> NewBench:
    """Makes a bench for an agent; the scenario says what the model does, or which error it answers with."""

    def _new_bench(agent_id: str, scenario: str) -> Bench:
        path = cli_path(agent_id)
        home = tmp_path / "home"
        home.mkdir()
        environ = {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8", "TERM": "dumb"}
        spec = get_agent(agent_id)
        binary = find_binary(spec, environ)
        assert binary is not None
        url = "http://127.0.0.1:9" if scenario == "refused" else model_server.url(scenario)
        bench = Bench(tmp_path, spec, binary, RIGS[agent_id].at(url), environ)
        bench.build()
        return bench

    return _new_bench
