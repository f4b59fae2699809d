"""Moves what belongs to nobody's work out of a workspace."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..host.workspace import Workspace


def move_away(workspace: Workspace, paths: Iterable[str], to: Path) -> tuple[str, ...]:
    raise NotImplementedError
