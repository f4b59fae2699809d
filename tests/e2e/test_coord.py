"""On the real host: a mission of its default topology is done, told of, and left to be merged."""

from __future__ import annotations

import pytest

from spec_kitty_orchestrator.demo.project import PlannedWorkPackage, ProjectPlan

pytestmark = pytest.mark.e2e

AGENTS = {"implementation": ["claude-code"], "review": ["codex"]}
CANNOT = "this host (contract 1.5.0) cannot accept mission "


def _plan(topology):
    def planned(wp_id, waits):
        name = wp_id.lower()
        return PlannedWorkPackage(
            wp_id, f"Write {name}", f"Write `{name}.txt`.", (f"{name}.txt",), ("Write it",), waits
        )

    name = topology.replace("_", "-")
    return ProjectPlan(name, (planned("WP01", ()), planned("WP02", ("WP01",))), topology=topology)


def _enter(enter, template, topology):
    project = template(_plan(topology))
    arena = enter(project)
    # The coordination worktree is bound to where the project was made.
    name = f"{project.mission}-coord"
    folder, git_dir = arena.root / ".worktrees" / name, arena.root / ".git" / "worktrees" / name
    (folder / ".git").write_text(f"gitdir: {git_dir}\n")
    (git_dir / "gitdir").write_text(f"{folder / '.git'}\n")
    arena.settings({"agents": AGENTS, "refresh_seconds": 3600})
    arena.agent("claude", {})
    arena.agent("codex", {})
    return arena


@pytest.mark.parametrize("topology", ["coord", "lanes_with_coord"])
def test_it_is_done_and_the_run_ends_with_the_hosts_words_and_the_command_to_merge(
    enter, trace, template, topology
):
    arena = _enter(enter, template, topology)
    mission = arena.project.mission

    dry = arena.orchestrate("--dry-run")
    assert dry.returncode == 0, dry.text
    assert f"WARNING: {CANNOT}{mission}" in dry.stdout
    for args in ((), ("--mission", mission)):
        doctor = arena.run("doctor", *args)
        assert f"warning  topology of {mission}: {CANNOT}{mission}" in doctor.stdout
        assert doctor.returncode == 0, doctor.text

    ended = arena.orchestrate()

    assert ended.returncode == 1, ended.text
    assert arena.lanes() == {"WP01": "done", "WP02": "done"}
    assert ended.text.count(f"WARNING: {CANNOT}{mission}") == 1
    merge = f"orchestrator-api merge-mission --mission {mission}"
    assert f"merge it with: spec-kitty {merge}" in ended.text
    assert "FileNotFoundError: No meta.json in " in ended.text
    assert "resume" not in ended.text
    assert [call.split()[0] for call in arena.host_calls()].count("accept-mission") == 1
    assert trace.survivors() == []

    # What it says of going on is so.
    arena.project.host_api("merge-mission", "--mission", mission)
    assert (arena.root / "wp01.txt").exists()
    assert (arena.root / "wp02.txt").exists()
    after = arena.orchestrate()
    assert after.returncode == 0, after.text
    assert CANNOT not in after.text
    assert CANNOT not in arena.run("doctor").text


def test_nothing_is_said_of_a_mission_that_can_be_accepted(enter, diamond):
    arena = enter(diamond)
    arena.settings({"agents": AGENTS})
    arena.agent("claude", {})
    arena.agent("codex", {})
    dry = arena.orchestrate("--dry-run")
    doctor = arena.run("doctor", "--mission", arena.project.mission)
    assert (dry.returncode, doctor.returncode) == (0, 0), doctor.text
    assert "cannot" not in dry.text.replace("cannot be kept", "")
    assert f"ok       mission {arena.project.mission}: work packages: 4 planned" in doctor.stdout
    nobody = arena.run("doctor", "--mission", "nosuch")
    assert nobody.returncode == 1, nobody.text
    assert "error    mission nosuch: " in nobody.stdout
