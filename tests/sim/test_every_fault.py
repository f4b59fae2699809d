"""Every fault of the host at every single call: no traceback, no work package lost, no attempt paid twice."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from attrs import frozen
from conformance.fake.checks import about
from conformance.fake.command_line import Said, reply
from conformance.fake.in_process import Fault
from conformance.fake.rules import Refused
from tests.sim.world import World, make_world, reject

from spec_kitty_orchestrator.errors import ExitCode, HostError
from spec_kitty_orchestrator.host.errors import REFUSED
from spec_kitty_orchestrator.report.events import VerdictGiven

CODES = (*REFUSED, "SAFE_COMMIT_BRANCH_PROTECTED", "A_CODE_OF_TOMORROW")
FOR_THE_REST_OF_THE_RUN = ("WP_ALREADY_CLAIMED", "MISSION_NOT_READY")
"""It is somebody else's, or somebody has opened one again."""
ENDS_A_RUN = {ExitCode.ATTENTION, ExitCode.HOST, ExitCode.USAGE}
Trouble = Fault | Said | None
MORE = {
    "reason": "not just now",
    "claimed_by": "somebody",
    "requesting_actor": "the-run",
    "unsatisfied_dependencies": ["WP01"],
    "incomplete_wps": ["WP01"],
    "errors": ["no such branch"],
    "target_branch": "feat/work",
}
"""What the refusals of one code or another hold beside their words."""


def a_mission(root: Path) -> World:
    """A rejection with its rework, a dependency, and a lane that two share."""
    world = make_world(root, {"WP01": [], "WP02": ["WP01"]}, lanes={"WP01": "lane-x", "WP02": "lane-x"})
    world.acts["WP01", "review"] = [reject("mend it")]
    return world


PAID = Counter({(wp_id, role): 1 for wp_id in ("WP01", "WP02") for role in ("implementation", "review")})
PAID.update([("WP01", "implementation"), ("WP01", "review")])
FEWEST_CALLS = 20


@frozen
class Played:
    """How a run with faults went, and the one after it."""

    world: World
    first: ExitCode
    lines: tuple[str, ...]
    last: ExitCode
    met: tuple[str, ...]


def play(world: World, fault: Callable[[Sequence[str]], Trouble]) -> Played:
    """A run in which `fault` says what a call meets, then one in which the host is well, if need be."""
    ask = world.host.respond
    met: list[str] = []

    def trouble(argv: Sequence[str]) -> Fault | None:
        found = fault(argv)
        if found is not None:
            met.append(f"{argv[1]} {' '.join(argv[argv.index('--to') :][:2])}" if "--to" in argv else argv[1])
        world.host.respond = (lambda _: found) if isinstance(found, Said) else ask
        return found if isinstance(found, Fault) else None

    world.host.trouble = trouble
    first, lines = run(world)
    world.host.trouble, world.host.respond = lambda _: None, ask
    last = first if first is ExitCode.ACCEPTED else run(world)[0]
    return Played(world, first, lines, last, tuple(met))


def run(world: World) -> tuple[ExitCode, tuple[str, ...]]:
    try:
        end = world.orchestrate()
    except HostError as broken:
        return broken.exit_code, (str(broken),)
    return end.exit_code, end.lines


def check(played: Played, more: int = 0) -> None:
    """Nothing was lost, and nothing paid twice but `more` attempts."""
    world = played.world
    assert not list(world.root.glob(".kittify/logs/*/*internal-error*"))
    assert played.last is ExitCode.ACCEPTED, played
    assert played.first in {ExitCode.ACCEPTED, *ENDS_A_RUN}
    assert all(line and "\n" not in line and "Traceback" not in line for line in played.lines), played.lines
    paid = Counter((made.wp_id, made.role.value) for made in world.attempts)
    extra = paid - PAID
    assert extra.total() == more, (played.met, extra)
    refs = [event.review_ref for event in world.said(VerdictGiven)]
    assert len(refs) == len({*refs})


def at_call(
    number: int, fault: Callable[[Sequence[str]], Trouble], times: int = 1
) -> Callable[[Sequence[str]], Trouble]:
    """A fault at so many calls, from the one with this number on; the first has number 0."""
    calls = itertools.count()
    return lambda argv: fault(argv) if number <= next(calls) < number + times else None


BROKEN: dict[str, Trouble] = {
    **{fault.value: fault for fault in Fault},
    "says nothing": Said(0, b"", b""),
    "half a line": Said(0, b'{"contract_version": "1.5.0", "command": "orchestrator-api.', b""),
    "no JSON": Said(0, b"\xff\xfe\x00 Segmentation fault\n", b""),
    "another shape": Said(0, b'["contract_version"]\n', b""),
    "killed": Said(-9, b"", b""),
}


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
@pytest.mark.parametrize("how", BROKEN)
def test_a_breakdown_at_any_call_costs_no_more_than_time(tmp_path: Path, how: str, times: int) -> None:
    for number in itertools.count():
        played = play(a_mission(tmp_path / f"{number}"), at_call(number, lambda _: BROKEN[how], times))
        if not played.met:
            break  # there are no more calls than that
        check(played)
        # At the first one the run cannot even be opened.
        assert played.first is (ExitCode.ACCEPTED if number else ExitCode.HOST), (number, played.lines)
    assert number > FEWEST_CALLS


@pytest.mark.parametrize("code", CODES)
def test_a_refusal_at_any_call_costs_no_work_package(tmp_path: Path, code: str) -> None:
    for number in itertools.count():
        world = a_mission(tmp_path / f"{number}")
        played = play(world, at_call(number, lambda argv, world=world: refused(world, argv, code)))
        if not played.met:
            break
        is_feedback = code == "TRANSITION_REJECTED" and played.met == ("transition --to for_review",)
        check(played, more=int(is_feedback))
        if number and code not in FOR_THE_REST_OF_THE_RUN:
            assert played.first is ExitCode.ACCEPTED, (number, played.lines)
    assert number > FEWEST_CALLS


def refused(world: World, argv: Sequence[str], code: str) -> Said:
    """The host says no, with all that any of its refusals holds."""
    wp_id = argv[argv.index("--wp") + 1] if "--wp" in argv else "WP01"
    data = {**about(world.fake.missions[world.fake.slug]), **MORE, "wp_id": wp_id}
    refusal = Refused(code, "not just now", **data)
    return reply(argv[1], refusal.data, [], refusal)
