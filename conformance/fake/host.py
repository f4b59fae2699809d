"""The contract as a state machine: lanes, guards, refusals and the last-line rule of a host, without a host.

Standard library only, so that the program around it (`program.py`) starts fast. In process:

    fake = FakeHost([("WP01", []), ("WP02", ["WP01"])], PaperWorkspaces(root))
    said = fake.call(["orchestrator-api", "mission-state", "--mission", fake.slug])

`said` has `returncode`, `stdout` and `stderr`. An agent's part is `fake.change("WP01")`,
`fake.commit("WP01")` and `fake.mark("WP01")`. What was measured on the real host, and how, stands in the
conformance suite: the same cases are put to both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from .commands import COMMANDS
from .rules import CONTRACT_VERSION, TARGET_BRANCH, Crash, Refused, parse
from .workspaces import PaperWorkspaces, Workspaces


class Said(NamedTuple):
    """How a call ended, and what it printed."""

    returncode: int
    stdout: bytes
    stderr: bytes


def new_mission(
    slug: str, work_packages: Iterable[tuple[str, Sequence[str]]], lanes: Mapping[str, str]
) -> dict[str, Any]:
    """A mission's record, as JSON; each work package has one subtask, `T001` for the first."""
    wps = {
        wp_id: new_work_package(number, list(dependencies), [f"T{number + 1:03}"])
        for number, (wp_id, dependencies) in enumerate(work_packages)
    }
    for wp_id, lane_id in lanes.items():
        wps[wp_id]["lane_id"] = lane_id
    return {"slug": slug, "number": None, "target": TARGET_BRANCH, "history": 0, "wps": wps}


def new_work_package(number: int, dependencies: list[str], subtasks: list[str]) -> dict[str, Any]:
    """A planned work package; `number` counts from 0 and names its lane: lane-a, ..., lane-z, lane-aa."""
    first, last = divmod(number, 26)
    letters = (chr(96 + first) if first else "") + chr(97 + last)
    return {
        "lane": "planned",
        "dependencies": dependencies,
        "subtasks": dict.fromkeys(subtasks, False),
        "holder": None,
        "lane_id": f"lane-{letters}",
    }


class FakeHost:
    """One repository's missions. The state is `self.missions`, plain JSON, changed by calls alone.

    Args:
        work_packages: ids with their dependencies, of one mission that is planned already.
        workspaces: where branches and folders are; on paper in process, git in the program.
        noise: lines that are printed before each reply, as the real host does at times.
        lanes: which lane a work package lies in, as `lane-a`; those not named have a lane of their own.
            The real host has one lane for those that own the same files or hang together by dependency.
    """

    def __init__(
        self,
        work_packages: Iterable[tuple[str, Sequence[str]]],
        workspaces: Workspaces,
        slug: str = "demo-01FAKE00",
        noise: Sequence[str] = (),
        lanes: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.slug = slug
        self.workspaces = workspaces
        self.noise = list(noise)
        self.missions: dict[str, dict[str, Any]] = {}
        planned = list(work_packages)
        if planned:
            self.missions[slug] = new_mission(slug, planned, lanes)

    # What tests and agents do, without a command line.

    @property
    def wps(self) -> dict[str, dict[str, Any]]:
        """The only mission's work packages; a test may change them as a person would with other tools."""
        found: dict[str, dict[str, Any]] = self.missions[self.slug]["wps"]
        return found

    def lane(self, wp_id: str) -> str:
        return str(self.wps[wp_id]["lane"])

    def commit(self, wp_id: str) -> None:
        """An agent commits all that is in the workspace (on paper only)."""
        assert isinstance(self.workspaces, PaperWorkspaces)
        mission, wp = self.missions[self.slug], self.wps[wp_id]
        self.workspaces.committed.add(self.branch(mission, wp))
        self.workspaces.dirty.discard(self.workspace(mission, wp))

    def change(self, wp_id: str) -> None:
        """An agent changes something in the workspace, and has not committed it (on paper only)."""
        assert isinstance(self.workspaces, PaperWorkspaces)
        self.workspaces.dirty.add(self.workspace(self.missions[self.slug], self.wps[wp_id]))

    def mark(self, wp_id: str, done: bool = True) -> None:
        """An agent marks all subtasks of a work package."""
        subtasks = self.wps[wp_id]["subtasks"]
        subtasks.update(dict.fromkeys(subtasks, done))

    # The command line.

    def call(self, argv: Sequence[str]) -> Said:
        """What `spec-kitty ARGV...` prints and returns."""
        try:
            if list(argv[:1]) == ["orchestrator-api"]:
                return self._api(list(argv[1:]))
            if list(argv[:3]) == ["agent", "tasks", "mark-status"]:
                return self._mark_status(list(argv[3:]))
        except Crash as crash:
            return Said(1, b"", f"Traceback (most recent call last):\nValueError: {crash}\n".encode())
        return Said(2, b"", b"No such command.\n")

    def _api(self, argv: list[str]) -> Said:
        noise = list(self.noise)
        try:
            command, options = parse(argv)
        except Refused as refused:
            return self.reply("unknown", refused.data, noise, refused)
        try:
            data = COMMANDS[command](self, options, noise)
        except Refused as refused:
            return self.reply(command, refused.data, noise, refused)
        return self.reply(command, data, noise, None)

    def reply(self, command: str, data: Any, noise: list[str], refused: Refused | None) -> Said:
        """An envelope around some data, after the noise."""
        envelope = {
            "contract_version": CONTRACT_VERSION,
            "command": f"orchestrator-api.{command}",
            "timestamp": datetime.now(timezone.utc).isoformat(),
            "correlation_id": f"corr-{os.urandom(16).hex()}",
            "success": refused is None,
            "error_code": refused.code if refused else None,
            "data": data,
        }
        text = "".join(f"{line}\n" for line in [*noise, json.dumps(envelope)])
        return Said(refused.status if refused else 0, text.encode(), b"")

    def _mark_status(self, argv: list[str]) -> Said:
        words = iter(argv)
        tasks, options = [], {}
        for word in words:
            if word == "--json":
                continue
            if word.startswith("--"):
                options[word] = next(words, "")
            else:
                tasks.append(word)
        try:
            mission = self.find(options.get("--mission", self.slug))
        except Refused as refused:
            return Said(1, json.dumps({"error": str(refused)}).encode() + b"\n", b"")
        unknown = [task for task in tasks if not self._set_task(mission, task, options.get("--status"))]
        done = {"result": "error" if unknown else "success", "updated": sorted(set(tasks) - set(unknown))}
        return Said(1 if unknown else 0, json.dumps({**done, "not_found": unknown}).encode() + b"\n", b"")

    @staticmethod
    def _set_task(mission: dict[str, Any], task: str, status: str | None) -> bool:
        owners = [wp for wp in mission["wps"].values() if task in wp["subtasks"]]
        for wp in owners:
            wp["subtasks"][task] = status == "done"
        return bool(owners)

    # Lookups that several commands share.

    def find(self, selector: str) -> dict[str, Any]:
        """A mission by slug, by its name without the id, or by the id alone; unsafe words crash the host."""
        if not selector or any(bad in selector for bad in ("/", "..", " ", "*")):
            raise Crash(f"Not a safe path segment: {selector!r}")
        fits = [m for slug, m in self.missions.items() if selector in (slug, *slug.rsplit("-", 1))]
        if len(fits) > 1:
            raise Refused("MISSION_AMBIGUOUS_SELECTOR", f"Mission '{selector}' is ambiguous")
        if not fits:
            raise Refused("MISSION_NOT_FOUND", f"Mission '{selector}' not found in kitty-specs/")
        return fits[0]

    def find_wp(self, options: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
        mission = self.find(options["--mission"])
        wp = mission["wps"].get(options["--wp"])
        if wp is None:
            raise Refused("WP_NOT_FOUND", f"Work package '{options['--wp']}' not found in {mission['slug']}")
        return mission, wp

    @staticmethod
    def branch(mission: Mapping[str, Any], wp: Mapping[str, Any]) -> str:
        return f"kitty/mission-{mission['slug']}-{wp['lane_id']}"

    def workspace(self, mission: Mapping[str, Any], wp: Mapping[str, Any]) -> Path:
        return self.workspaces.root / ".worktrees" / f"{mission['slug']}-{wp['lane_id']}"

    def prompt(self, mission: Mapping[str, Any], wp_id: str) -> str:
        folder = self.workspaces.root / "kitty-specs" / mission["slug"] / "tasks"
        written = sorted(folder.glob(f"{wp_id}*.md"))
        return str(written[0] if written else folder / f"{wp_id}.md")
