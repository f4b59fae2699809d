"""The three prompts: implement, rework, review. Pure text from values; nothing is read or written here."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from ..host.workspace import Workspace


@frozen
class Assignment:
    """What every prompt needs to say about one work package.

    Attributes:
        mission: the mission's slug.
        wp_id: the work package's id, `WP01`.
        text: the whole of the prompt file that the host returned.
        workspace: where the work is done.
        host_command: the host's program, by its absolute path.
    """

    mission: str
    wp_id: str
    text: str
    workspace: Workspace
    host_command: Path


def work_prompt(assignment: Assignment, *to_heed: str | None) -> str:
    """The prompt for an implementer: it may find what an earlier attempt left, and has words to heed or not.

    Args:
        to_heed: what a reviewer or the host said about the work so far, as far as there is such.
    """
    words = "\n\n".join(each.strip() for each in to_heed if each)
    opening = _REWORK.format(feedback=words) if words else _IMPLEMENT
    return _WORK.format(opening=opening, **_places(assignment))


def review_prompt(assignment: Assignment, review_ref: str) -> str:
    """The prompt of one review; `review_ref` is new for each attempt and must come back in the verdict.

    The example in it is no valid JSON on purpose: an agent that only echoes its prompt gives no verdict.
    """
    return _REVIEW.format(review_ref=review_ref, **_places(assignment))


def _places(assignment: Assignment) -> dict[str, object]:
    return {
        "mission": assignment.mission,
        "wp_id": assignment.wp_id,
        "text": assignment.text.strip(),
        "workspace": assignment.workspace.path,
        "branch": assignment.workspace.branch,
        "base": assignment.workspace.base,
        "host": assignment.host_command,
    }


_IMPLEMENT = """\
Implement this work package completely. If the folder already holds work on it, go on from there."""

_REWORK = """\
This work package was sent back. Mend what the following says, and keep everything else that it asks for.

<feedback>
{feedback}
</feedback>"""

_WORK = """\
{opening}

Work package: {wp_id} of mission {mission}
Your folder: {workspace}
Your branch: {branch}, already checked out there; it started from {base}

Rules:
1. Change files in your folder only. Do not leave it, and do not switch branches.
2. Commit your work on the current branch. Uncommitted work is lost work: nobody will see it.
3. When a subtask of the list `subtasks:` below is finished, mark it (T001 stands for its id):
   {host} agent tasks mark-status T001 --status done --mission {mission} --json
   Every subtask must be marked before you end; work that has unmarked subtasks is sent back.
4. Do not run any other command of that program, and never with --force: lanes are moved by whoever
   started you, whatever else a message of the host may offer.
5. Nobody can answer questions. Decide for yourself, and say in your last message what you decided.
6. Leave nothing running when you end: no server, no watcher, no background job.

<work-package id="{wp_id}">
{text}
</work-package>
"""

_REVIEW = """\
Review the work that was done for this work package. You judge; you do not mend.

Work package: {wp_id} of mission {mission}
Your folder: {workspace}
Branch under review: {branch}; it started from {base}
See the change with: git diff --no-ext-diff {base}...HEAD
Review reference: {review_ref}

Rules:
1. Do not edit, create or delete any file, do not commit, and run nothing that changes anything.
2. Approve only what does all that the work package asks for, and does it correctly.
3. Feedback names file and line, what is wrong, and what would be right. It is all that the implementer
   will get to see of your review.
4. End your last message with one JSON object on a line of its own, and nothing after it:
   {{"review_ref": "{review_ref}", "verdict": VERDICT, "feedback": FEEDBACK}}
   VERDICT is "approved" or "changes_requested"; FEEDBACK is a string, empty only with "approved".
   Without that line your review does not count.

<work-package id="{wp_id}">
{text}
</work-package>
"""
