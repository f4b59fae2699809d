"""Tries a wall before anybody trusts it: the real command line, with canaries in place of the agent.

Each canary does something that must be in vain; one must succeed, or no agent could work there either.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import trio
from attrs import frozen

from ..agents.agent import Agent
from ..agents.enforced import has_own_walls
from ..agents.spec import Role, Wall
from ..errors import OrchestratorError, UsageError
from ..host.workspace import Workspace
from ..processes.keeper import Command, open_keeper
from ..processes.starting import CommandNotStarted
from .around import Walled, Walls, find_programs
from .enclosure import Occupant, git_folders, unusable

TRIAL_SECONDS = 30.0
"""For one trial; bwrap takes 15 ms, srt 300 ms."""
ANSWER_BYTES = 64 * 1024

WORKS = "wrote in its workspace"
KERNEL = "may set what the kernel runs"
MUST_FAIL = (
    *("wrote outside of it", "mounted the disk anew", "read what is hidden", "saw other processes"),
    KERNEL,
)
END = "came to its end"

_SCRIPT = """
outside=$1; pid=$2; shift 2
{ true >> "$outside"; } 2>/dev/null && echo wrote outside of it
mount -o remount,rw,bind / 2>/dev/null && echo mounted the disk anew
for each; do
    if [ -d "$each" ]; then [ -n "$(ls -A "$each" 2>/dev/null)" ]; else [ -s "$each" ]; fi \\
        && echo read what is hidden
done
kill -0 "$pid" 2>/dev/null && grep -q python "/proc/$pid/cmdline" 2>/dev/null && echo saw other processes
{ true >> /proc/sys/kernel/core_pattern; } 2>/dev/null && echo may set what the kernel runs
{ true > canary; } 2>/dev/null && echo wrote in its workspace
echo came to its end
"""

_REMEDIES = (
    (
        "setting up uid map",
        "allow unprivileged user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), "
        "kernel.unprivileged_userns_clone=1 (Debian); in a container, give it what bwrap needs",
    ),
    (
        "No permissions to create new namespace",
        "allow unprivileged user namespaces (sysctl user.max_user_namespaces)",
    ),
    ("mount proc", "in a container, let it mount proc (podman: --security-opt unmask=/proc/*)"),
    ("default-signal", "install GNU coreutils 8.31 or newer"),
)
"""What bwrap and env say, and what to do about it."""
ELSE = "see that it runs by hand, or set sandbox.use: off"


@frozen
class Trial:
    """What came of a trial.

    Attributes:
        wall: which one was tried.
        broken: what a canary could do that it must not.
        trouble: why it is of no use at all; empty when an agent can work there.
    """

    wall: Wall
    broken: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def holds(self) -> bool:
        """Whether an agent may be trusted to it."""
        return not self.broken and not self.trouble

    @property
    def problem(self) -> OrchestratorError:
        """What is wrong, for whoever asked for it."""
        if self.broken:
            what = f"sandbox: {self.wall.value} does not hold: a canary {' and '.join(self.broken)}"
            # srt (0.0.83) leaves that to root.
            another = "run as another user than root, or with sandbox.use: bwrap"
            remedy = another if self.broken == (KERNEL,) else "do not trust it here; set sandbox.use: off"
            return UsageError(what, remedy=remedy)
        remedy = next((remedy for words, remedy in _REMEDIES if words in self.trouble), ELSE)
        return UsageError(f"sandbox: {self.wall.value} cannot be put up: {self.trouble}", remedy=remedy)


async def check_walls(walls: Walls, agents: Mapping[str, Agent], environ: Mapping[str, str]) -> None:
    """That every chosen agent that is here can be put behind the wall that is asked for.

    Raises:
        UsageError: it cannot, with the remedy; nothing falls back to less than was asked for.
    """
    for agent in agents.values():
        if agent.program is not None and walls.of(agent) is not Wall.OFF:
            trial = await try_wall(walls, agent, environ)
            if not trial.holds:
                raise trial.problem


async def try_wall(walls: Walls, agent: Agent, environ: Mapping[str, str]) -> Trial:
    """Puts canaries behind an agent's wall, in a workspace of their own, which is gone afterwards.

    Raises:
        UsageError: a program is missing, a path of the settings cannot be what it is said to be, or the agent
            would do nothing there: one that was asked for once is in no list of the settings.
    """
    wall = walls.of(agent)
    if wall is Wall.SRT and has_own_walls(agent.spec, agent.settings):
        raise UsageError(
            f"sandbox: {agent.agent_id} does nothing inside srt, as it has a sandbox of its own",
            remedy=f"leave it to that one, with agents.settings.{agent.agent_id}.sandbox: off",
        )
    find_programs(wall, environ)
    with tempfile.TemporaryDirectory(prefix="spec-kitty-orchestrator-") as folder:
        inside = _canaries(agent, Path(folder), environ)
        if wrong := [*unusable(inside, walls.sandbox, walls.repo_root)]:
            raise UsageError("\n".join(wrong))
        walled = walls.build(wall, inside, tuple(_argv(walls, inside)))
        for path, text in walled.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        said, complaint = await _run(walled, inside.env)
    broken = tuple(each for each in MUST_FAIL if each in said)
    if END not in said or WORKS not in said:
        lines = complaint.strip().splitlines()
        why = "its workspace cannot be written to" if END in said else "it ended without a word"
        return Trial(wall, broken, lines[-1] if lines else why)
    return Trial(wall, broken)


def _canaries(agent: Agent, folder: Path, environ: Mapping[str, str]) -> Occupant:
    folder = folder.resolve()
    git = folder / "project" / ".git"
    workspace = Workspace(
        path=folder / "workspace",
        git_dir=git / "worktrees" / "canary",
        common_git_dir=git,
        branch="kitty/canary",
        base="HEAD",
        prompt_file=folder / "plan" / "tasks" / "WP01.md",
    )
    for each in (workspace.path, workspace.planning_dir, *git_folders(workspace), folder / "attempt"):
        each.mkdir(parents=True)
    (workspace.path / ".git").write_text(f"gitdir: {workspace.git_dir}\n", encoding="utf-8")
    env = {**environ, **agent.spec.env, **agent.settings.env}
    return Occupant(agent, Role.IMPLEMENTATION, workspace, folder / "attempt", env)


def _argv(walls: Walls, inside: Occupant) -> Iterator[str]:
    yield from ("/bin/sh", "-c", _SCRIPT, "sh", str(walls.repo_root / ".git" / "HEAD"))
    yield str(os.getpid())
    yield from (str(inside.expand(path)) for path in walls.sandbox.hidden)


async def _run(walled: Walled, env: Mapping[str, str]) -> tuple[list[str], str]:
    """The lines on stdout, and what stands on stderr."""
    stdout, stderr = bytearray(), bytearray()

    async def read(stream: trio.abc.ReceiveStream, into: bytearray) -> None:
        while len(into) < ANSWER_BYTES and (chunk := await stream.receive_some()):
            into += chunk

    try:
        async with open_keeper(Command(walled.argv, walled.cwd, env, grace=0.0)) as keeper:
            with trio.move_on_after(TRIAL_SECONDS) as limit:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(read, keeper.stdout, stdout)
                    nursery.start_soon(read, keeper.stderr, stderr)
            keeper.kill()
    except CommandNotStarted as problem:
        return [], problem.message
    if limit.cancelled_caught:
        stderr += f"\nit did not end within {TRIAL_SECONDS:g} s".encode()
    return stdout.decode("utf-8", "replace").splitlines(), stderr.decode("utf-8", "replace")
