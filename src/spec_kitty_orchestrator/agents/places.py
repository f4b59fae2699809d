"""Where something stands in a JSON value: a path, and what the value must hold for it to count."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen


@frozen
class At:
    """A place in an agent's output: of the events that fit `where`, the first of `paths` that is there.

    Both are dotted paths (`item.text`); `*` stands for every key or element, `-1` for the last element.
    """

    where: Mapping[str, object]
    paths: tuple[str, ...]

    def fits(self, event: object) -> bool:
        """The event holds what it must hold."""
        return all(value_at(event, path) == value for path, value in self.where.items())

    def values(self, event: object) -> list[object]:
        """Every value at the first of the paths that holds anything; none when the event does not fit."""
        if self.fits(event):
            for path in self.paths:
                if values := [value for value in _walk(event, path.split(".")) if value not in (None, "")]:
                    return values
        return []

    def text(self, event: object) -> str:
        """The first of the values as text, or an empty string."""
        values = self.values(event)
        return text_of(values[0]) if values else ""


NOWHERE = At({}, ())


def at(*paths: str, **where: object) -> At:
    """`at("item.text", type="item.completed", item__type="agent_message")`: `__` is a dot."""
    return At({key.replace("__", "."): value for key, value in where.items()}, paths)


def value_at(event: object, path: str | None) -> object:
    """The first value at a path, or None."""
    values = _walk(event, path.split(".")) if path else []
    return values[0] if values else None


def text_of(value: object) -> str:
    """A string as it is; of a list of content blocks the texts of those that have one."""
    blocks = value if isinstance(value, list) else [value]
    texts = [block.get("text") if isinstance(block, dict) else block for block in blocks]
    return clean("\n".join(str(text) for text in texts if isinstance(text, str) or is_figure(text)))


def clean(text: str) -> str:
    """Without what a later argument list or UTF-8 file could not hold: NUL and lone surrogates."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def is_figure(value: object) -> bool:
    """A number that something can be reckoned with: no bool, no NaN, nothing absurd."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15


def figure_of(value: object) -> float | None:
    """A number of zero or more, also one that is written as a string; None for anything else."""
    try:
        figure = float(value) if isinstance(value, (int, float, str)) else -1.0
    except (ValueError, OverflowError):
        return None
    return figure if 0 <= figure < 1e15 else None


def _walk(value: object, path: list[str]) -> list[object]:
    if not path:
        return [value]
    step, rest = path[0], path[1:]
    below: list[object] = []
    if isinstance(value, dict):
        below = list(value.values()) if step == "*" else [value[step]] if step in value else []
    elif isinstance(value, list):
        below = value if step == "*" else value[-1:] if step == "-1" else []
    return [found for item in below for found in _walk(item, rest)]
