"""`completion`, and what a shell is offered for a word that is being typed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .output import examples, say

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_SPEC_KITTY_ORCHESTRATOR_COMPLETE"

CUT_BY_FISH = ('string split ","', 'string split --max 1 ","')
"""click's script for fish (8.5.1) cuts what is offered at its first comma, of which `--only` is made."""


@click.command(
    "completion",
    short_help="Let a shell complete what is typed.",
    epilog=examples(*(f"completion {shell}" for shell in SHELLS)),
)
@click.argument("shell", type=click.Choice(SHELLS), required=False)
def completion_command(shell: str | None) -> None:
    """Print what lets a shell complete commands, options, agents, missions and work packages.

    \b
    bash 4.4 or newer, in ~/.bashrc:
      eval "$(spec-kitty-orchestrator completion bash)"
    zsh, in ~/.zshrc after compinit:
      eval "$(spec-kitty-orchestrator completion zsh)"
    fish, in ~/.config/fish/config.fish:
      spec-kitty-orchestrator completion fish | source

    Without a shell, for the one that $SHELL names.
    """
    say([script_for(shell or _own_shell()).rstrip()])


def script_for(shell: str) -> str:
    """What a shell has to read."""
    from click.shell_completion import get_completion_class

    from .main import PROGRAM, main

    kind = get_completion_class(shell)
    assert kind is not None
    found = kind(main, {}, PROGRAM, VARIABLE)
    script = found.source_template % found.source_vars()  # as `source()`, which starts a bash for its version
    return script.replace(*CUT_BY_FISH)


def _own_shell() -> str:
    name = Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise click.UsageError(f"$SHELL names none of {', '.join(SHELLS)}; name one of them")
    return name


def missions(ctx: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem]:
    """The missions of the runs that are recorded here."""
    from ..run import known

    return _beginning_with(typed, known.missions(_repo_root(ctx)))


def work_packages(ctx: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem]:
    """Those of the last run of the mission that is named, behind those that were typed before a comma."""
    from ..run import known

    before, comma, _last = typed.rpartition(",")
    found = known.work_packages(_repo_root(ctx), ctx.params.get("mission"))
    given = {*before.split(","), *(ctx.params.get("wp_ids") or ())}
    return _beginning_with(typed, (f"{before}{comma}{each}" for each in found if each not in given))


def agents(ctx: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem]:
    """The agents that are known."""
    from ..run import known

    return _beginning_with(typed, known.agents(_repo_root(ctx)))


def _repo_root(ctx: click.Context) -> Path | None:
    given = ctx.params.get("repo_root")
    return given if isinstance(given, Path) else None


def _beginning_with(typed: str, words: Iterable[str]) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(word) for word in words if word.startswith(typed)]
