"""`agents`: the agents that are known, and those of them that are installed."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from .output import examples, json_option, say, say_json

if TYPE_CHECKING:
    from ..agents.probe import Found

WIDTH = 79  # columns: the last one of a terminal is left free
INDENT = "  "


@click.command(
    "agents",
    short_help="Show the known agents and what is installed.",
    epilog=examples("agents", "agents --json"),
)
@json_option
def agents_command(as_json: bool) -> None:
    """List the agents that are known, and what is installed of them."""
    import trio

    from ..agents.catalog import ALL
    from ..agents.probe import probe_all

    found = trio.run(probe_all, ALL, dict(os.environ))
    if as_json:
        say_json({"agents": [_facts(each) for each in found]})
    else:
        say(_lines(found))


def _facts(found: Found) -> dict[str, object]:
    spec = found.spec
    return {
        "id": spec.agent_id,
        "family": spec.family,
        "installed": found.binary is not None,
        "version": found.version,
        "binary": str(found.binary) if found.binary else None,
        "review_read_only": spec.read_only_review,
        "reports_cost": spec.reports_cost,
        "verified_version": spec.verified or None,
        "age": found.age.value if found.age else None,
        "note": spec.note,
    }


def _lines(found: list[Found]) -> Iterator[str]:
    """What is installed, each with what there is to know of it; and in a few lines what is not."""
    here = [each for each in found if each.binary]
    for each in here:
        yield f"{each.spec.agent_id} {_version(each)}"
        yield f"{INDENT}{each.binary}"
        yield from _folded("; ".join(filter(None, (*_abilities(each), each.spec.note))))
    missing = [each.spec.agent_id for each in found if not each.binary]
    if missing:
        yield from textwrap.wrap(f"not installed: {', '.join(missing)}", WIDTH, break_on_hyphens=False)


def _version(found: Found) -> str:
    said = found.version or "of an unknown version"
    if not found.spec.verified:
        return f"{said} (never run by us: known from its documentation)"
    return f"{said} ({found.age.value} than {found.spec.verified}, which is verified)" if found.age else said


def _abilities(found: Found) -> Iterator[str]:
    yield "reviews read-only" if found.spec.read_only_review else "a reviewer can write"
    yield "tells its cost" if found.spec.reports_cost else "does not tell its cost"


def _folded(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT, break_on_hyphens=False)
