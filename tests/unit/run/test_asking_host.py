"""The two questions that open a run are asked side by side; what is wrong with the version comes first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
import trio.testing
from conformance.fake.in_process import Fault, InProcessHost, make_fake_project

from spec_kitty_orchestrator.host.client import HostClient
from spec_kitty_orchestrator.host.errors import Completed, HostCrashed, HostIncompatible, MissionNotFound
from spec_kitty_orchestrator.host.program import HostEndpoint
from spec_kitty_orchestrator.run.opening import ask_host


class OldHost(InProcessHost):
    """A host that speaks an older contract."""

    async def __call__(self, argv: Sequence[str], mutating: bool) -> Completed:
        said = await super().__call__(argv, mutating)
        return Completed(said.returncode, said.stdout.replace(b'"1.5.0"', b'"1.0.0"'), said.stderr)


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)


def asked(root: Path, of: type[InProcessHost] = InProcessHost) -> tuple[InProcessHost, HostClient]:
    fake = make_fake_project(root, {"WP01": []})
    host = of(fake, seconds=2.0)
    return host, HostClient(HostEndpoint(Path("unused"), root), fake.slug, "me", host)


async def test_both_are_asked_at_once(
    tmp_path: Path, two_cores: None, autojump_clock: trio.testing.MockClock
) -> None:
    host, client = asked(tmp_path)
    began = trio.current_time()
    version, state = await ask_host(client)
    assert trio.current_time() - began == 2.0
    assert version == "1.5.0"
    assert [found.wp_id for found in state.work_packages] == ["WP01"]
    assert sorted(host.commands()) == ["contract-version", "mission-state"]


@pytest.mark.parametrize("seconds", [1.0, 9.0])
async def test_a_version_that_we_do_not_speak_is_told_whatever_the_mission_is_like(
    seconds: float, tmp_path: Path, two_cores: None, autojump_clock: trio.testing.MockClock
) -> None:
    host, client = asked(tmp_path, OldHost)
    client.mission = "no-such-mission"
    host.slow["contract-version"] = seconds
    with pytest.raises(HostIncompatible):
        await ask_host(client)


async def test_the_other_question_is_given_up_when_the_version_is_wrong(
    tmp_path: Path, two_cores: None, autojump_clock: trio.testing.MockClock
) -> None:
    host, client = asked(tmp_path, OldHost)
    host.slow["mission-state"] = 50.0
    began = trio.current_time()
    with pytest.raises(HostIncompatible):
        await ask_host(client)
    assert trio.current_time() - began == 2.0
    assert host.in_flight == 0


@pytest.mark.parametrize("seconds", [1.0, 9.0])
async def test_what_is_wrong_with_the_mission_is_told_as_it_is(
    seconds: float, tmp_path: Path, two_cores: None, autojump_clock: trio.testing.MockClock
) -> None:
    """Not in a group, which nobody would know how to show."""
    host, client = asked(tmp_path)
    client.mission = "no-such-mission"
    host.slow["contract-version"] = seconds
    with pytest.raises(MissionNotFound):
        await ask_host(client)


async def test_of_two_breakdowns_that_of_the_version_is_told(
    tmp_path: Path, two_cores: None, autojump_clock: trio.testing.MockClock
) -> None:
    host, client = asked(tmp_path)
    host.slow["contract-version"] = 9.0
    host.faults = {command: [Fault.CRASH_BEFORE] for command in ("contract-version", "mission-state")}
    with pytest.raises(HostCrashed, match="contract-version"):
        await ask_host(client)
