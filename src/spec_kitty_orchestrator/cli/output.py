"""How a command shows what it has found: lines for people, or with `--json` one object; and its examples.

stdout carries what was asked for, stderr all else. A reader that goes away (`| head -1`) changes nothing, not
even the exit code. An object has the version of its schema, also when the command fails.
"""

from __future__ import annotations

import json
import select
import sys
from collections.abc import Iterable, Mapping, Sequence

import click

from ..errors import ExitCode

SCHEMA_VERSION = 1
"""Of every object that `--json` prints. A key more is no other version; one that is gone or means something
else is."""

JSON_FLAG = "--json"

json_option = click.option(JSON_FLAG, "as_json", is_flag=True, help="One JSON object, for programs.")


def say(lines: Iterable[str]) -> None:
    """Prints lines on stdout, whether anybody reads them or not."""
    _print("\n".join(lines))


def say_json(facts: Mapping[str, object]) -> None:
    """Prints one object on stdout: the version of its schema, and `facts`."""
    _print(json.dumps({"schema_version": SCHEMA_VERSION, **facts}, indent=2))


def error_facts(code: ExitCode, message: str) -> dict[str, object]:
    """What the object of a command that fails holds; the code is the exit code's name."""
    return {"error": {"code": code.name.lower(), "message": message}}


def is_json_asked(argv: Sequence[str]) -> bool:
    """Whether a command line, right or wrong, asks for JSON."""
    options = argv[: argv.index("--")] if "--" in argv else argv
    return JSON_FLAG in options


def examples(*lines: str) -> str:
    """The end of a command's help: each line is a command line as it may be typed, without the program."""
    return "\b\nExamples:\n" + "\n".join(f"  spec-kitty-orchestrator {line}" for line in lines)


def _print(text: str) -> None:
    from ..report.outlet import heard_or_not

    if text:
        heard_or_not(lambda: click.echo(text))


def stdout_is_gone() -> bool:
    """Whether nobody can read what is written to stdout any more."""
    watch = select.poll()
    watch.register(sys.stdout.fileno(), select.POLLOUT)
    return any(seen & (select.POLLERR | select.POLLHUP) for _, seen in watch.poll(0))


def end_with_the_reader() -> None:
    """For a command that waits: raises BrokenPipeError, as writing would, when the reader has gone away."""
    if stdout_is_gone():
        raise BrokenPipeError
