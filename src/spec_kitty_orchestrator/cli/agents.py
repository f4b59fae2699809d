"""`agents`: the agents that are known, and those of them that are installed."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..agents.probe import Found


@click.command("agents", short_help="Show the known agents and what is installed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
def agents_command(as_json: bool) -> None:
    """List the agents that are known, and what is installed of them."""
    import trio

    from ..agents.catalog import ALL
    from ..agents.probe import probe_all

    found = trio.run(probe_all, ALL, dict(os.environ))
    if as_json:
        click.echo(json.dumps([_facts(each) for each in found], indent=2))
    else:
        _print_table(found)


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
        "note": spec.note,
    }


def _print_table(found: list[Found]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for heading in ("agent", "version", "program", "review read-only", "reports cost", "note"):
        table.add_column(heading, overflow="fold")
    for each in found:
        version = (each.version or "?") if each.binary else "not installed"
        cells = (
            each.spec.agent_id,
            version,
            str(each.binary or ""),
            "yes" if each.spec.read_only_review else "no",
            "yes" if each.spec.reports_cost else "no",
            each.spec.note,
        )
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)
