"""The real host of the e2e tests, and the projects that it made for them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from spec_kitty_orchestrator.demo.project import (
    PlannedWorkPackage,
    Project,
    ProjectPlan,
    plan_mission,
    start_project,
)

Template = Callable[[ProjectPlan], Project]


def _chosen_host() -> Path | None:
    if binary := os.environ.get("SK_ORCH_E2E_SPEC_KITTY_BIN"):
        return Path(shutil.which(binary) or pytest.fail(f"SK_ORCH_E2E_SPEC_KITTY_BIN: no program {binary}"))
    if repo := os.environ.get("SK_ORCH_E2E_SPEC_KITTY_REPO"):
        built = Path(repo).absolute() / ".venv" / "bin" / "spec-kitty"
        return built if built.exists() else pytest.fail(f"SK_ORCH_E2E_SPEC_KITTY_REPO: no program {built}")
    beside = shutil.which("spec-kitty", path=str(Path(sys.executable).parent))
    return Path(beside) if beside else None


@pytest.fixture(scope="session")
def spec_kitty() -> Path:
    """The host to test against: the chosen one, else the one installed beside the tests."""
    host = _chosen_host()
    if host is None:
        pytest.skip("no spec-kitty beside the tests; name one with SK_ORCH_E2E_SPEC_KITTY_BIN")
    return host.absolute()


@pytest.fixture(scope="session")
def template(
    spec_kitty: Path, clean_environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Template:
    """Makes the project of a plan once; the costly `init` is shared by all of them."""
    made: dict[str, Project] = {}
    folder = tmp_path_factory.mktemp("templates")

    def _template(plan: ProjectPlan) -> Project:
        if "" not in made:
            made[""] = start_project({"README.md": "# Lab\n"}, folder / "bare", spec_kitty, clean_environ)
        if plan.mission not in made:
            root = folder / plan.mission
            # Nothing in a project names its own place, so a copy is as good as the original.
            shutil.copytree(made[""].root, root, symlinks=True)
            made[plan.mission] = plan_mission(evolve(made[""], root=root), plan)
        return made[plan.mission]

    return _template


@pytest.fixture(scope="session")
def diamond(template: Template) -> Project:
    """WP02 and WP03 wait for WP01, WP04 for both."""
    after = {"WP01": (), "WP02": ("WP01",), "WP03": ("WP01",), "WP04": ("WP02", "WP03")}
    return template(ProjectPlan("diamond", tuple(_wp(wp_id, waits) for wp_id, waits in after.items())))


@pytest.fixture(scope="session")
def apart(template: Template) -> Callable[[int], Project]:
    """A mission of so many work packages that have nothing to do with each other."""

    def _apart(count: int) -> Project:
        wps = tuple(_wp(f"WP{number:02}", ()) for number in range(1, count + 1))
        return template(ProjectPlan(f"apart-{count}", wps))

    return _apart


def _wp(wp_id: str, waits: tuple[str, ...]) -> PlannedWorkPackage:
    # Two subtasks: with one alone, "all are marked" and "one is marked" would look the same.
    name = wp_id.lower()
    return PlannedWorkPackage(
        wp_id, f"Write {name}", f"Write `{name}.txt`.", (f"{name}.txt",), ("Write it", "Check it"), waits
    )
