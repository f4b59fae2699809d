"""`init`: writes the settings' file, with every key turned off."""

from __future__ import annotations

import os
from pathlib import Path

import click

from .orchestrate import repo_root_option
from .output import examples, say


@click.command("init", short_help="Write a commented settings file.", epilog=examples("init", "init --print"))
@click.option("--print", "only_print", is_flag=True, help="Print it; write nothing.")
@repo_root_option
def init_command(only_print: bool, repo_root: Path | None) -> None:
    """Write .kittify/orchestrator.yaml, with each key, its default and what it is, as comments.

    Changes nothing of how a run goes. A file that is there stays as it is.
    """
    from ..settings.template import template

    say([template().rstrip()] if only_print else [write_settings(repo_root)])


def write_settings(repo_root: Path | None) -> str:
    """Writes the file, and says so.

    Raises:
        UsageError: there is no project, the file is there already, or it cannot be written.
    """
    from ..errors import UsageError
    from ..run.opening import KITTIFY, find_repo_root
    from ..run.ownership import keep_owner
    from ..settings.loading import FILE_NAME
    from ..settings.template import template

    kittify = find_repo_root(repo_root) / KITTIFY
    path = kittify / FILE_NAME
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with open(descriptor, "w", encoding="utf-8") as file:
            keep_owner(descriptor, kittify)
            file.write(template())
    except FileExistsError:
        remedy = "what it sets shows `config show`, what it could set shows `init --print`"
        raise UsageError(f"{path} is there already; it was not changed", remedy=remedy) from None
    except OSError as problem:
        raise UsageError(f"cannot write {path}: {problem.strerror}", remedy="make it writable") from problem
    return f"wrote {path}; see what else a run needs: spec-kitty-orchestrator doctor"
