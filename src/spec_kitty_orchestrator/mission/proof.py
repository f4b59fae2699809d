"""What the evidence says: why work cannot be judged, what a reviewer did to it. Pure, in words for agents."""

from __future__ import annotations

from collections.abc import Iterable

from .evidence import Evidence

FILES_NAMED = 40  # of a list of files; an agent can ask git for the rest


def branch_objection(seen: Evidence, branch: str) -> str | None:
    """What must be heeded when another branch is checked out than the lane's."""
    if seen.branch == branch:
        return None
    now = f"the branch {seen.branch}" if seen.branch else "no branch at all (detached HEAD)"
    return (
        f"In the folder, {now} is checked out, not {branch}. Only what is on {branch} counts. Go back to it "
        f"with `git switch {branch}`, and bring along what belongs to this work package, for example with "
        "`git cherry-pick`."
    )


def work_objection(seen: Evidence, branch: str, since: str) -> str | None:
    """Why a commit cannot be handed over or judged; None when it can.

    Args:
        seen: the workspace now, looked at with `since`.
        branch: the lane's.
        since: the commit beyond which there must be a new one.
    """
    if wrong := branch_objection(seen, branch):
        return wrong
    if not seen.is_clean:
        return (
            "Not everything is committed. Commit what belongs to this work package and remove the rest; "
            f"`git status` must be empty.{_listed('Changed', seen.changed)}"
            f"{_listed('Not in the repository', seen.untracked)}"
        )
    if not seen.advanced:
        return (
            f"There is no new commit on {branch}: it stands at {seen.commit}, and the work begins after "
            f"{since}. Commit the work. If everything that is asked for is there already, make an empty "
            "commit that says why: `git commit --allow-empty`."
        )
    return None


def moved_objection(judged: str, now: str) -> str:
    """What is said when a review was interrupted and HEAD is another one since."""
    return (
        f"While {judged} was under review, HEAD was moved to {now}. See what is new (`git log`, `git diff`); "
        "keep it or undo it, then commit."
    )


def change_by_reviewer(before: Evidence, after: Evidence) -> str | None:
    """What a reviewer changed in the work that it was to judge, or None: its verdict stands."""
    if (after.commit, after.branch, after.changed) == (before.commit, before.branch, before.changed):
        return None
    moved = ""
    if after.commit != before.commit:
        moved = f" HEAD was {before.commit} before it, and is {after.commit or 'nothing'} now."
    if after.branch != before.branch:
        moved += f" The branch {after.branch or '(none)'} is checked out now, not {before.branch}."
    return (
        f"A reviewer changed the work that it was to judge, so its verdict is void.{moved} See what it did "
        "(`git log`, `git diff`); keep it or undo it, then commit."
        f"{_listed('Changed and not committed', after.changed)}"
    )


def _listed(what: str, paths: Iterable[str]) -> str:
    paths = list(paths)
    if not paths:
        return ""
    more = len(paths) - FILES_NAMED
    lines = [f"- {_shown(path)}" for path in paths[:FILES_NAMED]] + (
        [f"- and {more} more"] if more > 0 else []
    )
    return "\n".join([f"\n{what}:", *lines])


def _shown(path: str) -> str:
    return path if path.isprintable() else ascii(path)
