"""The fake host as a program, and a small project that was planned with it."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from conformance.fake.program import install_fake_host

from spec_kitty_orchestrator.demo.project import PlannedWorkPackage, Project, ProjectPlan, make_project


@pytest.fixture(scope="session")
def small(clean_environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two work packages that have nothing to do with each other."""
    folder = tmp_path_factory.mktemp("small")
    host = install_fake_host(folder)
    wps = tuple(
        PlannedWorkPackage(wp_id, f"Write {wp_id}", "Write it.", (f"{wp_id}.txt",))
        for wp_id in ("WP01", "WP02")
    )
    return make_project(ProjectPlan("small", wps), folder / "project", host, clean_environ)


@pytest.fixture
def arena(enter: Callable, small: Project):
    """The small project with an implementer and a reviewer who do their work."""
    arena = enter(small)
    arena.settings({"agents": {"implementation": ["claude-code"], "review": ["codex"]}})
    arena.agent("claude", {})
    arena.agent("codex", {})
    return arena


@pytest.fixture
def not_as_root() -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
