"""`doctor`: checks what a run needs, each check with a remedy."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ExitCode
from . import completion
from .orchestrate import repo_root_option
from .output import examples, json_option, say, say_json

if TYPE_CHECKING:
    from ..run.doctor.examination import Examination
    from ..run.doctor.findings import Finding

LEVEL_WIDTH = 9
INDENT = LEVEL_WIDTH + 4
LEAST_WIDTH = 40


@click.command(
    "doctor",
    short_help="Check what a run needs.",
    epilog=examples("doctor", "doctor --mission tally-01M87FAF --json"),
)
@click.option(
    "--mission", help="Also what the host can do for this mission.", shell_complete=completion.missions
)
@json_option
@repo_root_option
@click.pass_context
def doctor_command(
    context: click.Context, as_json: bool, mission: str | None, repo_root: Path | None
) -> None:
    """Check the machine, the project, the settings, the agents, what earlier runs left, and the host.

    For each that is not well, what to do. Changes nothing. Exit code 1 when there is an error.
    """
    context.exit(doctor(repo_root, mission, as_json=as_json))


def doctor(repo_root: Path | None, mission: str | None = None, *, as_json: bool = False) -> ExitCode:
    """Makes all checks, and tells what they found."""
    import trio

    from ..run.doctor.examination import examine
    from ..run.doctor.findings import Level

    found = trio.run(examine, repo_root, dict(os.environ), mission)
    errors = found.count(Level.ERROR)
    if as_json:
        told = [_facts(group, each) for group, findings in found.groups.items() for each in findings]
        say_json({"ok": not errors, "findings": told})
    else:
        say(_lines(found, errors, found.count(Level.WARNING)))
    return ExitCode.ATTENTION if errors else ExitCode.ACCEPTED


def _facts(group: str, found: Finding) -> dict[str, object]:
    return {
        "group": group,
        "what": found.what,
        "level": found.level.value,
        "found": found.found,
        "remedy": found.remedy or None,
    }


def _lines(found: Examination, errors: int, warnings: int) -> Iterator[str]:
    for group, findings in found.groups.items():
        yield group
        for each in findings:
            yield from _told(each)
    counts = [
        f"{count} {word}{'s' * (count > 1)}" for count, word in ((errors, "error"), (warnings, "warning"))
    ]
    said = [each for each in counts if not each.startswith("0")]
    yield f"{' and '.join(said)}: see above" if said else "all is well"


def _told(found: Finding) -> Iterator[str]:
    first, *more = [line for text in f"{found.what}: {found.found}".splitlines() for line in _folded(text)]
    yield f"  {found.level.value:{LEVEL_WIDTH}}{first}"
    yield from (f"{'':{INDENT}}{line}" for line in more)
    if found.remedy:  # on one line, however long: it is there to be pasted
        yield f"{'':{LEVEL_WIDTH}}  → {found.remedy}"


def _folded(text: str) -> list[str]:
    """As wide as the terminal is; elsewhere a line stays one, for whoever searches in it."""
    if not sys.stdout.isatty():
        return [text]
    width = max(LEAST_WIDTH, shutil.get_terminal_size().columns - INDENT - 1)
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
