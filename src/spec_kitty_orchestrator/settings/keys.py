"""Every key that the file may hold, as the classes in `values.py` have it, and a line of words for each.

The one source of the file that `init` writes, of the JSON Schema, and of the list that `config show` prints.
"""

from __future__ import annotations

import operator
import types
import typing
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

import attrs
from attrs import field, frozen

from ..agents.spec import AgentSettings
from ..host.contract.policy import MODES
from ..processes.launcher import Launcher
from .checks import STRATEGIES, ranges_of
from .values import AgentChoice, Settings

Names = tuple[str, ...]
"""Keys from the top; `ANY` for one that is a name of the user's."""

ANY = "<name>"


@frozen
class Key:
    """One key.

    Attributes:
        kind: its type without None; a class with fields for a section.
        default: what holds without it; `attrs.NOTHING` when it must be given.
        words: what it is, for a person; one line.
        example: a value, where the default shows nobody how one looks; else None.
        bounds: the least and the most that it may be; None for what is no number.
        choices: the words that it may be; none: any.
    """

    path: Names
    kind: Any
    default: Any
    words: str
    example: Any = None
    bounds: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its last part."""
        return self.path[-1]

    @property
    def is_section(self) -> bool:
        """It holds keys of its own and nothing else."""
        return attrs.has(self.kind) and self.default is not None

    @property
    def entry(self) -> Any:
        """Of a mapping from the user's own names to keys, the class of these keys; else None."""
        if typing.get_origin(self.kind) is not Mapping:
            return None
        held = typing.get_args(self.kind)[1]
        return held if attrs.has(held) else None


@frozen
class Words:
    """What is said of a key, and an example of it."""

    words: str
    example: Any = field(default=None)


_LAUNCHER_WORDS: Mapping[str, Words] = {
    "use": Words("how agents get to where they run"),
    "slurm": Words("what `srun` is told, in its own words"),
    "slurm.partition": Words("the partition; Slurm's default when left out", "batch"),
    "slurm.cpus": Words("processors for one agent; Slurm's default when left out", 2),
    "slurm.memory": Words("memory for one agent", "4G"),
    "slurm.time": Words("Slurm's own limit; the attempt's is agents.timeout_seconds", "02:00:00"),
    "slurm.account": Words("who pays", "my-account"),
    "slurm.extra_args": Words("more options", ["--constraint=ssd"]),
    "command": Words("a command of your own that carries stdin and output to another place"),
    "command.prefix": Words("what stands before our keeper there", ["ssh", "big-machine"]),
    "command.cleanup": Words("what ends an attempt there that may be left", ["ssh", "big-machine", "true"]),
    "python": Words("the Python there, 3.9 or newer"),
    "silence_seconds": Words("how long an agent there goes on without a sign of life from here"),
    "start_within_seconds": Words("how long an attempt may wait to begin there"),
}

WORDS: Mapping[str, Words] = {
    "max_concurrent_wps": Words("work packages with an agent at work at once"),
    "approval_lane": Words("where an approved work package goes"),
    "grace_seconds": Words("how long an agent has between SIGTERM and SIGKILL"),
    "refresh_seconds": Words("how often the host is asked what people did meanwhile"),
    "patience_seconds": Words(
        "how long refusals and a broken host are tried again while nothing else happens"
    ),
    "setup": Words("commands that are run once in each new workspace, before any agent", [["npm", "ci"]]),
    "checks": Words("commands that must succeed on a commit before it is reviewed", [["pytest", "-q"]]),
    "check_timeout_seconds": Words("how long each of these commands may take"),
    "max_log_mb": Words("what one attempt may print, in MiB; then it is stopped"),
    "max_cost_usd": Words("what the run may cost, over all its starts; any amount when left out", 50),
    "max_runtime_seconds": Words(
        "how long one start of a run may last; as long as it takes when left out", 28800
    ),
    "wait_for_people": Words("whether the run goes on waiting where only a person can move something"),
    "on_attention": Words(
        "commands that are run when something needs a person, with what it is as JSON on stdin",
        [["notify-send", "spec-kitty"]],
    ),
    "on_finish": Words(
        "commands that are run when a run ends, with its summary as JSON on stdin",
        [["notify-send", "spec-kitty"]],
    ),
    "allow_sleep": Words("whether the machine may fall asleep while a run is at work"),
    "otel": Words("whether traces are sent; the standard OTEL_* variables say when left out", True),
    "agents": Words("who implements, who reviews, and how patient the run is with them"),
    "agents.implementation": Words("who implements, in order of preference", ["claude-code", "codex"]),
    "agents.review": Words(
        "who reviews, in order of preference; the implementer reviews its own work last",
        ["codex", "claude-code"],
    ),
    "agents.max_retries": Words("further tries of an agent; and how often a reviewer may reject"),
    "agents.timeout_seconds": Words("how long one attempt may take"),
    "agents.idle_timeout_seconds": Words("how long one attempt may be silent; for ever when left out", 600),
    "agents.independent_review_wait_seconds": Words(
        "how long a reviewer that rests is waited for, before the implementer may judge itself"
    ),
    "agents.single_agent_mode": Words("whether the first implementation agent does everything"),
    "agents.continue_sessions": Words(
        "whether an agent goes on with its own session after a rejection or an interruption"
    ),
    "agents.reviews_required": Words("how many agents must approve the same commit"),
    "agents.by_work_package": Words("who does one work package, where that is not who does the others"),
    "agents.by_work_package.<name>.implementation": Words("who implements it", ["codex"]),
    "agents.by_work_package.<name>.review": Words("who reviews it", ["claude-code"]),
    "agents.by_work_package.<name>.model": Words("the model of its implementers", "some-model"),
    "agents.escalate_after_rejections": Words(
        "who goes first once a work package was sent back so often; nobody when left out",
        {"after": 2, "to": ["claude-code:opus"]},
    ),
    "agents.escalate_after_rejections.after": Words("how often it was sent back", 2),
    "agents.escalate_after_rejections.to": Words("who goes first then", ["claude-code:opus"]),
    "agents.settings": Words("what is set for one agent, by its id"),
    "agents.settings.<name>.model": Words("the model that it is told", "some-model"),
    "agents.settings.<name>.extra_args": Words("more arguments for it", ["--verbose"]),
    "agents.settings.<name>.env": Words("variables for it; `config show` hides them", {"SOME_VARIABLE": "x"}),
    "agents.settings.<name>.timeout_seconds": Words("how long one attempt of it may take", 7200),
    "agents.settings.<name>.max_cost_usd": Words("what one attempt of it may cost", 5),
    "agents.settings.<name>.sandbox": Words("what is put around it; as for all when left out", "off"),
    "agents.custom": Words("a CLI of your own, by the id that it gets here; its prompt comes on stdin"),
    "agents.custom.<name>.command": Words(
        "role to program and arguments",
        {"implementation": ["my-agent", "--write"], "review": ["my-agent", "--read-only"]},
    ),
    "agents.custom.<name>.output": Words("what it prints", "jsonl"),
    "agents.custom.<name>.final_text": Words(
        "where its last words stand, for json and jsonl", "message.text"
    ),
    "agents.custom.<name>.input_tokens": Words("where it tells the tokens that it has read", "usage.input"),
    "agents.custom.<name>.output_tokens": Words("where those that it has written", "usage.output"),
    "agents.custom.<name>.cost_usd": Words("where what it has cost", "usage.cost"),
    "agents.custom.<name>.usage_adds": Words("whether these stand on each step, and are summed"),
    "agents.custom.<name>.family": Words("who makes it", "mine"),
    "agents.custom.<name>.litter": Words("what it leaves in the workspace by itself", [".my-agent/"]),
    "agents.custom.<name>.state": Words("where it keeps its own, which walls leave open", ["~/.my-agent"]),
    "merge": Words("what becomes of an accepted mission"),
    "merge.when_accepted": Words("whether the run merges it"),
    "merge.strategy": Words("how it is merged"),
    "merge.target": Words("the branch; the one that is checked out when left out", "main"),
    "merge.push": Words("whether the host pushes the target to `origin`"),
    "policy": Words("what must be enforced at least; the host is told what is so"),
    "policy.approval_mode": Words("who approves what agents do; nothing is asked when left out", "full_auto"),
    "policy.sandbox_mode": Words("what agents may write; nothing is asked when left out", "none"),
    "policy.network_mode": Words("what agents may reach; nothing is asked when left out", "open"),
    "launcher": Words("where agents run"),
    "agents.settings.<name>.launcher": Words("where this one runs, in place of all of `launcher`"),
    **{
        f"{at}.{name}": words
        for at in ("launcher", "agents.settings.<name>.launcher")
        for name, words in _LAUNCHER_WORDS.items()
    },
    "sandbox": Words("walls around agents, and what they leave open"),
    "sandbox.use": Words("which program holds them"),
    "sandbox.writable": Words(
        "folders that implementers may write to beside their work", ["~/.npm", "~/.cache/pip"]
    ),
    "sandbox.hidden": Words("files and folders that no agent may read"),
    "sandbox.allowed_domains": Words("with srt: whom agents may talk to beside their model", ["example.com"]),
    "host": Words("which host, and how patient the run is with it"),
    "host.binary": Words("its program; looked for when left out", "spec-kitty"),
    "host.timeout_seconds": Words("how long one call may take"),
}
"""By the path, with dots between. A key that is not here has nothing said of it, which a test refuses."""

NAMES_SHOWN: Mapping[str, str] = {
    "agents.by_work_package": "WP03",
    "agents.settings": "claude-code",
    "agents.custom": "my-agent",
}
"""A name of the user's, for the example of what it leads to."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "approval_lane": ("done", "approved"),
    "merge.strategy": STRATEGIES,
    **{f"policy.{name}": tuple(words) for name, words in MODES.items()},
}
"""The words that a key may be, where its type does not say so."""

_ONE_OF_EACH = Settings(agents=AgentChoice(settings={ANY: AgentSettings(launcher=Launcher())}))
BOUNDS: Mapping[str, tuple[float, float]] = {
    ".".join(map(str, path)): (least, most) for path, _, least, most in ranges_of(_ONE_OF_EACH)
}


def keys_of(cls: type = Settings, above: Names = ()) -> Iterator[Key]:
    """Every key of a class and of what is in it, a section before what it holds."""
    hints = typing.get_type_hints(cls)
    for each in attrs.fields(cls):
        key = _key((*above, each.name), _without_none(hints[each.name]), _default(each))
        yield key
        if key.entry is not None:
            yield from keys_of(key.entry, (*key.path, ANY))
        elif attrs.has(key.kind):
            yield from keys_of(key.kind, key.path)


def _key(path: Names, kind: Any, default: Any) -> Key:
    dotted = ".".join(path)
    said = WORDS.get(dotted, Words(""))
    return Key(
        path, kind, default, said.words, said.example, BOUNDS.get(dotted), CHOICES.get(dotted, _members(kind))
    )


def _members(kind: Any) -> tuple[str, ...]:
    members = getattr(kind, "__members__", {})
    return tuple(str(member.value) for member in members.values())


def _without_none(kind: Any) -> Any:
    """`X` for `X | None`."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        members = (each for each in typing.get_args(kind) if each is not type(None))
        return reduce(operator.or_, members)
    return kind


def _default(each: Any) -> Any:
    made = each.default
    return made.factory() if isinstance(made, attrs.Factory) else made  # type: ignore[arg-type]
