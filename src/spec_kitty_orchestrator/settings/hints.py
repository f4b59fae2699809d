"""What is said beside a problem, to whoever has to mend it: the key that was meant, how a value looks."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from attrs import evolve

from ..converter import Problem
from .inline import as_yaml
from .keys import ANY, Key, keys_of

UNKNOWN = "unknown key"
WRONG_SHAPE = ("expected a list", "expected a mapping")
WRONG_WORD = "expected one of "
GOT = ", got "
"""As the converter says it."""


def explained(problem: Problem) -> Problem:
    """The same problem, with a hint where there is one."""
    if problem.message == UNKNOWN:
        return evolve(problem, message=UNKNOWN + _what_was_meant(problem.path))
    key = _key_at(problem.path)
    if key is None:
        return problem
    if problem.message.startswith(WRONG_SHAPE) and key.example is not None:
        return evolve(problem, message=f"{problem.message}; for example {key.name}: {as_yaml(key.example)}")
    if problem.message.startswith(WRONG_WORD) and key.choices:
        _, comma, got = problem.message.partition(GOT)
        return evolve(problem, message=f"{WRONG_WORD}{', '.join(key.choices)}{comma}{got}")
    return problem


def _what_was_meant(path: Sequence[str | int]) -> str:
    """A key of nearly that name beside it, or one of that name in another place."""
    written = str(path[-1])
    name = written.replace("-", "_").lower()
    beside = [key.name for key in keys_of() if _leads_to(key.path[:-1], path[:-1])]
    for key in keys_of():
        if name not in beside and key.name == name and ANY not in key.path:
            return (
                f"; it stands in {'.'.join(key.path[:-1])!r}" if key.path[:-1] else "; it stands at the top"
            )
    near = difflib.get_close_matches(name, beside, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _key_at(path: Sequence[str | int]) -> Key | None:
    names = [step for step in path if isinstance(step, str)]
    return next((key for key in keys_of() if _leads_to(key.path, names)), None)


def _leads_to(pattern: Sequence[str], path: Sequence[str | int]) -> bool:
    return len(pattern) == len(path) and all(
        ours in (ANY, theirs) for ours, theirs in zip(pattern, path, strict=True)
    )
