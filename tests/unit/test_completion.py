"""What a shell is offered for a word that is being typed: from our own files, and never an error."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from tests.unit.test_examples import EVERY

from spec_kitty_orchestrator.agents import all_agent_ids
from spec_kitty_orchestrator.cli.completion import CUT_BY_FISH, VARIABLE, script_for
from spec_kitty_orchestrator.cli.main import COMMANDS, PROGRAM, main
from spec_kitty_orchestrator.mission.records import WpRecord
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.report.times import utc_now
from spec_kitty_orchestrator.run.state import RunState, RunStore
from spec_kitty_orchestrator.run.taking_up import KEPT_NAME


def record(folder: Path, name: str | None, run_id: str, mission: str, *wp_ids: str) -> None:
    """As a run is recorded whose agents were at work on these."""
    state = RunState(run_id, mission, "me", utc_now(), ProcessIdentity.of(os.getpid()))
    state.work_packages = {wp_id: WpRecord() for wp_id in wp_ids}
    folder.mkdir(parents=True, exist_ok=True)
    (RunStore(folder) if name is None else RunStore(folder, name)).save(state)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The last run was of one mission, one before it of another; of the last, one is untouched as yet."""
    for name in (".kittify", ".git"):
        (tmp_path / name).mkdir()
    kittify = tmp_path / ".kittify"
    record(kittify, None, "run-2", "tally-01AAAAAA", "WP01", "WP02")
    record(kittify / "logs" / "run-1", KEPT_NAME, "run-1", "chart-01BBBBBB", "WP07")
    events = kittify / "logs" / "run-2" / "events.jsonl"
    started = {"run_id": "run-2", "mission": "tally-01AAAAAA", "actor": "me", "resumed": False}
    lanes = {"lanes": {"WP01": "planned", "WP02": "planned", "WP03": "planned"}}
    events.parent.mkdir()
    lines = [{"event": "Other", "time": "t"}, {"event": "RunStarted", "time": "t", **started, **lanes}]
    events.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (kittify / "orchestrator.yaml").write_text("agents: {custom: {mine: {command: {review: [mine]}}}}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def offered(line: str) -> list[str]:
    """For the last word of a line, which may be empty."""
    *words, typed = line.split(" ")
    shell = BashComplete(main, {}, PROGRAM, VARIABLE)
    return [item.value for item in shell.get_completions(words, typed)]


EVERYBODY = [*all_agent_ids(), "mine"]
OFFERED = {
    "": [*COMMANDS],
    "res": ["resume"],
    "config s": ["schema", "show"],
    "completion ": ["bash", "zsh", "fish"],
    "resume --mission ": ["tally-01AAAAAA", "chart-01BBBBBB"],
    "orchestrate --mission t": ["tally-01AAAAAA"],
    "status --mission ": ["tally-01AAAAAA", "chart-01BBBBBB"],
    "logs ": ["WP01", "WP02", "WP03"],
    "logs --mission chart-01BBBBBB ": ["WP07"],
    "report --mission t": ["tally-01AAAAAA"],
    "doctor --mission c": ["chart-01BBBBBB"],
    "retry ": ["WP01", "WP02", "WP03"],
    "retry WP01 WP0": ["WP02", "WP03"],
    "retry --mission chart-01BBBBBB ": ["WP07"],
    "retry --mission 01BBBBBB ": ["WP07"],
    "retry --mission other ": [],
    "retry WP01 --agent m": ["mine"],
    "resume --only WP02,": ["WP02,WP01", "WP02,WP03"],
    "orchestrate --until WP": ["WP01", "WP02", "WP03"],
    "orchestrate --impl-agent ": EVERYBODY,
    "config show --review-agent cop": ["copilot"],
}


@pytest.mark.parametrize(("line", "words"), OFFERED.items(), ids=OFFERED)
def test_what_is_known_is_offered(project: Path, line: str, words: list[str]) -> None:
    assert offered(line) == words


def test_another_project_is_asked_when_it_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert offered("resume --mission t") == []
    assert offered(f"resume --repo-root {project} --mission t") == ["tally-01AAAAAA"]


@pytest.mark.parametrize(
    "name", ["orchestrator-run-state.json", "orchestrator.yaml", "logs/run-1/run-state.json"]
)
def test_a_file_that_is_damaged_takes_away_what_it_holds_and_nothing_else(project: Path, name: str) -> None:
    (project / ".kittify" / name).write_text("{")
    missions = {
        "orchestrator-run-state.json": ["chart-01BBBBBB"],
        "logs/run-1/run-state.json": ["tally-01AAAAAA"],
    }
    assert offered("resume --mission ") == missions.get(name, ["tally-01AAAAAA", "chart-01BBBBBB"])
    assert offered("retry WP01 --agent m") == ([] if name == "orchestrator.yaml" else ["mine"])


def test_without_events_what_was_tried_is_offered(project: Path) -> None:
    (project / ".kittify" / "logs" / "run-2" / "events.jsonl").write_text("{\n")
    assert offered("retry ") == ["WP01", "WP02"]


def test_whoever_is_in_no_project_is_offered_what_does_not_depend_on_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert offered("retry ") == offered("resume --mission ") == []
    assert offered("orchestrate --impl-agent ") == [*all_agent_ids()]


def test_fish_is_told_to_keep_what_stands_behind_a_comma() -> None:
    assert CUT_BY_FISH[1] in script_for("fish")
    assert CUT_BY_FISH[0] not in script_for("fish")


def test_every_option_for_a_mission_and_every_one_for_an_agent_completes_it() -> None:
    lacking = {
        f"{name} {parameter.name}"
        for name, each in EVERY.items()
        for parameter in each.params
        if parameter.name
        in ("mission", "wp_id", "wp_ids", "only", "until", "agent", "impl_agent", "review_agent")
        and parameter._custom_shell_complete is None
    }
    assert lacking == set()
