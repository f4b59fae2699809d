"""One run of the host's program under a keeper: what it is given, what is kept, and how it is stopped."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from attrs import evolve
from conformance.fake.program import install_fake_host
from tests.process.stage import PATIENCE

from spec_kitty_orchestrator.host.client import HostClient
from spec_kitty_orchestrator.host.contract.envelope import HostGarbled
from spec_kitty_orchestrator.host.errors import HostCrashed, HostHung, HostMissing
from spec_kitty_orchestrator.host.program import STDERR_KEPT, HostEndpoint, HostUnderKeeper

MakeHost = Callable[[str], HostEndpoint]

SLOW = """
import signal, time
def stop(number, frame):
    print("rolled back", flush=True)
    raise SystemExit(130)
signal.signal(signal.SIGINT, stop)
print("begun", flush=True)
open("begun", "w").close()
time.sleep(600)
"""


@pytest.fixture
def make_host(tmp_path: Path) -> MakeHost:
    """A host that is a few lines of Python; it runs in the test's folder."""

    def make(code: str) -> HostEndpoint:
        script, program = tmp_path / "host.py", tmp_path / "spec-kitty"
        script.write_text(code)
        program.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-S", "-I", str(script)])} "$@"\n')
        program.chmod(0o755)
        return HostEndpoint(program, tmp_path)

    return make


async def began(root: Path) -> None:
    while not (root / "begun").exists():  # noqa: ASYNC110 - another process tells, by a file
        await trio.sleep(0.02)


async def test_status_output_and_folder_are_as_the_host_left_them(make_host: MakeHost) -> None:
    endpoint = make_host(
        "import os, sys; print(sys.argv[1:], os.getcwd() == os.environ['PWD'], sys.stdin.read() == '');"
        "print('why', file=sys.stderr); sys.exit(7)"
    )
    said = await HostUnderKeeper(endpoint)(["a b", "*"], False)
    assert (said.returncode, said.stdout, said.stderr) == (7, b"['a b', '*'] True True\n", b"why\n")


async def test_the_variables_of_a_git_hook_do_not_reach_the_host(make_host: MakeHost) -> None:
    endpoint = make_host("import os; print('GIT_DIR' in os.environ, os.environ['KEPT'])")
    given = evolve(endpoint, environ={**os.environ, "GIT_DIR": "/elsewhere", "KEPT": "yes"})
    assert (await HostUnderKeeper(given)([], False)).stdout == b"False yes\n"


async def test_the_hosts_own_folder_is_the_last_on_its_path_for_the_merge_drivers_that_it_gave_to_git(
    make_host: MakeHost,
) -> None:
    endpoint = evolve(make_host("import os; print(os.environ['PATH'])"), environ={"PATH": "/usr/bin:/bin"})
    said = await HostUnderKeeper(endpoint)([], False)
    assert said.stdout.decode().strip() == f"/usr/bin:/bin:{endpoint.binary.parent}"


async def test_of_a_flood_the_end_is_kept(make_host: MakeHost) -> None:
    endpoint = make_host(
        "import sys; sys.stderr.write('x' * 1_000_000 + 'the end'); print('y' * 1_000_000 + 'last')"
    )
    said = await HostUnderKeeper(endpoint)([], False)
    assert (len(said.stdout), len(said.stderr)) == (1_000_005, STDERR_KEPT)
    assert said.stdout.endswith(b"last\n")
    assert said.stderr.endswith(b"the end")


async def test_a_program_that_cannot_be_started_is_missing(tmp_path: Path) -> None:
    for name, text in (("nowhere", None), ("plain", "no program"), ("broken", "#!/nowhere/sh\n")):
        if text is not None:
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o644 if name == "plain" else 0o755)
        with pytest.raises(HostMissing, match="pip install"):
            await HostUnderKeeper(HostEndpoint(tmp_path / name, tmp_path))([], False)


async def test_a_host_that_kills_itself_crashed(make_host: MakeHost) -> None:
    client = HostClient(make_host("import os; os.kill(os.getpid(), 9)"), "demo")
    with pytest.raises(HostCrashed, match="signal 9"):
        await client.list_ready()


async def test_what_it_said_before_its_keeper_was_lost_is_not_trusted(make_host: MakeHost) -> None:
    """How it ended is not known then, and an envelope holds only together with its exit status."""
    reply = {
        "contract_version": "1.5.0", "command": "orchestrator-api.contract-version", "timestamp": "t",
        "correlation_id": "c", "success": True, "error_code": None,
        "data": {"api_version": "1.5.0", "min_supported_provider_version": "0.1.0"},
    }  # fmt: skip
    host = "import os, time; print({!r}, flush=True); os.kill(os.getppid(), 9); time.sleep(600)"
    client = HostClient(make_host(host.format(json.dumps(reply))), "demo")
    with pytest.raises(HostGarbled, match="answered success but ended with signal 9"):
        await client.contract_version()


@pytest.mark.parametrize("mutating", [True, False])
async def test_only_a_change_is_given_time_to_roll_back(
    make_host: MakeHost, tmp_path: Path, mutating: bool
) -> None:
    """SIGINT is what the real host rolls back on; SIGTERM and SIGKILL leave it half-done."""
    endpoint = make_host(SLOW.replace('print("rolled back", flush=True)', 'open("rolled back", "w").close()'))
    with trio.fail_after(PATIENCE), trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(HostUnderKeeper(endpoint), [], mutating)
            await began(tmp_path)
            scope.cancel()
    assert scope.cancelled_caught
    assert (tmp_path / "rolled back").exists() is mutating


async def test_a_change_that_hangs_is_interrupted_at_its_deadline(make_host: MakeHost) -> None:
    client = HostClient(evolve(make_host(SLOW), timeout=1.0), "demo", "me")
    with trio.fail_after(PATIENCE), pytest.raises(HostHung, match="no answer in 1 s"):
        await client.append_history("WP01", "x")


async def test_a_second_order_to_stop_kills_even_a_change(make_host: MakeHost, tmp_path: Path) -> None:
    kill_now = trio.Event()
    deaf = SLOW.replace("raise SystemExit(130)", "pass")
    endpoint = evolve(make_host(deaf), kill_now=kill_now)
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(HostUnderKeeper(endpoint), [], True)
            await began(tmp_path)
            kill_now.set()


async def test_the_fake_host_runs_as_a_program_too(tmp_path: Path) -> None:
    client = HostClient(HostEndpoint(install_fake_host(tmp_path / "bin"), tmp_path), "demo")
    assert (await client.contract_version()).api_version == "1.5.0"
