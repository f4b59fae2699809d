"""What an agent needs of its machine in one attempt, as plain paths: what it may write, and may not read.

Nothing here knows a wall; `bwrap.py` and `srt.py` say the same of it in their own words.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from attrs import frozen

from ..agents.agent import Agent
from ..agents.homes import StatePlace
from ..agents.spec import Role
from ..host.workspace import WORKTREES, Workspace
from ..settings.values import SandboxSettings

PRIVATE = (Path("/tmp"), Path("/run"))
SOCKETS = Path("/run")
"""Where everybody's sockets lie: of what is in there only what is needed itself is shown."""
RESOLVER = Path("/etc/resolv.conf")
"""On many systems a link to below /run."""

POINTERS = ("commondir", "gitdir", "config.worktree")
"""In a worktree's own git folder; who writes these decides which config git takes there."""


@frozen
class Occupant:
    """Who is put inside for one attempt.

    Attributes:
        folder: the attempt's own, for files that it is given.
        env: its whole environment.
    """

    agent: Agent
    role: Role
    workspace: Workspace
    folder: Path
    env: Mapping[str, str]

    @property
    def home(self) -> Path:
        """Its home folder."""
        return Path(self.env.get("HOME") or os.path.expanduser("~"))

    def expand(self, path: str) -> Path:
        """A path of the settings, with `~/` for the home folder."""
        return self.home / path[2:] if path.startswith("~/") else Path(path)

    def place(self, place: StatePlace) -> Path:
        """Where its CLI keeps something."""
        named = self.env.get(place.variable, "") if place.variable else ""
        return self.workspace.path / named / place.below if named else self.home / place.path

    @property
    def places(self) -> list[Path]:
        """Where its CLI writes."""
        return [self.place(place) for place in self.agent.spec.home.places]


@frozen
class Enclosure:
    """Plain paths, all of which exist but those that are `barred`.

    Attributes:
        workspace: where the agent works.
        shown: what lies in a folder that is private inside, and is needed all the same; read-only.
        writable: folders; of a reviewer only what its CLI writes.
        kept: files and folders in these that stay read-only.
        barred: files in these that do not exist and may not be made.
        hidden_folders, hidden_files: what nobody inside may read.
        folder: the attempt's own, of ours; read-only inside.
        domains: whom the agent may talk to, where that is held.
    """

    workspace: Path
    shown: tuple[Path, ...]
    writable: tuple[Path, ...]
    kept: tuple[Path, ...]
    barred: tuple[Path, ...]
    hidden_folders: tuple[Path, ...]
    hidden_files: tuple[Path, ...]
    folder: Path
    domains: tuple[str, ...]


def git_folders(workspace: Workspace) -> tuple[Path, ...]:
    """What a commit, and the host's `mark-status`, write to outside of a workspace, and no more.

    Of refs and logs only the folder of the lane's branch: with more, `main` could be moved.
    """
    git, branch = workspace.common_git_dir, workspace.branch
    return (
        git / "objects",
        (git / "refs" / "heads" / branch).parent,
        (git / "logs" / "refs" / "heads" / branch).parent,
        git / "spec-kitty-locks",
        workspace.git_dir,
    )


def enclose(inside: Occupant, sandbox: SandboxSettings, repo_root: Path) -> Enclosure:
    """What is open to an agent, and what is not, as things are now; looks at the disk, changes nothing."""
    places = [place for place in inside.places if os.path.isdir(place)]
    writable, kept = [*places], [*_kept_of_its_own(inside)]
    if inside.role is Role.IMPLEMENTATION:
        work = inside.workspace
        wished = [inside.expand(path) for path in sandbox.writable]
        folders = (work.path, *git_folders(work), work.planning_dir, *wished)
        writable += [folder for folder in folders if os.path.isdir(folder)]
        kept += [work.path / ".git", *(work.git_dir / name for name in POINTERS)]
    # Of what we may not even look at nothing can be told; an agent is no more than we are.
    hidden = [path.resolve() for path in map(inside.expand, sandbox.hidden) if os.path.exists(path)]
    keys = Path(inside.env.get("SSH_AUTH_SOCK", ""))
    if keys.is_socket() and not _is_private(keys):
        hidden.append(keys)
    return Enclosure(
        workspace=inside.workspace.path,
        shown=_in_order(_shown(inside, repo_root)),
        writable=_in_order(path.resolve() for path in writable),
        kept=_in_order(path.resolve() for path in kept if path.exists() and not path.is_symlink()),
        barred=_in_order(path.parent.resolve() / path.name for path in kept if not os.path.lexists(path)),
        hidden_folders=_in_order(path for path in hidden if path.is_dir()),
        hidden_files=_in_order(path for path in hidden if not path.is_dir()),
        folder=inside.folder,
        domains=tuple(dict.fromkeys((*inside.agent.spec.home.domains, *sandbox.allowed_domains))),
    )


def unusable(inside: Occupant, sandbox: SandboxSettings, repo_root: Path) -> Iterator[str]:
    """What is wrong with the paths of the settings on this machine, a line each."""
    for path in sandbox.writable:
        if not os.path.isdir(inside.expand(path)):
            yield f"sandbox.writable: {path} is no folder here; make it, or take it out"
    yield from _too_open(inside, sandbox, repo_root)
    needed = [repo_root, inside.workspace.path, *inside.places, *map(inside.expand, sandbox.writable)]
    if inside.agent.program is not None:
        needed += [inside.agent.program, inside.agent.program.resolve()]
    for path in sandbox.hidden:
        hidden = inside.expand(path)
        for need in needed:
            if os.path.exists(hidden) and _is_in(need.resolve(), hidden.resolve()):
                yield f"sandbox.hidden: {path} holds {need}, which {inside.agent.agent_id} needs; take it out"
                break


def _too_open(inside: Occupant, sandbox: SandboxSettings, repo_root: Path) -> Iterator[str]:
    """Folders that would be opened with what a wall is there to protect, or that an agent could exchange.

    Whoever may write to a folder can put a link in place of one in it, and where that leads would be opened
    to the next agent.
    """
    agent_id = inside.agent.agent_id
    wished = {f"sandbox.writable: {path}": inside.expand(path) for path in sandbox.writable}
    own = {f"{agent_id} keeps its own in {path}, which": path for path in inside.places}
    for name, folder in {**wished, **own}.items():
        for held in (repo_root, inside.home):
            if _is_in(held.resolve(), folder.resolve()):
                yield f"{name} holds {held}; name a folder in it"
                break
        for git in (repo_root / ".git", repo_root / WORKTREES):
            if _is_in(folder.resolve(), git.resolve()):
                yield f"{name} lies in {git}, of which an agent gets what it needs; name another folder"
    for name, folder in wished.items():
        for inner in (*inside.places, *wished.values()):
            if folder in inner.parents or folder.resolve() in inner.resolve().parents:
                whose = f"where {agent_id} keeps its own" if inner in inside.places else "which is named, too"
                yield f"{name} holds {inner}, {whose}; name other folders in it"


def _kept_of_its_own(inside: Occupant) -> Iterator[Path]:
    for place in inside.agent.spec.home.places:
        folder = inside.place(place)
        yield from (path for name in place.kept if (path := folder / name).exists())


def _shown(inside: Occupant, repo_root: Path) -> Iterator[Path]:
    """What lies below a private folder: the project, home, programs, and how names are looked up."""
    needed = (repo_root, inside.home, inside.home.resolve())
    yield from (path for path in needed if _is_private(path))
    programs = [Path(each) for each in inside.env.get("PATH", os.defpath).split(os.pathsep) if each]
    if inside.agent.program is not None:
        programs += [inside.agent.program, inside.agent.program.resolve()]
    for program in programs:
        if os.path.exists(program) and (root := _is_private(program)):
            # A program needs what was installed with it: all of what it lies in.
            yield program if root == SOCKETS else root / program.relative_to(root).parts[0]
    resolver = RESOLVER.resolve()
    if os.path.exists(resolver) and _is_private(resolver):
        yield resolver


def _is_private(path: Path) -> Path | None:
    """The private folder that a path lies in, if it does."""
    return next((root for root in PRIVATE if root in path.parents), None)


def _is_in(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents


def _in_order(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Each once, what holds others before them."""
    return tuple(sorted(dict.fromkeys(paths), key=lambda path: (len(path.parts), path)))
