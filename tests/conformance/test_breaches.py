"""The suite is red, in the right words, for each way in which a host can break the contract."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conformance.canon import FIXTURES
from conformance.cases import CASES
from conformance.fake.program import install_fake_host
from conformance.journey import set_out
from conformance.program import Host
from conformance.recording import Recording
from conformance.report import report
from tests.conformance.broken_hosts import BROKEN_HOSTS, BrokenHost


def travel(host: Path, folder: Path) -> Recording:
    return set_out(host, folder / "journey").finish()


@pytest.mark.parametrize("broken", BROKEN_HOSTS, ids=lambda broken: broken.name.replace(" ", "_"))
def test_a_host_that_breaks_the_contract_is_told_so(broken: BrokenHost, tmp_path: Path) -> None:
    recording = travel(broken.install(tmp_path / "bin"), tmp_path)
    lines = report(recording, "the host")
    assert [line for line in lines if broken.words in line], "\n".join(lines)
    assert lines[-1].startswith("does not conform")


def test_what_a_host_says_beyond_the_contract_is_listed_and_no_breach(tmp_path: Path) -> None:
    grown = BrokenHost(
        "", "", 'if command == "list-ready": data["hint"] = {"text": "x"}; lines += ["WARNING"]'
    )
    lines = report(travel(grown.install(tmp_path / "bin"), tmp_path), "the host")
    assert "new, and no breach: list-ready: data.hint" in lines
    assert lines[-1] == f"conforms: {len(CASES)} cases, no breach"


def test_a_host_that_says_more_around_its_reply_conforms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEC_KITTY_FAKE_NOISE", "WARNING: the lane is behind\n{not json}")
    recording = travel(install_fake_host(tmp_path / "bin"), tmp_path)
    assert recording.breaches() == []
    assert not recording.stopped


def test_a_host_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    program = tmp_path / "spec-kitty"
    program.write_text("#!/bin/sh\nsleep 600 &\nsleep 600\n")
    program.chmod(0o755)
    said = Host(program, os.environ, patience=0.5).call((), tmp_path)
    assert (said.returncode, said.stderr) == (-9, b"no answer in 0.5 s")


def test_every_fixture_has_a_case_that_asks_for_it() -> None:
    assert set(FIXTURES) <= {case.name for case in CASES}
