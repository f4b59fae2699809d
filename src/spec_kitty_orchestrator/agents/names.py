"""How an agent is named: by its id, or with the model that it is to use, `claude-code:opus`.

Such a name is an agent of its own: what it failed at, what it rests for, what it made.
"""

from __future__ import annotations

SEPARATOR = ":"


def agent_of(name: str) -> str:
    """The agent's id."""
    return name.partition(SEPARATOR)[0]


def model_of(name: str) -> str | None:
    """The model that it is named with, or None; it may hold further colons."""
    _, separator, model = name.partition(SEPARATOR)
    return model if separator else None


def with_model(name: str, model: str | None) -> str:
    """The name with a model, unless it names one itself."""
    return name if model is None or SEPARATOR in name else f"{name}{SEPARATOR}{model}"
