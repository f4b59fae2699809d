"""The file that `init` writes, the JSON Schema and `config show` are made of the classes themselves."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML
from tests.unit.settings.test_loading import FULL
from tests.unit.test_documentation import shown

from spec_kitty_orchestrator.cli.config import show_command
from spec_kitty_orchestrator.cli.init import init_command
from spec_kitty_orchestrator.errors import ConfigError, UsageError
from spec_kitty_orchestrator.settings.keys import BOUNDS, CHOICES, NAMES_SHOWN, WORDS, keys_of
from spec_kitty_orchestrator.settings.loading import FILE_NAME, load_settings
from spec_kitty_orchestrator.settings.schema import json_schema
from spec_kitty_orchestrator.settings.template import example_of, template
from spec_kitty_orchestrator.settings.values import Flags, Settings

SCHEMA = json_schema()


def load(folder: Path, text: str) -> Settings:
    (folder / FILE_NAME).write_text(text, encoding="utf-8")
    return load_settings(folder, {}, Flags())


def turned_on(text: str) -> str:
    """The file with every key turned on: `#key: value`, where words have a blank behind the #."""
    return re.sub(r"^( *)#(?! )", r"\1", text, flags=re.MULTILINE)


def test_something_is_said_of_every_key_and_of_nothing_else() -> None:
    keys = {".".join(key.path) for key in keys_of()}
    assert {*WORDS} == keys
    assert all(said.words for said in WORDS.values())
    assert {*BOUNDS, *CHOICES, *NAMES_SHOWN} <= keys
    assert {*NAMES_SHOWN} == {".".join(key.path) for key in keys_of() if key.entry is not None}


def test_the_file_changes_nothing_and_neither_does_it_with_every_key_turned_on(tmp_path: Path) -> None:
    assert load(tmp_path, template()) == Settings()
    assert load(tmp_path, turned_on(template())) == Settings()


def test_every_key_stands_in_the_file_in_its_section(tmp_path: Path) -> None:
    written = YAML(typ="safe", pure=True).load(turned_on(template()))
    for key in keys_of():
        found = written
        for step in key.path:
            if step not in found:
                assert "<name>" in key.path or "escalate_after_rejections" in key.path, key.path
                break
            found = found[step]
            if found is None or found == {}:
                break


@pytest.mark.parametrize("key", [key for key in keys_of() if key.entry is not None], ids=lambda key: key.name)
def test_the_example_of_an_entry_can_be_used_and_has_all_that_it_may_hold(tmp_path: Path, key: Any) -> None:
    text = f"agents:\n  {key.name}:\n{textwrap.indent(example_of(key), ' ' * 4)}\n"
    (held,) = getattr(load(tmp_path, text).agents, key.name).values()
    assert {*type(held).__match_args__} <= {*re.findall(r"^  (\w+):", example_of(key), re.MULTILINE)}
    for line in example_of(key).splitlines():
        assert re.search(rf"^ *# +{re.escape(line)}$", template(), re.MULTILINE)


def test_one_key_can_be_turned_on_alone(tmp_path: Path) -> None:
    settings = load(tmp_path, template().replace("#max_retries: 2", "max_retries: 7"))
    assert settings.agents.max_retries == 7


def test_init_writes_it_once_and_never_over_what_is_there(tmp_path: Path) -> None:
    for name in (".kittify", ".git"):
        (tmp_path / name).mkdir()
    path = tmp_path / ".kittify" / FILE_NAME
    where = ["--repo-root", str(tmp_path)]
    printed = CliRunner().invoke(init_command, [*where, "--print"], catch_exceptions=False)
    assert not path.exists()
    CliRunner().invoke(init_command, where, catch_exceptions=False)
    assert path.read_text(encoding="utf-8") == printed.stdout == template()
    path.write_text("grace_seconds: 1\n", encoding="utf-8")
    with pytest.raises(UsageError, match="is there already"):
        CliRunner().invoke(init_command, where, catch_exceptions=False)
    assert path.read_text(encoding="utf-8") == "grace_seconds: 1\n"


def plain(text: str) -> object:
    return YAML(typ="safe", pure=True).load(text)


FITTING = {
    "the readme's": shown("configuration"),
    "all of it": FULL,
    "what init writes": template(),
    "what init writes, turned on": turned_on(template()),
    "nothing": "",
    "empty sections": "agents:\nmerge:\n",
}


@pytest.mark.parametrize("text", FITTING.values(), ids=FITTING)
def test_what_can_be_loaded_fits_the_schema(tmp_path: Path, text: str) -> None:
    load(tmp_path, text)
    jsonschema.Draft7Validator(SCHEMA).validate(plain(text))


UNFIT = {
    "an unknown key": "agents: {reveiw: [codex]}",
    "a text for a number": "max_concurrent_wps: four",
    "a fraction": "max_concurrent_wps: 1.5",
    "too many": "max_concurrent_wps: 201",
    "too few": "agents: {reviews_required: 0}",
    "a word that is none": "merge: {strategy: fast}",
    "another lane": "approval_lane: planned",
    "a text for a list": "agents: {review: codex}",
    "a command that is no list": "checks: [pytest]",
    "true for a number": "grace_seconds: true",
    "nothing for a number": "grace_seconds:",
    "a role that is none": "agents: {custom: {mine: {command: {test: [mine]}}}}",
    "no command": "agents: {custom: {mine: {output: text}}}",
    "half an escalation": "agents: {escalate_after_rejections: {after: 1}}",
    "a limit below the least": "agents: {settings: {claude-code: {max_cost_usd: 0}}}",
    "a variable that is a number": "agents: {settings: {codex: {env: {A: 1}}}}",
}


@pytest.mark.parametrize("text", UNFIT.values(), ids=UNFIT)
def test_what_is_refused_for_its_type_its_bounds_or_its_words_does_not_fit(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        load(tmp_path, text)
    assert not jsonschema.Draft7Validator(SCHEMA).is_valid(plain(text))


def test_the_schema_is_one_itself_and_tells_an_editor_the_agents() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    items = SCHEMA["properties"]["agents"]["properties"]["review"]["items"]
    assert "claude-code" in items["anyOf"][0]["enum"]


SET = """\
grace_seconds: 5
agents:
  review:
    - codex
  settings:
    codex:
      env: {SOME: secret-word}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (".kittify", ".git"):
        (tmp_path / name).mkdir()
    (tmp_path / ".kittify" / FILE_NAME).write_text(SET, encoding="utf-8")
    monkeypatch.setenv("SK_ORCH_MAX_LOG_MB", "3")
    monkeypatch.setenv("SK_ORCH_GRACE_SECONDS", "4")
    return tmp_path


def shows(project: Path, *argv: str) -> str:
    argv = (*argv, "--repo-root", str(project))
    return CliRunner().invoke(show_command, argv, catch_exceptions=False).stdout


def test_it_is_shown_what_holds_and_who_said_so(project: Path) -> None:
    printed = shows(project, "--json", "--max-concurrent", "2")
    told = json.loads(printed)
    by_key = {each["key"]: each for each in told["settings"]}
    assert told["schema_version"] == 1
    assert told["file"] == str(project / ".kittify" / FILE_NAME)
    for key, value, source, where in [
        ("max_concurrent_wps", 2, "flag", "--max-concurrent"),
        ("grace_seconds", 4.0, "variable", "SK_ORCH_GRACE_SECONDS"),
        ("max_log_mb", 3.0, "variable", "SK_ORCH_MAX_LOG_MB"),
        ("agents.review", ["codex"], "file", "orchestrator.yaml:3:3"),
        ("agents.settings.codex.env", {"SOME": "***"}, "file", "orchestrator.yaml:7:7"),
        ("agents.max_retries", 2, "default", None),
        ("merge.when_accepted", False, "default", None),
    ]:
        assert by_key[key] == {"key": key, "value": value, "source": source, "where": where}
    assert "secret-word" not in printed
    of_all = {".".join(key.path) for key in keys_of() if not key.is_section and "<name>" not in key.path}
    nested = {f"agents.escalate_after_rejections.{name}" for name in ("after", "to")}
    assert of_all - nested - {*NAMES_SHOWN} == {*by_key} - {"agents.settings.codex.env"}


def test_lines_say_the_same(project: Path) -> None:
    lines = shows(project).splitlines()
    assert [line.split() for line in lines if "agents.review:" in line] == [
        ["agents.review:", "[codex]", "#", "orchestrator.yaml:3:3"]
    ]
    assert "secret-word" not in "".join(lines)
    assert sum(line.endswith("# default") for line in lines) > 20
