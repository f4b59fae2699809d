"""`config`: what is set and where, and the schema of the file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .orchestrate import COMPLETED, FLAGS, repo_root_option
from .output import examples, json_option, say, say_json

if TYPE_CHECKING:
    from ..settings.shown import Shown

WIDEST = 50  # columns; what is longer is not aligned
NO_SETTINGS = {"--only", "--until"}


def _setting_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    for name, kind, words in reversed(FLAGS):
        if name not in NO_SETTINGS:
            complete = COMPLETED.get(name)
            command = click.option(name, type=kind, default=None, help=words, shell_complete=complete)(
                command
            )
    return command


@click.group(
    "config",
    short_help="Show what is set, and where.",
    epilog=examples("config show", "config schema > .kittify/orchestrator.schema.json"),
)
def config_command() -> None:
    """Show what is set and where it came from, and the schema of the file."""


@config_command.command(
    "show",
    short_help="Each setting, and where it came from.",
    epilog=examples("config show", "config show --max-concurrent 2 --json"),
)
@json_option
@_setting_flags
@repo_root_option
def show_command(as_json: bool, repo_root: Path | None, **flags: Any) -> None:
    """Show each setting, and where it came from: a default, a place in the file, a variable or a flag.

    With a flag of `orchestrate`, as it would be with it. Values of `env` are hidden.
    """
    from ..run.opening import KITTIFY, find_repo_root
    from ..settings.loading import FILE_NAME, load_with_origins
    from ..settings.shown import shown
    from ..settings.values import Flags

    kittify = find_repo_root(repo_root) / KITTIFY
    found = list(shown(load_with_origins(kittify, os.environ, Flags(**flags))))
    if as_json:
        file = kittify / FILE_NAME
        say_json({"file": str(file) if file.exists() else None, "settings": [*map(_facts, found)]})
    else:
        say(_lines(found))


def _facts(each: Shown) -> dict[str, object]:
    path = ".".join(map(str, each.path))
    return {"key": path, "value": each.value, "source": _source(each.origin), "where": each.origin}


def _source(origin: str | None) -> str:
    from ..settings.loading import FILE_NAME

    if origin is None:
        return "default"
    if origin.startswith(FILE_NAME):
        return "file"
    return "flag" if origin.startswith("--") else "variable"


def _lines(found: list[Shown]) -> list[str]:
    from ..settings.inline import as_yaml

    told = [f"{'.'.join(map(str, each.path))}: {as_yaml(each.value)}" for each in found]
    width = max(len(line) for line in told if len(line) <= WIDEST)
    return [f"{line:{width}}  # {each.origin or 'default'}" for line, each in zip(told, found, strict=True)]


@config_command.command(
    "schema",
    short_help="The JSON Schema of the file.",
    epilog=examples("config schema > .kittify/orchestrator.schema.json"),
)
def schema_command() -> None:
    """Print the JSON Schema of .kittify/orchestrator.yaml, for editors.

    In the file's first line, many of them are told of it by
    `# yaml-language-server: $schema=orchestrator.schema.json`.
    """
    from ..settings.schema import json_schema

    say([json.dumps(json_schema(), indent=2)])
