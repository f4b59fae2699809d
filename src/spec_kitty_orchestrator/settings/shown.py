"""What holds, key by key, and where each came from: for `config show`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from ..converter import unstructure
from .keys import ANY, Key, keys_of
from .loading import Loaded
from .reading import KeyPath

HIDDEN = "***"
"""In place of a variable's value, which may be a secret."""


@frozen
class Shown:
    """One key, a plain value, and `file:line:column`, a variable or a flag; None for a default."""

    path: KeyPath
    value: Any
    origin: str | None


def shown(loaded: Loaded) -> Iterator[Shown]:
    """Every key that is no section. Of what is below names of the user's, only what somebody has set."""
    for key in keys_of():
        if not key.is_section and key.entry is None and "escalate_after_rejections" not in key.path[:-1]:
            yield from _below(key, loaded, ((), loaded.settings), key.path)


def _below(key: Key, loaded: Loaded, at: tuple[KeyPath, Any], steps: tuple[str, ...]) -> Iterator[Shown]:
    path, value = at
    if not steps:
        origin = loaded.origins.get(path)
        if origin is not None or ANY not in key.path:
            yield Shown(path, _plain(key, value), origin)
    elif steps[0] == ANY:
        for name, held in value.items():
            yield from _below(key, loaded, ((*path, name), held), steps[1:])
    elif value is not None:
        yield from _below(key, loaded, ((*path, steps[0]), getattr(value, steps[0])), steps[1:])


def _plain(key: Key, value: Any) -> Any:
    if key.name == "env" and isinstance(value, Mapping):
        return dict.fromkeys(value, HIDDEN)
    return unstructure(value)
