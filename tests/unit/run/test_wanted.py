"""Which work packages a run is asked for, told before anything is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from spec_kitty_orchestrator.agents.agent import Agent
from spec_kitty_orchestrator.agents.custom import CustomAgent, as_spec
from spec_kitty_orchestrator.agents.spec import Role
from spec_kitty_orchestrator.errors import UsageError
from spec_kitty_orchestrator.host.contract.lanes import Lane
from spec_kitty_orchestrator.host.contract.payloads import LaneCounts, MissionState, WorkPackageState
from spec_kitty_orchestrator.run.asking import check_asked_agent, check_named_work_packages, wanted_of
from spec_kitty_orchestrator.settings.values import AgentChoice, Asked, Flags, Settings, WpAgents

NOTHING = Asked()
CHAIN = {
    "WP01": (),
    "WP02": ("WP01",),
    "WP03": ("WP02", "WP01"),
    "WP04": (),
    "WP05": ("WP06",),
    "WP06": ("WP05",),
}


def mission(**lanes: Lane) -> MissionState:
    wps = tuple(
        WorkPackageState(wp_id, lanes.get(wp_id, Lane.PLANNED), deps) for wp_id, deps in CHAIN.items()
    )
    return MissionState("m-1", None, "software-dev", LaneCounts(*[0] * 9), wps)


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (Flags(), None),
        (Flags(only=()), None),
        (Flags(until=""), None),
        (Flags(only=("WP01", "WP02")), {"WP01", "WP02"}),
        (Flags(until="WP03"), {"WP01", "WP02", "WP03"}),
        (Flags(until="WP04"), {"WP04"}),
        (Flags(until="WP05"), {"WP05", "WP06"}),  # that wait for each other
    ],
)
def test_so_many_are_wanted(flags: Flags, wanted: set[str] | None) -> None:
    assert wanted_of(flags, NOTHING, mission()) == wanted


def test_what_a_person_wants_tried_again_is_wanted() -> None:
    assert wanted_of(Flags(only=("WP01",)), Asked(("WP04",)), mission()) == {"WP01", "WP04"}
    assert wanted_of(Flags(until="WP02"), Asked(("WP04",)), mission()) == {"WP01", "WP02", "WP04"}


def test_what_it_waits_for_must_be_done_or_wanted_too() -> None:
    flags = Flags(only=("WP03",))
    with pytest.raises(UsageError, match=r"--only: WP03 waits for WP02, WP01") as refused:
        wanted_of(flags, NOTHING, mission())
    assert "--until WP03" in refused.value.remedy
    done = mission(WP01=Lane.DONE, WP02=Lane.APPROVED)
    assert wanted_of(flags, NOTHING, done) == {"WP03"}
    assert wanted_of(flags, NOTHING, mission(WP03=Lane.FOR_REVIEW)) == {"WP03"}


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (Flags(only=("WP01",), until="WP02"), "--only and --until: give one of them"),
        (Flags(only=("WP01", "WP9")), "--only: mission m-1 has no work package WP9"),
        (Flags(until="wp01"), "--until: mission m-1 has no work package wp01"),
    ],
)
def test_what_cannot_be_meant_is_refused(flags: Flags, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        wanted_of(flags, NOTHING, mission())
    assert refused.value.message == told


def test_one_of_the_two_takes_the_others_place() -> None:
    assert Flags(only=("WP01",)).over(Flags(until="WP02")) == Flags(only=("WP01",))
    assert Flags(until="").over(Flags(only=("WP02",))) == Flags(until="")
    assert Flags().over(Flags(only=("WP02",))) == Flags(only=("WP02",))


def test_agents_for_a_work_package_that_is_not_there_are_a_mistake() -> None:
    choice = AgentChoice(by_work_package={"WP01": WpAgents(model="x"), "WP09": WpAgents(model="x")})
    with pytest.raises(UsageError) as refused:
        check_named_work_packages(choice, mission())
    assert refused.value.message == "agents.by_work_package.WP09: mission m-1 has no work package WP09"
    assert refused.value.remedy.startswith("it has WP01, WP02")


def test_who_cannot_be_told_a_model_may_be_asked_beside_those_who_can() -> None:
    mine = CustomAgent({Role.IMPLEMENTATION: ("mine",)})
    choice = AgentChoice(custom={"mine": mine}, by_work_package={"WP03": WpAgents(model="opus")})
    agents = {"mine": Agent(as_spec("mine", mine), Path("/bin/mine"))}
    check_asked_agent(Asked(("WP01",), agent="mine"), Settings(agents=choice), agents)
