"""Puts an agent behind the wall that the settings ask for: its command line, and what files it takes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from ..agents.agent import Agent
from ..agents.enforced import has_own_walls
from ..agents.spec import Role, Wall
from ..agents.transcript import Transcript
from ..errors import UsageError
from ..processes.ending import Ending
from ..processes.starting import CommandNotStarted
from ..settings.values import SandboxSettings
from . import bwrap, srt
from .enclosure import Enclosure, Occupant, enclose, git_folders

_BELOW_SRT = ("rg",) if sys.platform == "darwin" else (bwrap.PROGRAM, "socat", "rg")
PROGRAMS = {Wall.BWRAP: (bwrap.PROGRAM,), Wall.SRT: (srt.PROGRAM, *_BELOW_SRT)}
"""What each wall needs on PATH; its own program first."""
HOW_TO_GET = {
    bwrap.PROGRAM: "install bubblewrap (Debian: apt-get install bubblewrap)",
    srt.PROGRAM: "npm install -g @anthropic-ai/sandbox-runtime@0.0.83, with Node 22.12 or newer",
    "socat": "install socat",
    "rg": "install ripgrep",
}


@frozen
class Walled:
    """A command behind its wall.

    Attributes:
        files: path → text, to be written before it is started.
    """

    argv: tuple[str, ...]
    cwd: Path
    files: Mapping[Path, str] = field(factory=dict)


@frozen
class Walls:
    """Which wall each agent gets, and how it is built.

    Attributes:
        is_root: whether we are; root's agents that have walls of their own cannot be put behind others.
    """

    sandbox: SandboxSettings = field(factory=SandboxSettings)
    repo_root: Path = Path("/")
    is_root: bool = field(factory=lambda: os.geteuid() == 0)

    def of(self, agent: Agent) -> Wall:
        """The wall that we put around an agent.

        A sandbox in a sandbox is refused to root by the kernel (`setting up uid map`), and codex then does
        nothing and says that all is well: its own holds it.
        """
        wall = agent.settings.sandbox or self.sandbox.use
        own = has_own_walls(agent.spec, agent.settings)
        return Wall.OFF if wall is Wall.BWRAP and own and self.is_root else wall

    def around(self, inside: Occupant, argv: tuple[str, ...]) -> Walled:
        """A command line behind its wall; as it is where there is none.

        Makes the folders that the agent's CLI and git would make by themselves, if they could.

        Raises:
            CommandNotStarted: one of them cannot be made, or the wall is not there any more.
        """
        wall = self.of(inside.agent)
        if wall is Wall.OFF:
            return Walled(argv, inside.workspace.path)
        try:
            _make_ready(inside)
        except OSError as problem:
            raise CommandNotStarted(f"cannot make {problem.filename}: {problem.strerror}") from problem
        return self.build(wall, inside, argv)

    def build(self, wall: Wall, inside: Occupant, argv: tuple[str, ...]) -> Walled:
        """The same, with what is there now; changes nothing. Raises CommandNotStarted without the wall."""
        enclosure = enclose(inside, self.sandbox, self.repo_root)
        try:
            program = find_programs(wall, inside.env)[0]
        except UsageError as problem:
            raise CommandNotStarted(problem.message) from problem
        return _BUILDERS[wall](program, enclosure, argv)


def _behind_bwrap(program: str, enclosure: Enclosure, argv: tuple[str, ...]) -> Walled:
    files = {enclosure.folder / bwrap.EMPTY: ""}
    return Walled((*bwrap.bwrap_prefix(program, enclosure), *argv), enclosure.workspace, files)


def _behind_srt(program: str, enclosure: Enclosure, argv: tuple[str, ...]) -> Walled:
    files = {
        enclosure.folder / srt.SETTINGS: srt.srt_settings(enclosure),
        enclosure.folder / srt.TEMPORARY / ".keep": "",
        **dict.fromkeys(enclosure.barred, ""),  # what is not there it cannot protect
    }
    return Walled((*srt.srt_prefix(program, enclosure), *argv), enclosure.folder, files)


_BUILDERS = {Wall.BWRAP: _behind_bwrap, Wall.SRT: _behind_srt}


def find_programs(wall: Wall, env: Mapping[str, str]) -> list[str]:
    """The paths of what a wall needs, its own program first.

    Raises:
        UsageError: something is missing, with how to get it.
    """
    path = env.get("PATH", os.defpath)
    found = {name: shutil.which(name, path=path) for name in PROGRAMS[wall]}
    missing = [name for name, program in found.items() if program is None]
    if missing:
        raise UsageError(
            f"sandbox: {wall.value} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
            "not on PATH",
            remedy="; ".join(HOW_TO_GET[name] for name in missing) + "; or set sandbox.use: off",
        )
    return [program for program in found.values() if program is not None]


def not_put_up(ending: Ending, said: Transcript) -> str:
    """What bwrap says when it could not do its part, and the agent was never started; else nothing.

    An agent that has said anything was started: it may well complain of a bwrap of its own at its end.
    """
    last = said.stderr.strip().splitlines()[-1:] or [""]
    was_started = ending.returncode != 1 or evolve(said, stderr="") != Transcript()
    return last[0] if last[0].startswith(f"{bwrap.PROGRAM}: ") and not was_started else ""


def _make_ready(inside: Occupant) -> None:
    for place in inside.places:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    if inside.role is Role.IMPLEMENTATION:
        for folder in git_folders(inside.workspace):
            folder.mkdir(parents=True, exist_ok=True)
