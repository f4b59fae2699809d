"""What the fake host knows: its missions and where their work is. It does not know the commands.

An agent's part is `fake.change("WP01")`, `fake.commit("WP01")` and `fake.mark("WP01")`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .rules import TARGET_BRANCH, Crash, Refused
from .workspaces import PaperWorkspaces, Workspaces


def new_mission(
    slug: str,
    work_packages: Iterable[tuple[str, Sequence[str]]],
    lanes: Mapping[str, str],
    topology: str = "lanes",
) -> dict[str, Any]:
    """A mission's record, as JSON; each work package has one subtask, `T001` for the first."""
    wps = {
        wp_id: new_work_package(number, list(dependencies), [f"T{number + 1:03}"])
        for number, (wp_id, dependencies) in enumerate(work_packages)
    }
    for wp_id, lane_id in lanes.items():
        wps[wp_id]["lane_id"] = lane_id
    return mission_record(slug, wps, topology)


def mission_record(slug: str, wps: dict[str, Any], topology: str) -> dict[str, Any]:
    """A mission of these work packages that nothing has happened to yet."""
    return {
        "slug": slug,
        "number": None,
        "target": TARGET_BRANCH,
        "topology": topology,
        "merged": False,
        "history": 0,
        "wps": wps,
    }


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
        topology: how the mission was planned; with `coord` or `lanes_with_coord` it cannot be accepted before
            it is merged.
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
        topology: str = "lanes",
    ) -> None:
        self.slug = slug
        self.workspaces = workspaces
        self.noise = list(noise)
        self.missions: dict[str, dict[str, Any]] = {}
        planned = list(work_packages)
        if planned:
            self.missions[slug] = new_mission(slug, planned, lanes, topology)

    # What tests and agents do.

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
        path = self.workspace(mission, wp)
        self.workspaces.commit(self.workspaces.switched.get(path) or self.branch(mission, wp))
        self.workspaces.changed.pop(path, None)
        self.workspaces.untracked.pop(path, None)

    def change(self, wp_id: str, path: str = "work.txt") -> None:
        """An agent changes a file in the workspace, and has not committed it (on paper only)."""
        assert isinstance(self.workspaces, PaperWorkspaces)
        workspace = self.workspace(self.missions[self.slug], self.wps[wp_id])
        self.workspaces.changed.setdefault(workspace, set()).add(path)

    def mark(self, wp_id: str, done: bool = True) -> None:
        """An agent marks all subtasks of a work package."""
        subtasks = self.wps[wp_id]["subtasks"]
        subtasks.update(dict.fromkeys(subtasks, done))

    # Lookups that several commands share.

    def find(self, selector: str) -> dict[str, Any]:
        """A mission by slug, by its name without the id, or by the id alone; unsafe words crash the host."""
        if not selector or any(bad in selector for bad in ("/", "..", " ", "*")):
            raise Crash(f"ValueError: Not a safe path segment: {selector!r}")
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
