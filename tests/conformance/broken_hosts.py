"""Hosts that break the contract in one way each: a wrapper around the fake host, and the words for it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from attrs import frozen

import conformance

_PROGRAM = """\
import json, os, sys
from pathlib import Path

sys.path.append({root!r})
from conformance.fake.program import call

argv = sys.argv[1:]
command = argv[1] if argv[0] == "orchestrator-api" and len(argv) > 1 else ""
trailing = ""
{before}
said = call(argv, Path.cwd())
status, lines = said.returncode, said.stdout.decode().splitlines()
reply = json.loads(lines.pop()) if command and lines else {{}}
data = reply.get("data", {{}})
{after}
lines += [json.dumps(reply)] if reply else []
print("\\n".join(lines) + trailing, flush=True)
sys.stderr.buffer.write(said.stderr)
sys.stderr.flush()
os._exit(status)
"""


@frozen
class BrokenHost:
    """What a host does wrong, and what the report has to say about it.

    Attributes:
        name: the breach, in words.
        words: a line of the report.
        after: Python that changes `reply`, `data`, `lines`, `status` or `trailing` for a `command`.
        before: Python that changes `argv`.
    """

    name: str
    words: str
    after: str = "pass"
    before: str = "pass"

    def install(self, folder: Path) -> Path:
        """Writes the wrapper, and returns its path."""
        folder.mkdir(parents=True, exist_ok=True)
        root = str(Path(str(conformance.__file__)).parent.parent)
        program = folder / "wrapper.py"
        program.write_text(_PROGRAM.format(root=root, before=self.before, after=self.after))
        host = folder / "spec-kitty"
        command = shlex.join([sys.executable, "-S", "-E", "-s", str(program)])
        host.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        host.chmod(0o755)
        return host


BROKEN_HOSTS = (
    BrokenHost(
        "drops a field",
        "start-implementation: data.workspace_path: missing (required since contract 1.0.0)",
        'command == "start-implementation" and data.pop("workspace_path", "")',
    ),
    BrokenHost(
        "drops a field of a later contract",
        "start-implementation: data.lane_branch: missing (required since contract 1.1.0)",
        'command == "start-implementation" and data.pop("lane_branch", "")',
    ),
    BrokenHost(
        "drops a field of the envelope",
        "append-history: correlation_id: missing (required since contract 1.0.0)",
        'command == "append-history" and reply.pop("correlation_id")',
    ),
    BrokenHost(
        "changes a type",
        "mission-state: data.work_packages[1].lane: expected one of planned, claimed, in_progress, "
        "for_review, in_review, approved, done, blocked, canceled, got a whole number (3)",
        'if command == "mission-state" and reply["success"]: data["work_packages"][1]["lane"] = 3',
    ),
    BrokenHost(
        "prints after the JSON",
        "append-history: prints 'Recorded.' after the envelope, which has to be the last line",
        'if command == "append-history": trailing = "\\nRecorded."',
    ),
    BrokenHost(
        "exits 0 on failure",
        "accept-mission: exit status 0 with success: false "
        "(MISSION_NOT_READY: acceptance before all work packages are approved or done)",
        'if command == "accept-mission": status = 0',
    ),
    BrokenHost(
        "renames an error code",
        "start-implementation: error_code: expected WP_ALREADY_CLAIMED for a start of what another actor "
        "holds, got WP_TAKEN",
        'if reply.get("error_code") == "WP_ALREADY_CLAIMED": reply["error_code"] = "WP_TAKEN"',
    ),
    BrokenHost(
        "accepts a transition without evidence",
        "transition: accepts an approval without a review result; "
        "it has to be refused with TRANSITION_REJECTED",
        before='if "approved" in argv and "approved" not in argv[-1]: argv += ["--force", "--note=x"]',
    ),
    BrokenHost(
        "takes an unfinished dependency as ready",
        "list-ready: data.ready_work_packages.*.wp_id: expected ['WP01'], got ['WP01', 'WP02'] "
        "(WP02 depends on WP01, which is planned)",
        'if command == "list-ready" and data["ready_work_packages"][0]["wp_id"] == "WP01":'
        ' data["ready_work_packages"].append({**data["ready_work_packages"][0], "wp_id": "WP02"})',
    ),
    BrokenHost(
        "answers for another command",
        "start-review: command: expected 'orchestrator-api.start-review', got 'orchestrator-api.review'",
        'if command == "start-review": reply["command"] = "orchestrator-api.review"',
    ),
    BrokenHost(
        "repeats a correlation id",
        "list-ready: correlation_id: the same as in an earlier reply",
        'if command == "list-ready": reply["correlation_id"] = "corr-1"',
    ),
    BrokenHost(
        "makes a plain folder instead of a worktree",
        "is no linked worktree",
        'if command == "start-implementation" and reply["success"]: '
        'data["workspace_path"] += "-plain"; os.makedirs(data["workspace_path"], exist_ok=True)',
    ),
    BrokenHost(
        "breaks down",
        "merge-mission: the host printed nothing where its reply should be (exit status 1)",
        'if command == "merge-mission": reply, lines, status = {}, [], 1',
    ),
    BrokenHost(
        "cannot make a project",
        "making a project: ",
        'if command == "tasks": trailing = "\\nAll planned."',
    ),
)
