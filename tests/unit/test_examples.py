"""Every command's help ends with examples, and each of them is a command line that is understood."""

from __future__ import annotations

import shlex
from itertools import takewhile

import click
import pytest

from spec_kitty_orchestrator.cli.main import COMMANDS, PROGRAM, main


def commands() -> dict[str, click.Command]:
    """Every command by its name, those inside a group too."""
    found: dict[str, click.Command] = {}
    with click.Context(main, info_name=PROGRAM) as ctx:
        for name in main.list_commands(ctx):
            command = main.get_command(ctx, name)
            assert command is not None
            found[name] = command
            if isinstance(command, click.Group):
                found.update((f"{name} {inner}", each) for inner, each in command.commands.items())
    return found


EVERY = commands()


def examples_of(command: click.Command) -> list[list[str]]:
    """Their words, behind the program."""
    lines = (command.epilog or "").partition("Examples:\n")[2].splitlines()
    told = [shlex.split(line) for line in lines]
    assert all(words[0] == PROGRAM for words in told)
    return [[*takewhile(lambda word: word not in (">", "|"), words[1:])] for words in told]


@pytest.mark.parametrize("name", EVERY)
def test_a_command_shows_examples_that_are_understood(name: str) -> None:
    told = examples_of(EVERY[name])
    assert told
    assert told[0][: len(name.split())] == name.split()
    for argv in told:
        parse(main, argv)


def parse(command: click.Command, argv: list[str], above: click.Context | None = None) -> None:
    """As click does before it runs a command; raises what a wrong command line raises."""
    if isinstance(command, click.Group):
        with click.Context(command, parent=above) as ctx:
            inner = command.get_command(ctx, argv[0])
            assert inner is not None, argv
            parse(inner, argv[1:], ctx)
    else:
        command.make_context(command.name, [*argv], parent=above).close()


def test_a_wrong_example_would_be_seen() -> None:
    with pytest.raises(click.UsageError):
        parse(main, ["status", "--no-such"])


def test_no_command_is_forgotten() -> None:
    assert {name.split()[0] for name in EVERY} == {*COMMANDS}
