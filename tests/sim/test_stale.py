"""What is remembered of a work package counts only for as long as it is true, whoever moved it meanwhile."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

import pytest
import trio
from attrs import evolve
from conformance.fake.command_line import Said
from tests.sim.world import Act, PaperRepository, Stopped, World, reject

from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.processes.starting import CommandNotStarted
from spec_kitty_orchestrator.report.events import HandoverRefused
from spec_kitty_orchestrator.run.taking_up import how_to_come_back
from spec_kitty_orchestrator.settings.values import Asked

NewWorld = Callable[..., World]
CRASHED = Said(1, b"", b"Traceback (most recent call last):\nFileExistsError: .git/index.lock\n")
A_WHILE = 20.0


def loses_the_reply(world: World, to: str) -> None:
    """The host moves it there, and breaks down on that and on all calls of a while."""
    ask, until = world.host.respond, [0.0]

    def call(argv: Sequence[str]) -> Said:
        now = trio.current_time()
        if not until[0] and argv[1] == "transition" and argv[argv.index("--to") + 1] == to:
            assert ask(argv).returncode == 0
            until[0] = now + A_WHILE
        return CRASHED if now < until[0] else ask(argv)

    world.host.respond = call


def test_a_handover_whose_reply_is_lost_is_one(single: World) -> None:
    """Who made it is known, so another one reviews it; and it is not handed over again when it comes back."""
    world = single.with_agents(implementation=("claude-code", "codex"), review=("codex", "claude-code"))
    world.agent_acts["claude-code"] = [Act(commit=False)] * 3
    world.acts["WP01", "review"] = [reject("mend it")]
    loses_the_reply(world, "for_review")
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert world.asked("WP01", "implementation") == ["claude-code"] * 3 + ["codex", "claude-code"]
    assert world.asked("WP01", "review") == ["claude-code", "codex"]
    assert len(world.said(HandoverRefused)) == 3
    outcomes = [each.outcome for each in world.remember().record("WP01").attempts]
    assert outcomes == ["handover_refused"] * 3 + ["succeeded"] * 4


def test_a_block_whose_reply_is_lost_is_ours(single: World) -> None:
    """What counted against it is forgotten, so a person can simply unblock it, or have us do it."""
    single.acts["WP01", "implementation"] = [Act(commit=False)] * 6
    ask = single.host.respond
    loses_the_reply(single, "blocked")
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert "somebody else" not in end.lines[1]
    single.host.respond = ask
    loses_the_reply(single, "blocked")
    single.wishes = Asked(retry_blocked=True)
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    assert single.asked("WP01", "implementation") == ["claude-code"] * 6
    single.wishes, single.host.respond = Asked(), ask
    single.fake.wps["WP01"].update(lane="in_progress", holder="a person")
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED


def test_what_we_blocked_and_a_person_took_back_is_claimed_like_any_other(single: World) -> None:
    """A person who has claimed it since works on it alone."""
    single.acts["WP01", "implementation"] = [Act(commit=False)] * 3 + [Act(seconds=500)]
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    single.fake.wps["WP01"].update(lane="planned", holder=None)
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=100)
    assert len(single.attempts) == 4
    single.fake.wps["WP01"].update(lane="planned", holder=None)
    single.stand("WP01", "in_progress", "a person")
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    assert len(single.attempts) == 4


def approved_unheard(world: World) -> None:
    """A reviewer approves WP01, and the host breaks down on it until the run is given up."""
    ask = world.host.respond
    world.host.respond = lambda argv: CRASHED if "done" in argv else ask(argv)
    assert world.orchestrate().exit_code is ExitCode.HOST
    assert world.lanes()["WP01"] == "in_review"
    world.host.respond = ask


def test_an_approval_is_worth_nothing_once_somebody_has_sent_the_work_back(single: World) -> None:
    approved_unheard(single)
    single.fake.wps["WP01"].update(lane="in_progress", holder="a person")
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    single.fake.wps["WP01"].update(lane="in_review", holder="a person")
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    assert single.lanes() == {"WP01": "in_review"}
    assert single.remember().record("WP01").approved_commit is None


def test_what_a_person_takes_back_is_theirs_also_while_it_waits_for_a_slot(new_world: NewWorld) -> None:
    """They claim it themselves then: half-done work in its workspace is not taken for ours."""
    world = new_world("WP01", "WP02")
    world.settings = evolve(world.settings, max_concurrent_wps=1)
    world.acts["WP01", "implementation"] = [Act(raises=CommandNotStarted("no process is to be had"))]
    world.acts["WP02", "implementation"] = [Act(seconds=400)]

    async def person() -> None:
        await trio.sleep(100)
        world.fake.wps["WP01"].update(lane="planned", holder=None)
        await trio.sleep(100)
        world.stand("WP01", "in_progress", "a person")
        world.fake.change("WP01")

    world.beside = person
    assert world.orchestrate().exit_code is ExitCode.ATTENTION
    assert world.asked("WP01", "implementation") == ["claude-code"]


def test_an_approved_commit_counts_only_while_its_work_package_is_approved(single: World) -> None:
    """A person takes it back, and approves another one."""
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    single.fake.wps["WP01"].update(lane="in_progress", holder="a person")
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    commits = PaperRepository(single.fake).paper.commits[f"kitty/mission-{single.fake.slug}-lane-a"]
    commits.pop()
    single.fake.commit("WP01")
    single.fake.wps["WP01"].update(lane="approved", holder="a person")
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED


def test_the_command_to_come_back_with_can_be_pasted_whatever_our_name(single: World) -> None:
    single.actor = "the night's run"
    command = how_to_come_back(single.remember()).partition("go on with: ")[2]
    assert shlex.split(command)[-2:] == ["--actor", single.actor]
