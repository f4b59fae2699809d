"""The fake host inside a test: a mission on paper, and a runner for HostClient that can be made to fail."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import trio

from spec_kitty_orchestrator.host.errors import Completed

from .command_line import Said, respond
from .host import FakeHost
from .rules import TARGET_BRANCH
from .workspaces import PaperWorkspaces


class Fault(enum.Enum):
    """What goes wrong with one call; BEFORE: nothing was done, AFTER: it was done, and the reply is lost."""

    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    HANG_BEFORE = "hang before"
    HANG_AFTER = "hang after"
    GARBLE_AFTER = "garble after"

    @property
    def is_after(self) -> bool:
        return self.value.endswith("after")


class InProcessHost:
    """A runner for `HostClient(run=...)`: each call takes `seconds` of Trio's clock, then the fake answers.

    Attributes:
        fake: the state machine; tests look into it and change it.
        respond: what it says to a call; a test may put something else here.
        slow: by command, the seconds of those that take others.
        faults: by command (`transition`), what the next calls of it meet, first one first; None: nothing.
        trouble: what a call meets for which `faults` has nothing; a test may put something else here.
        log: the arguments of every call, in order.
        in_flight, most_in_flight: calls now, and the most that there were at once.
    """

    def __init__(self, fake: FakeHost, seconds: float = 0.0) -> None:
        self.fake = fake
        self.respond: Callable[[Sequence[str]], Said] = functools.partial(respond, fake)
        self.seconds = seconds
        self.slow: dict[str, float] = {}
        self.faults: dict[str, list[Fault | None]] = {}
        self.trouble: Callable[[Sequence[str]], Fault | None] = lambda _: None
        self.log: list[tuple[str, ...]] = []
        self.in_flight = 0
        self.most_in_flight = 0

    def commands(self) -> list[str]:
        """The names of the commands called, in order."""
        return [argv[1] for argv in self.log]

    async def __call__(self, argv: Sequence[str], mutating: bool) -> Completed:
        self.log.append(tuple(argv))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await trio.sleep(self.slow.get(argv[1], self.seconds))
            return await self._answer(argv)
        finally:
            self.in_flight -= 1

    async def _answer(self, argv: Sequence[str]) -> Completed:
        waiting = self.faults.get(argv[1])
        fault = waiting.pop(0) if waiting else self.trouble(argv)
        said = self.respond(argv) if fault is None or fault.is_after else Said(1, b"", b"")
        if fault is None:
            return Completed(said.returncode, said.stdout, said.stderr)
        if fault in (Fault.HANG_BEFORE, Fault.HANG_AFTER):
            await trio.sleep_forever()
        if fault is Fault.GARBLE_AFTER:
            return Completed(0, b"{truncat", b"")
        return Completed(1, b"", b"Traceback (most recent call last):\nRuntimeError: scripted crash\n")


def make_fake_project(
    root: Path,
    work_packages: Mapping[str, Sequence[str]] | Iterable[tuple[str, Sequence[str]]],
    slug: str = "demo-01FAKE00",
    lanes: Mapping[str, str] = MappingProxyType({}),
    topology: str = "lanes",
) -> FakeHost:
    """A repository on paper at `root`, with a planned mission of these work packages (id → dependencies).

    `lanes` says which of them lie in one lane (id → `lane-a`), and so share workspace and branch.

    There is no git in it: `.git/HEAD`, `.kittify/` and the prompt files are written, and the workspaces get
    their `.git` files when they are claimed.
    """
    planned = list(work_packages.items() if isinstance(work_packages, Mapping) else work_packages)
    tasks = root / "kitty-specs" / slug / "tasks"
    for folder in (tasks, root / ".git", root / ".kittify"):
        folder.mkdir(parents=True, exist_ok=True)
    (root / ".git" / "HEAD").write_text(f"ref: refs/heads/{TARGET_BRANCH}\n")
    fake = FakeHost(planned, PaperWorkspaces(root), slug, lanes=lanes, topology=topology)
    for wp_id, wp in fake.missions[slug]["wps"].items():
        front = f"---\nwork_package_id: {wp_id}\nsubtasks: {list(wp['subtasks'])}\n---\n"
        (tasks / f"{wp_id}-thing.md").write_text(f"{front}\n# {wp_id}\n\nDo {wp_id}.\n")
    return fake
