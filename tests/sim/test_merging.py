"""The mission is merged once it is accepted: on proof, once, and what came of it is looked up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from attrs import evolve
from conformance.fake.command_line import Said
from conformance.fake.in_process import Fault
from tests.sim.world import PaperRepository, World

from spec_kitty_orchestrator.errors import ExitCode, WorkspaceError
from spec_kitty_orchestrator.report.run_events import MissionMerged
from spec_kitty_orchestrator.settings.values import MergeSettings


@pytest.fixture
def pair(new_world: Callable[..., World]) -> World:
    return merging(new_world("WP01", "WP02"))


def merging(world: World, **how: object) -> World:
    merge = MergeSettings(when_accepted=True, **how)  # type: ignore[arg-type]
    world.settings = evolve(world.settings, merge=merge)
    return world


def target(world: World) -> str:
    return str(world.fake.missions[world.fake.slug]["target"])


def paper(world: World) -> dict[str, list[str]]:
    found: dict[str, list[str]] = world.fake.workspaces.commits  # type: ignore[attr-defined]
    return found


def test_it_is_merged_after_it_was_accepted(pair: World) -> None:
    end = pair.orchestrate()
    assert end.exit_code is ExitCode.ACCEPTED
    # Its own merge puts back what the host noted of the acceptance: it is asked once more.
    assert pair.host.commands()[-3:] == ["accept-mission", "merge-mission", "accept-mission"]
    assert pair.host.log[-2][-4:] == ("--strategy", "merge", "--target", target(pair))
    tip = paper(pair)[target(pair)][-1]
    assert pair.said(MissionMerged) == [MissionMerged(target(pair), "merge", tip, False)]
    line = f"mission {pair.fake.slug} merged into {target(pair)} (merge), {tip[:12]}"
    assert line in end.lines
    assert "merge it with" not in "".join(end.lines)


def test_nothing_is_merged_unless_it_is_asked_for(pair: World) -> None:
    pair.settings = evolve(pair.settings, merge=MergeSettings())
    assert pair.orchestrate().exit_code is ExitCode.ACCEPTED
    assert "merge-mission" not in pair.host.commands()


def test_what_is_not_accepted_is_not_merged(pair: World) -> None:
    refusal = Fault.CRASH_BEFORE
    pair.settings = evolve(pair.settings, patience_seconds=0.0)
    pair.host.faults["accept-mission"] = [refusal] * 50
    with pytest.raises(Exception, match="accept-mission"):
        pair.orchestrate()
    assert "merge-mission" not in pair.host.commands()


def test_a_refused_preflight_is_shown_whole_and_the_mission_stays_accepted(pair: World) -> None:
    merging(pair, target="side")
    paper(pair)["side"] = ["0"]
    asked = pair.host.respond

    def respond(argv: Sequence[str]) -> Said:
        if argv[1] == "merge-mission":
            del paper(pair)["side"]  # by somebody, just now
        return asked(argv)

    pair.host.respond = respond
    end = pair.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert end.is_accepted
    at = end.lines.index(f"mission {pair.fake.slug} was not merged:")
    assert end.lines[at + 1] == "  Target branch 'side' does not exist locally or on origin."
    assert end.lines[at + 2].endswith(f"orchestrate --mission {pair.fake.slug} --merge")


def test_lanes_that_somebody_removed_are_no_merge(pair: World) -> None:
    pair.settings = evolve(pair.settings, merge=MergeSettings())
    pair.orchestrate()
    for branch in [branch for branch in paper(pair) if "-lane-" in branch]:
        del paper(pair)[branch]
    end = merging(pair).orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert "is not in" in "".join(end.lines)
    assert "merge-mission" not in pair.host.commands()


@pytest.mark.parametrize(
    ("how", "spoil", "told"),
    [
        ({"target": "gone"}, None, "there is no branch gone here to merge into"),
        ({"push": True}, None, "merge.push: there is no remote `origin` to push to"),
        ({}, "checkout", "is checked out here with changes that nobody has committed: README.md"),
        ({}, "lane", "which the host removes, holds notes.txt"),
        ({}, "beyond", "is not one that was approved"),
    ],
)
def test_what_stands_in_the_way_is_found_before_the_host_is_asked(
    pair: World, how: dict[str, object], spoil: str | None, told: str
) -> None:
    merging(pair, **how)
    asked = pair.host.respond

    def respond(argv: Sequence[str]) -> Said:
        if argv[1] == "accept-mission":
            spaces = pair.fake.workspaces
            if spoil == "checkout":
                spaces.changed[pair.root] = {
                    "README.md",
                    "kitty-specs/m/status.json",
                    "kitty-specs/m/meta.json",
                }  # type: ignore[attr-defined]
            if spoil == "beyond":
                pair.fake.commit("WP01")
            if spoil == "lane":
                lane = next(iter((pair.root / ".worktrees").iterdir()))
                spaces.untracked[lane] = {"notes.txt"}  # type: ignore[attr-defined]
        return asked(argv)

    pair.host.respond = respond
    end = pair.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert end.is_accepted
    assert any(told in line for line in end.lines), end.lines
    assert "kitty-specs" not in "".join(end.lines)
    assert "merge-mission" not in pair.host.commands()


def test_work_left_in_a_lane_of_others_is_not_removed_either(pair: World) -> None:
    for wp_id in ("WP01", "WP02"):
        pair.stand(wp_id, "done", actor="a-person")
    lane = sorted((pair.root / ".worktrees").iterdir())[-1]
    pair.fake.workspaces.untracked[lane] = {"notes.txt"}  # type: ignore[attr-defined]
    end = pair.orchestrate()
    assert end.is_accepted
    assert any("which the host removes, holds notes.txt" in line for line in end.lines), end.lines
    assert "merge-mission" not in pair.host.commands()


def test_a_lost_reply_is_looked_up_and_nothing_is_merged_twice(pair: World) -> None:
    pair.host.faults["merge-mission"] = [Fault.CRASH_AFTER]
    end = pair.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert any("but the host broke down" in line for line in end.lines)
    assert pair.host.commands().count("merge-mission") == 1
    again = pair.orchestrate()
    assert again.exit_code is ExitCode.ACCEPTED
    assert f"mission {pair.fake.slug} was merged into " in again.lines[-1]
    assert pair.host.commands().count("merge-mission") == 1


def test_a_refusal_after_the_target_was_moved_is_no_refusal(pair: World) -> None:
    asked = pair.host.respond

    def respond(argv: Sequence[str]) -> Said:
        if argv[1] == "merge-mission":
            asked(argv)
        return asked(argv)  # its lanes are gone now, and it says so

    pair.host.respond = respond
    end = pair.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert any("but the host refused after that:" in line for line in end.lines), end.lines
    assert any("Lane branch" in line for line in end.lines)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_that_was_killed_at_the_merge_merges_once(pair: World, moment: str) -> None:
    asked = pair.host.respond

    def respond(argv: Sequence[str]) -> Said:
        if argv[1] == "merge-mission":
            if moment == "after":
                asked(argv)
            pair.host.slow["merge-mission"] = 0.0
            raise KeyboardInterrupt  # nothing is stored after this
        return asked(argv)

    pair.host.respond = respond
    with pytest.raises(BaseException):  # noqa: B017,PT011 - in whatever groups it comes
        pair.orchestrate()
    noted = pair.remember().merge
    assert noted is not None
    assert not noted.is_done
    pair.host.respond = asked
    merges = pair.host.commands().count("merge-mission")
    again = pair.orchestrate()
    assert again.exit_code is ExitCode.ACCEPTED
    assert pair.host.commands().count("merge-mission") - merges == (1 if moment == "before" else 0)


def test_work_packages_that_came_in_after_a_merge_are_merged_too(pair: World) -> None:
    pair.orchestrate()
    mission = pair.fake.missions[pair.fake.slug]
    assert mission["merged"]
    noted = pair.remember().merge
    assert noted is not None
    state = pair.remember()
    state.record("WP01").approved_commit = "f" * 40  # another one was approved since
    pair.store.save(state)
    paper(pair)[str(state.record("WP01").branch)] = ["f" * 40]
    pair.orchestrate()
    assert pair.host.commands().count("merge-mission") == 2


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ("accept-mission", "mission {} was not merged:"),
        ("merge-mission", "whether mission {} is merged and in order is not known: it cannot be read"),
    ],
)
def test_a_repository_that_cannot_be_read_leaves_the_mission_accepted(
    pair: World, monkeypatch: pytest.MonkeyPatch, after: str, said: str
) -> None:
    resolve = PaperRepository.resolve

    async def broken(self: PaperRepository, repo_root: Path, ref: str) -> str | None:
        if pair.host.commands()[-1] == after:
            raise WorkspaceError("it cannot be read")
        return await resolve(self, repo_root, ref)

    monkeypatch.setattr(PaperRepository, "resolve", broken)
    end = pair.orchestrate()
    assert (end.exit_code, end.is_accepted) == (ExitCode.ATTENTION, True)
    assert said.format(pair.fake.slug) in end.lines
    assert any("it cannot be read" in line for line in end.lines)
    monkeypatch.undo()
    assert pair.orchestrate().exit_code is ExitCode.ACCEPTED
    assert pair.host.commands().count("merge-mission") == 1


def test_a_host_that_breaks_down_after_the_merge_takes_no_acceptance_away(pair: World) -> None:
    pair.settings = evolve(pair.settings, patience_seconds=0.0)
    pair.host.faults["accept-mission"] = [None, *[Fault.CRASH_BEFORE] * 20]
    end = pair.orchestrate()
    assert end.is_accepted
    assert f"mission {pair.fake.slug} merged into {target(pair)} (merge)" in "".join(end.lines)
    assert any("did not accept it once more after the merge" in line for line in end.lines)


def test_a_merge_that_broke_down_before_it_did_anything_is_none(pair: World) -> None:
    pair.host.faults["merge-mission"] = [Fault.CRASH_BEFORE]
    end = pair.orchestrate()
    assert end.exit_code is ExitCode.ATTENTION
    assert pair.orchestrate().exit_code is ExitCode.ACCEPTED
    assert pair.host.commands().count("merge-mission") == 2


def test_where_the_host_accepts_only_what_is_merged_it_is_merged_first(
    new_world: Callable[..., World],
) -> None:
    world = merging(new_world("WP01", "WP02", topology="coord"))
    end = world.orchestrate()
    assert end.exit_code is ExitCode.ACCEPTED
    assert end.is_accepted
    assert world.host.commands()[-3:] == ["accept-mission", "merge-mission", "accept-mission"]


@pytest.mark.parametrize(("status", "code"), [(0, ExitCode.ACCEPTED), (1, ExitCode.ATTENTION)])
def test_the_checks_run_once_on_what_was_merged_and_red_is_said(
    pair: World, status: int, code: ExitCode
) -> None:
    pair.settings = evolve(pair.settings, checks=(("make", "test"),))
    pair.command_acts = [(0, "", lambda: None)] * 2 + [(status, "it is broken", lambda: None)]
    end = pair.orchestrate()
    assert end.exit_code is code
    assert len(pair.commands) == 3
    assert any(
        "`make test` failed (exit status 1); nothing was undone" in each for each in end.lines
    ) == bool(status)
