"""What the README shows is what the program does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from spec_kitty_orchestrator.agents import all_agent_ids
from spec_kitty_orchestrator.cli.doctor import _told
from spec_kitty_orchestrator.cli.main import COMMANDS
from spec_kitty_orchestrator.errors import ConfigError, ExitCode
from spec_kitty_orchestrator.processes.bounds import FAR_SECONDS, orderly_stop_seconds
from spec_kitty_orchestrator.run.doctor.findings import Case
from spec_kitty_orchestrator.run.doctor.leftovers import index_lock
from spec_kitty_orchestrator.settings.loading import FILE_NAME, load_settings
from spec_kitty_orchestrator.settings.values import Flags, Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def shown(name: str) -> str:
    """The block or table that follows the marker `<!-- name -->`."""
    after = README.partition(f"<!-- {name} -->\n")[2]
    assert after, f"README.md has no marker {name}"
    fenced = re.match(r"```\w*\n(.*?)\n?```", after, re.DOTALL)
    return fenced[1] if fenced else after.partition("\n\n")[0]


def help_of(*command: str) -> str:
    argv = [sys.executable, "-m", "spec_kitty_orchestrator", *command, "--help"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.rstrip()


@pytest.mark.parametrize(("marker", "command"), [("help", ()), ("help orchestrate", ("orchestrate",))])
def test_the_help_is_the_programs_own(marker: str, command: tuple[str, ...]) -> None:
    assert shown(marker).splitlines()[1:] == help_of(*command).splitlines()


def test_every_command_is_in_its_table() -> None:
    for name in COMMANDS:
        assert re.search(rf"^\| `{name}\b", README, re.MULTILINE), name


def test_every_exit_code_is_documented_with_its_meaning() -> None:
    rows = [f"| {code.value} | {code.meaning} |" for code in ExitCode]
    assert shown("exit codes").splitlines()[2:] == rows
    for code in ExitCode:
        assert f"{code.value:>3}  {code.meaning}" in help_of()


def test_the_configuration_can_be_loaded_and_shows_every_key(tmp_path: Path) -> None:
    text = shown("configuration")
    (tmp_path / FILE_NAME).write_text(text, encoding="utf-8")
    settings = load_settings(tmp_path, {}, Flags())
    assert settings.agents.custom["my-agent"].final_text == "message.text"
    keys = set(re.findall(r"^ *(\w+):", text, re.MULTILINE))
    wanted = {field.name for cls in _classes() for field in cls.__attrs_attrs__}
    assert wanted <= keys


def test_the_examples_of_notices_can_be_loaded(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(shown("notices"), encoding="utf-8")
    settings = load_settings(tmp_path, {}, Flags())
    assert [command[0] for command in (*settings.on_attention, *settings.on_finish)] == ["sh", "curl"]


def _classes() -> list[type]:
    from spec_kitty_orchestrator.agents.custom import CustomAgent
    from spec_kitty_orchestrator.agents.spec import AgentSettings
    from spec_kitty_orchestrator.settings import values

    ours = (values.AgentChoice, values.PolicyModes, values.HostSettings, values.SandboxSettings)
    return [Settings, *ours, CustomAgent, AgentSettings]


def test_the_wrong_configuration_is_refused_with_these_words(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("max_concurrent_wps: four\nagents:\n  review:\n    - gemni\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path, {}, Flags())
    assert caught.value.message == shown("wrong configuration")


def test_what_holds_is_shown_as_it_says(tmp_path: Path) -> None:
    for name in (".kittify", ".git"):
        (tmp_path / name).mkdir()
    (tmp_path / ".kittify" / FILE_NAME).write_text("# mine\nagents:\n  review: [codex, claude-code]\n")
    first, *lines = shown("config show").splitlines()
    variable, *words = first.removeprefix("$ ").split()
    argv = [sys.executable, "-m", "spec_kitty_orchestrator", *words[1:]]
    env = {**os.environ, **dict([variable.split("=")])}
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    printed = done.stdout.splitlines()
    assert printed[:3] == lines[:3]
    assert {*lines} - {"..."} <= {*printed}


def test_what_the_doctor_is_shown_to_say_it_said_of_a_real_project(tmp_path: Path) -> None:
    golden = (ROOT / "tests" / "data" / "golden" / "doctor.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in shown("doctor").splitlines()[1:] if line != "..."]
    assert lines
    assert [line for line in golden if line in lines] == lines
    lock = tmp_path / ".git" / "index.lock"
    lock.parent.mkdir()
    lock.touch()
    os.utime(lock, (time.time() - 9 * 3600, time.time() - 9 * 3600))
    (found,) = trio.run(index_lock, Case({}, tmp_path))
    told = "\n".join(_told(found)).replace(str(tmp_path), "/project")
    assert told == shown("doctor broken")


def test_an_error_is_the_object_that_it_says() -> None:
    command, _, told = shown("error as json").partition("\n")
    argv = [sys.executable, "-m", "spec_kitty_orchestrator", *command.split()[2:]]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert json.loads(done.stdout) == json.loads(told)


def test_every_agent_is_in_the_table_of_agents() -> None:
    table = shown("agents")
    for agent_id in all_agent_ids():
        assert f"`{agent_id}`" in table


def test_the_tour_names_every_folder_and_files_that_are_there() -> None:
    house = ROOT / "src" / "spec_kitty_orchestrator"
    rows = [line.strip("| ").split(" | ") for line in shown("tour").splitlines()[2:]]
    folders = {path.parent.name for path in house.glob("*/__init__.py")}
    assert {row[0].strip("`/") for row in rows} == {*folders, "beside them"}
    for folder, _, files in rows:
        at = house if folder == "beside them" else house / folder.strip("`")
        for name in re.findall(r"`(\S+)`", files):
            assert (at / name).is_file(), f"{folder} {name}"


def test_the_files_that_contributors_are_sent_to_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w./-]+(?:\.py|/))`", text))
    assert len(named) > 20
    house = ROOT / "src" / "spec_kitty_orchestrator"
    tests = (
        ROOT / "tests" / "unit" / "agents",
        ROOT / "tests" / "e2e" / "real_agents",
        ROOT / "conformance" / "fake",
    )
    places = (ROOT, house, *tests)
    assert [name for name in named if not any((place / name).exists() for place in places)] == []


def test_how_long_abort_waits_is_the_sum_of_the_bounds() -> None:
    assert f"forces after the grace and {orderly_stop_seconds(0):g} s" in README
    assert f"Stopping agents elsewhere can take {FAR_SECONDS:g} s more" in README


def test_ci_runs_the_very_test_command_that_the_readme_gives() -> None:
    (command,) = re.findall(r"^python3 -m venv .* -m pytest.*$", README, re.MULTILINE)
    asked = "grep -m 1 -E '^python3 -m venv .* -m pytest' README.md"
    assert ".venv/bin/python -m pytest" in command
    assert asked in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_whoever_is_told_to_install_this_by_name_is_told_the_version() -> None:
    """Below 1.0 the package index holds another program under it."""
    texts = [README, *(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))]
    asked = [
        what for text in texts for what in re.findall(r"pip install.*?[' ]spec-kitty-orchestrator(\S*)", text)
    ]
    assert asked
    assert [what for what in asked if ">=1.0" not in what] == []
