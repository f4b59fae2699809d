"""A mission that the host cannot accept, for its coordination branch: the end says how to go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from conformance.fake.command_line import Said, respond
from tests.sim.world import World

from spec_kitty_orchestrator.errors import ExitCode

BROKEN = "accept-mission: the host broke down (exit status 1): "


@pytest.fixture
def coordinated(new_world: Callable[..., World]) -> World:
    return new_world("WP01", "WP02", topology="coord")


def test_all_is_done_and_the_end_is_attention_with_the_hosts_words_and_the_command_to_merge(
    coordinated: World,
) -> None:
    end = coordinated.orchestrate()

    assert end.exit_code is ExitCode.ATTENTION
    assert coordinated.lanes() == {"WP01": "done", "WP02": "done"}
    first, words, *judged, after = end.lines
    mission = coordinated.fake.slug
    assert first == (
        f"mission {mission}: all 2 work packages are done, but the host cannot accept it; "
        f"merge it with: spec-kitty orchestrator-api merge-mission --mission {mission}"
    )
    assert words.strip().startswith(f"{BROKEN}FileNotFoundError: No meta.json in ")
    assert [line.split()[0] for line in judged] == ["WP01", "WP02"]
    assert after.endswith(f"spec-kitty-orchestrator orchestrate --mission {mission}")
    assert "resume" not in "".join(end.lines)
    assert coordinated.host.commands().count("accept-mission") == 1


def test_once_it_is_merged_another_run_accepts_it(coordinated: World) -> None:
    coordinated.orchestrate()
    said = respond(
        coordinated.fake, ["orchestrator-api", "merge-mission", "--mission", coordinated.fake.slug]
    )
    assert said.returncode == 0, said
    assert coordinated.orchestrate().exit_code is ExitCode.ACCEPTED


def test_a_host_that_can_accept_it_is_asked_to(coordinated: World) -> None:
    """A newer one may: whoever knows beforehand does not ask, and never learns."""

    def mended(argv: Sequence[str]) -> Said:
        if argv[1] == "accept-mission":
            coordinated.fake.missions[coordinated.fake.slug]["topology"] = "lanes"
        return respond(coordinated.fake, argv)

    coordinated.host.respond = mended
    assert coordinated.orchestrate().exit_code is ExitCode.ACCEPTED
