"""The file that `init` writes: every key with its default, turned off, below a line that says what it is."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from ..converter import unstructure
from .inline import as_yaml
from .keys import ANY, NAMES_SHOWN, Key, keys_of
from .values import Settings

WIDTH = 98
WIDEST_ALIGNED = 40
MOST_TOLD = 1000
"""Of upper bounds: a larger one is there to keep nonsense out, and tells nobody anything."""
HEAD = """\
Settings of spec-kitty-orchestrator. Each key stands here with its default; take away the # before one
to change it. SK_ORCH_* variables outrank this file, and flags outrank both. Look at what holds with:
spec-kitty-orchestrator config show
"""


def template() -> str:
    """The file's text."""
    blocks = ["".join(f"# {line}\n" for line in HEAD.splitlines()), *_section(Settings, "")]
    return "\n".join(blocks)


def _section(cls: type, indent: str, above: tuple[str, ...] = ()) -> Iterator[str]:
    """A block for each key of a class: its words, and it itself."""
    for key in keys_of(cls, above):
        if len(key.path) != len(above) + 1:
            continue  # it is in a section of its own, which shows it
        if key.is_section:
            inner = "\n".join(_section(key.kind, indent + "  ", key.path))
            yield f"{_prose(key, indent)}{indent}{key.name}:\n{inner}"
        elif key.entry is not None:
            yield f"{_prose(key, indent)}{_entry(key, indent)}{indent}#{key.name}: {{}}\n"
        else:
            yield f"{_prose(key, indent)}{indent}#{key.name}: {as_yaml(unstructure(key.default))}\n"


def _prose(key: Key, indent: str) -> str:
    """What it is, as comments, and an example where its default is none."""
    parts = [key.words]
    if key.choices:
        parts.append(f"one of {', '.join(key.choices)}")
    if key.bounds is not None and key.bounds[1] <= MOST_TOLD:
        parts.append("from {:g} to {:g}".format(*key.bounds))
    words = "; ".join(parts)
    lines = textwrap.wrap(words[:1].upper() + words[1:] + ".", WIDTH - len(indent), break_on_hyphens=False)
    if key.entry is not None:
        lines.append("For example:")
    elif key.example is not None and not key.choices:
        lines.append(f"For example: {as_yaml(key.example)}")
    return "".join(f"{indent}# {line}\n" for line in lines)


def _entry(key: Key, indent: str) -> str:
    """An entry under a name of the user's, with all that it may hold, as a comment."""
    return "".join(f"{indent}#   {line}\n" for line in example_of(key).splitlines())


def example_of(key: Key) -> str:
    """Such an entry, as it may be written below its key."""
    below = (*key.path, ANY)
    held = [each for each in keys_of(key.entry, below) if len(each.path) == len(below) + 1]
    lines = [f"  {each.name}: {as_yaml(_shown(each))}" for each in held]
    width = max(len(line) for line in lines if len(line) <= WIDEST_ALIGNED)
    told = (f"{line:{width}}  # {_short(each)}" for line, each in zip(lines, held, strict=True))
    return "\n".join([f"{NAMES_SHOWN['.'.join(key.path)]}:", *told])


def _short(key: Key) -> str:
    return f"{key.words}: {', '.join(key.choices)}" if key.choices else key.words


def _shown(key: Key) -> object:
    return unstructure(key.default) if key.example is None else key.example
