"""Found in a lane: what a run does with a work package that it did not put there, or that people move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from attrs import evolve
from conformance.fake.checks import about
from conformance.fake.command_line import Said, reply
from conformance.fake.in_process import Fault
from conformance.fake.rules import Refused
from tests.sim.world import ACTOR, Act, Stopped, World, reject

from spec_kitty_orchestrator.agents.spec import Role
from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.host.contract.lanes import Lane

NewWorld = Callable[..., World]
TWO = ("claude-code", "codex")


FOUND = {
    # lane, actor, recorded as held: the claim, the review → lane at the end, attempts made, exit code
    "planned": ("planned", None, (False, False), "done", 2, ExitCode.ACCEPTED),
    "in progress, claim held": ("in_progress", ACTOR, (True, False), "done", 2, ExitCode.ACCEPTED),
    "in progress, our actor's but not recorded": (
        "in_progress",
        ACTOR,
        (False, True),
        "done",
        2,
        ExitCode.ACCEPTED,
    ),
    "in progress, another's": ("in_progress", "someone", (False, True), "in_progress", 0, ExitCode.ATTENTION),
    "for review": ("for_review", "someone", (False, False), "done", 1, ExitCode.ACCEPTED),
    "in review, review held": ("in_review", ACTOR, (False, True), "done", 1, ExitCode.ACCEPTED),
    "in review, only the claim held": ("in_review", ACTOR, (True, False), "in_review", 0, ExitCode.ATTENTION),
    "approved": ("approved", ACTOR, (True, True), "approved", 0, ExitCode.ACCEPTED),
    "done": ("done", ACTOR, (True, True), "done", 0, ExitCode.ACCEPTED),
    "blocked": ("blocked", ACTOR, (True, True), "blocked", 0, ExitCode.ATTENTION),
    "canceled": ("canceled", ACTOR, (True, True), "canceled", 0, ExitCode.ATTENTION),
}


@pytest.mark.parametrize(
    ("lane", "actor", "held", "after", "attempts", "code"), FOUND.values(), ids=FOUND.keys()
)
def test_a_work_package_is_taken_up_from_where_it_is_found(
    single: World,
    lane: str,
    actor: str | None,
    held: tuple[bool, bool],
    after: str,
    attempts: int,
    code: ExitCode,
) -> None:
    if actor is not None:
        single.stand("WP01", lane, actor)
        single.fake.commit("WP01")
        single.fake.mark("WP01")
    single.remember("WP01", claim=held[0], review=held[1])
    end = single.orchestrate()
    assert single.lanes() == {"WP01": after}
    assert len(single.attempts) == attempts
    assert end.exit_code is code


def for_review_by_somebody(world: World) -> None:
    world.stand("WP01", "for_review", "somebody")
    world.fake.commit("WP01")
    world.fake.mark("WP01")


def test_what_we_blocked_and_a_person_unblocks_is_gone_on_with_whoever_implemented_it(single: World) -> None:
    for_review_by_somebody(single)
    single.acts["WP01", "review"] = [Act(verdict=None)] * 3
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    assert single.lanes() == {"WP01": "blocked"}
    single.fake.wps["WP01"].update(lane="in_progress", holder="a person")
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED


def test_what_we_sent_back_is_ours_even_when_we_are_killed_before_we_hear_of_it(single: World) -> None:
    """start-implementation would refuse the workspace, in which the reviewer has left something."""
    for_review_by_somebody(single)
    single.acts["WP01", "review"] = [reject("mend it")]
    on_the_disk: list[bytes] = []
    respond = single.host.respond

    def look(argv: Sequence[str]) -> Said:
        said = respond(argv)
        if argv[1] == "transition":
            on_the_disk.append(single.store.path.read_bytes())
        return said

    single.host.respond = look
    single.orchestrate()
    single.store.path.write_bytes(on_the_disk[0])  # as a kill leaves it
    single.fake.wps["WP01"].update(lane="in_progress")
    single.fake.change("WP01")
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED


def test_what_we_approved_and_somebody_takes_back_is_theirs(single: World) -> None:
    single.settings = evolve(single.settings, approval_lane=Lane.APPROVED)
    for_review_by_somebody(single)
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    single.fake.wps["WP01"].update(lane="in_progress", holder="somebody")
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    assert [made.role for made in single.attempts] == [Role.REVIEW]


def test_what_a_person_takes_out_of_our_review_is_not_ours_to_work_on(single: World) -> None:
    for_review_by_somebody(single)

    def take() -> None:
        single.fake.wps["WP01"].update(lane="in_progress", holder="somebody")

    single.acts["WP01", "review"] = [evolve(reject("mend it"), then=take)]
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    assert single.lanes() == {"WP01": "in_progress"}
    assert [made.role for made in single.attempts] == [Role.REVIEW]


def refuse_once(world: World, command: str, code: str, after: str) -> None:
    """Has the host refuse the next such command after the first of another kind, once."""
    respond, asked, refused = world.host.respond, [], []
    refusal = Refused(code, "not just now", **about(world.fake.missions[world.fake.slug]))

    def call(argv: Sequence[str]) -> Said:
        if argv[1] == command and after in asked and not refused:
            refused.append(argv)
            return reply(command, refusal.data, [], refusal)
        asked.append(argv[1])
        return respond(argv)

    world.host.respond = call


def test_a_review_that_was_taken_with_its_reply_lost_is_ours_whatever_is_refused_next(single: World) -> None:
    single.host.faults["start-review"] = [Fault.GARBLE_AFTER]
    refuse_once(single, "start-review", "STATUS_READ_PATH_NOT_FOUND", after="start-review")
    single.orchestrate()
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED


def test_what_was_sent_back_with_its_reply_lost_is_ours_whatever_is_refused_next(single: World) -> None:
    for_review_by_somebody(single)
    leaving_something = evolve(reject("mend it"), then=lambda: single.fake.change("WP01"))
    single.acts["WP01", "review"] = [leaving_something]
    single.host.faults["transition"] = [Fault.GARBLE_AFTER]
    refuse_once(single, "mission-state", "MISSION_NOT_FOUND", after="transition")
    single.orchestrate()
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED


def test_our_own_unfinished_work_is_gone_on_with_even_when_it_is_not_committed(single: World) -> None:
    """start-implementation refuses a dirty workspace; what is recorded as held is looked up then."""
    single.stand("WP01", "in_progress")
    single.fake.change("WP01")
    single.remember("WP01")
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert "resolve-workspace" in single.host.commands()


def test_what_a_person_claimed_while_we_were_away_is_theirs(single: World) -> None:
    """It is recorded as held by us, as a run leaves it that was stopped at work on it."""
    single.acts["WP01", "implementation"] = [Act(seconds=1000)]
    with pytest.raises(Stopped):
        single.orchestrate(stop_after=100)
    single.fake.wps["WP01"].update(lane="in_progress", holder="a person")
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert "claimed for implementation by 'a person'" in end.lines[1]
    assert len(single.attempts) == 1


def test_what_a_person_claims_after_we_were_sent_away_is_theirs(new_world: NewWorld) -> None:
    """Within one run: taken back to planned, and claimed by the person before we could."""
    world = new_world("WP01", "WP02")
    world.acts["WP01", "implementation"] = [Act(seconds=1000)]

    def claim() -> None:
        world.fake.wps["WP01"].update(lane="claimed", holder="a person")

    world.acts["WP02", "implementation"] = [Act(seconds=30, then=claim)]
    assert world.orchestrate().exit_code is ExitCode.ATTENTION
    assert len(world.asked("WP01", "implementation")) == 1


def test_no_agent_is_let_loose_in_a_plain_folder(single: World) -> None:
    single.stand("WP01", "in_progress")
    single.remember("WP01")
    (single.root / ".worktrees" / f"{single.fake.slug}-lane-a" / ".git").unlink()
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert not single.attempts
    assert "is a plain folder, not a worktree" in end.lines[1]


def test_a_missing_prompt_file_leaves_the_work_package_and_says_so(single: World) -> None:
    (prompt,) = (single.root / "kitty-specs" / single.fake.slug / "tasks").glob("WP01*")
    Path(prompt).unlink()
    end = single.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert not single.attempts
    assert "cannot read the prompt file" in end.lines[1]


def test_what_people_unblock_starts_with_all_its_retries(single: World) -> None:
    single.acts["WP01", "review"] = [reject(word) for word in ("one", "two", "three")]
    single.orchestrate()
    single.fake.wps["WP01"]["lane"] = "in_progress"
    single.acts["WP01", "review"] = [reject("four"), reject("five")]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    assert "three" in single.prompts("WP01", "implementation")[3]
