"""The workspace of one work package, as its life uses it: prepared, looked at, checked, cleared."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterable

import trio
from attrs import evolve, frozen

from ..agents.failure import Failure
from ..agents.spec import FailureKind, Role
from ..errors import WorkspaceError
from ..host.workspace import Workspace, read_prompt
from ..report.events import FilesMovedAway
from ..report.wp_events import WpNamed
from .attempt import Attempt
from .checks import run_commands
from .context import RunContext
from .evidence import Evidence
from .leftovers import move_away
from .prompts import Assignment, GoneOn
from .proof import work_objection
from .records import WpRecord
from .sessions import KeptSession, begin, gone_on_with


@frozen
class Workbench:
    """One work package's workspace in a run."""

    run: RunContext
    wp_id: str
    workspace: Workspace

    @property
    def record(self) -> WpRecord:
        """What is remembered of the work package."""
        return self.run.record(self.wp_id)

    async def introduce(self) -> None:
        """Tells what the work package is called. Raises WorkspaceError when its text cannot be read."""
        title = (await self.assignment()).title
        self.run.events.emit(WpNamed(self.wp_id, title, self.workspace.branch))

    async def prepare(self) -> None:
        """Notes the branch, and runs the `setup:` commands where they have not been run yet.

        Raises:
            WorkspaceError: one of them failed, or left files that git would see.
        """
        self.record.branch = self.workspace.branch
        if self.workspace.path in self.run.prepared or not self.run.settings.setup:
            return
        before = await self.look()
        red = await run_commands(self.run, self.wp_id, self.workspace, "setup", self.run.settings.setup)
        if red is not None:
            raise WorkspaceError(
                f"{self.wp_id}: the setup command `{red.command}` failed ({red.how}): {red.output}",
                remedy="mend `setup` in .kittify/orchestrator.yaml, or what it needs, and run again",
            )
        after, left = await self.look(), self.run.left_by_setup.setdefault(self.workspace.path, set())
        own = {*before.changed, *before.untracked} - left  # a try before this one may have left the others
        new = [path for path in (*after.changed, *after.untracked) if path not in own]
        left.update(new)
        if new:
            raise WorkspaceError(
                f"{self.wp_id}: the setup commands left what git would commit: {', '.join(new)}",
                remedy="have git ignore it, or change `setup` in .kittify/orchestrator.yaml",
            )
        self.run.prepared.add(self.workspace.path)

    async def since(self, *, judged_anew: bool = False) -> str:
        """The commit beyond which there must be a new one: where it was last sent back, claimed, or begun.

        Args:
            judged_anew: a review is repeated of which the host may not have heard that it was sent back.
        """
        returned = None if judged_anew else self.record.returned_commit
        known = returned or self.record.claimed_commit
        if known is not None:
            return known
        base = await self.run.repository.resolve(self.run.repo_root, self.workspace.base)
        if base is None:
            raise WorkspaceError(
                f"{self.wp_id}: its lane began at {self.workspace.base}, which is not in the repository",
                remedy="bring that branch back",
            )
        return base

    async def look(self, since: str | None = None) -> Evidence:
        """What the repository says now; what the agents' own CLIs left is moved away first.

        Raises:
            WorkspaceError: the workspace is not what the host made any more.
        """
        seen = await self.run.repository.look(self.workspace, since)
        litter = {path for agent in self.run.agents.known.values() for path in agent.spec.litter}
        left = [path for path in seen.untracked if any(_is_at_or_below(path, each) for each in litter)]
        if not left:
            return seen
        await self._move_away("an agent's own program", left)
        return evolve(seen, untracked=tuple(path for path in seen.untracked if path not in left))

    async def clear_away(self, left_by: str) -> None:
        """Moves untracked files into the run's logs: they belong to nobody's work."""
        seen = await self.look()
        if seen.untracked:
            await self._move_away(left_by, seen.untracked)

    async def check(self, seen: Evidence) -> str | None:
        """Runs the checks on a clean commit, once for each commit; if one is red, the words about it."""
        commands = self.run.settings.checks
        lines = tuple(map(shlex.join, commands))
        if not commands or (self.record.checked_commit, self.record.checked_by) == (seen.commit, lines):
            return None
        red = await run_commands(self.run, self.wp_id, self.workspace, "check", commands)
        await self.clear_away("the checks")
        after = await self.look()
        if (after.commit, after.branch) != (seen.commit, seen.branch):
            return f"The project's own checks move HEAD: it was {seen.commit}, and is {after.commit} now."
        if after.changed:
            return f"The project's own checks change files of the repository: {', '.join(after.changed)}"
        if red is None:
            self.record.checked_commit, self.record.checked_by = seen.commit, lines
            self.run.save(self.wp_id)
        return None if red is None else red.words

    async def objection(self, *, judged_anew: bool) -> tuple[Evidence, Failure | None]:
        """What is there, and why it cannot be judged: not committed, on another branch, red by the checks.

        Args:
            judged_anew: see `since`.
        """
        since = await self.since(judged_anew=judged_anew)
        seen = await self.look(since)
        if words := work_objection(seen, self.workspace.branch, since):
            return seen, Failure(FailureKind.HANDOVER_REFUSED, words)
        if words := await self.check(seen):
            return seen, Failure(FailureKind.CHECKS_FAILED, words)
        return seen, None

    async def assignment(self) -> Assignment:
        """What its prompts are about, read anew for each: people edit the file while agents are at work."""
        host = self.run.host
        text = await trio.to_thread.run_sync(read_prompt, self.workspace)
        since = self.record.claimed_commit or ""
        return Assignment(host.mission, self.wp_id, text, self.workspace, host.endpoint.binary, since)

    def session(self, role: Role, agent: str, text: str, commit: str = "") -> KeptSession | None:
        """The agent's own session, gone on with or begun; None where none is kept.

        Args:
            text: what others wrote for it, as that is now.
            commit: the one that is to be judged; a review of another one is begun afresh.
        """
        if not self.run.settings.agents.continue_sessions:
            return None
        place, asked = str(self.workspace.path), self.run.agents.known[agent]
        new = begin(asked, place, text, commit, self.run.new_session_id())
        return new and (gone_on_with(self.record.sessions.get(role), new) or new)

    def gone_on(self, role: Role, session: KeptSession | None) -> GoneOn | None:
        """What an agent must be told of its session, when it goes on with one."""
        before = self.record.sessions.get(role)
        if session is None or before is None or not session.resumed:
            return None
        return GoneOn(before.cut_off, text_is_new=before.told != session.told)

    def attempt(self, role: Role, agent: str, prompt: str, session: KeptSession | None) -> Attempt:
        """One attempt of an agent here."""
        return Attempt(self.wp_id, role, self.run.agents.known[agent], self.workspace, prompt, session)

    def green(self, commit: str) -> tuple[str, ...]:
        """The checks that a commit has passed, as one would type them."""
        return self.record.checked_by if self.record.checked_commit == commit else ()

    async def _move_away(self, left_by: str, paths: Iterable[str]) -> None:
        folder = self.run.log_dir / f"{self.wp_id}-left"
        try:
            moved = await trio.to_thread.run_sync(move_away, self.workspace, paths, folder)
        except (OSError, shutil.Error) as problem:
            raise WorkspaceError(
                f"{self.wp_id}: what {left_by} left cannot be moved to {folder}: {problem}",
                remedy="move it away yourself, then run again",
            ) from problem
        if moved:
            where = str(folder.relative_to(self.run.repo_root))
            self.run.events.emit(FilesMovedAway(self.wp_id, left_by, moved, where))


def _is_at_or_below(path: str, place: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{place.rstrip('/')}/")
