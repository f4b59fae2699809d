"""Reads a workspace's repository: which commit, which branch, what is not committed. Changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from attrs import frozen

from ..host.workspace import Workspace


@frozen
class Evidence:
    """What a workspace's repository says at one moment."""

    commit: str
    branch: str
    changed: tuple[str, ...]
    untracked: tuple[str, ...]
    advanced: bool

    @property
    def is_clean(self) -> bool:
        return not self.changed and not self.untracked


class Repository(Protocol):
    async def look(self, workspace: Workspace, since: str | None = None) -> Evidence: ...
    async def is_in(self, repo_root: Path, ref: str, commit: str) -> bool: ...
    async def resolve(self, repo_root: Path, ref: str) -> str | None: ...


class GitRepository:
    async def look(self, workspace: Workspace, since: str | None = None) -> Evidence:
        raise NotImplementedError

    async def is_in(self, repo_root: Path, ref: str, commit: str) -> bool:
        raise NotImplementedError

    async def resolve(self, repo_root: Path, ref: str) -> str | None:
        raise NotImplementedError
