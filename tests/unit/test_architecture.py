"""The arrows between the rooms point one way, and each effect has one room where it happens."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import spec_kitty_orchestrator

ROOT = Path(spec_kitty_orchestrator.__file__).parent
PACKAGE = ROOT.name

HOUSE = (
    "cli",
    "demo",
    "supervisor",
    "doctor",
    "plan",
    "opening",
    "mission",
    "work_package",
    "asking",
    "attempt",
    "run",
    "history",
    "config",
    "display",
    "events",
    "run_state",
    "roster",
    "decide",
    "host",
    "host_program",
    "host_errors",
    "process",
    "probe",
    "shutdown",
    "kept",
    "survivors",
    "identity",
    "_keeper",
    "workspace",
    "outcome",
    "prompts",
    "verdict",
    "agents",
    "policy",
    "contract",
    "errors",
)
"""From the door to the cellar: a room uses what stands below it, and nothing above it."""

ENTRANCES = {"__init__": {"contract"}, "__main__": {"cli"}}
"""Modules that only lead to a room."""

DEMO_IS_USED_BY = {"cli.demo"}

WITHOUT_EFFECTS = ("contract", "agents", "decide", "prompts", "verdict", "roster")
LOOKS_FOR_PROGRAMS = "agents.__init__"
"""The one module of these that asks the file system something: where the agents' programs are."""

EFFECTS = {
    "os",
    "subprocess",
    "socket",
    "trio",
    "shutil",
    "tempfile",
    "threading",
    "signal",
    "psutil",
    "time",
}
FILE_CALLS = {
    "open",
    "read_text",
    "write_text",
    "read_bytes",
    "write_bytes",
    "mkdir",
    "unlink",
    "iterdir",
    "glob",
}

STARTS_PROCESSES = {"kept", "_keeper", "demo.project", "demo.run", "demo.scripted_agent"}
HEAVY = {"trio", "cattrs", "rich", "ruamel", "psutil", "filelock", "pytest"}


def modules() -> dict[str, ast.Module]:
    """Every module by its dotted name inside the package, parsed."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[0] != "_conformance":
            found[".".join(parts)] = ast.parse(path.read_text(encoding="utf-8"))
    return found


MODULES = modules()
EACH_MODULE = pytest.mark.parametrize("name", MODULES)


def imports(name: str, tree: ast.AST) -> Iterator[str]:
    """Full names of what a module imports, with relative ones resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from imported_from(name, node)


def imported_from(name: str, node: ast.ImportFrom) -> Iterator[str]:
    base = node.module or ""
    if node.level:
        around = [PACKAGE, *name.split(".")][: -node.level]
        base = ".".join([*around, base]).rstrip(".")
    # `from . import prompts` names modules, `from .prompts import Assignment` names one.
    is_package = base == PACKAGE
    yield from (f"{base}.{alias.name}" for alias in node.names) if is_package else iter([base])


def rooms_used(name: str) -> set[str]:
    inside = (full.split(".") for full in imports(name, MODULES[name]))
    return {parts[1] for parts in inside if parts[0] == PACKAGE and len(parts) > 1} - {"__version__"}


def room_of(name: str) -> str:
    return name.split(".")[0]


@EACH_MODULE
def test_every_module_has_its_place_and_uses_only_what_stands_below_it(name: str) -> None:
    room = room_of(name)
    if room in ENTRANCES:
        assert rooms_used(name) <= ENTRANCES[room]
        return
    assert room in HOUSE, f"{room} has no place in the house: give it one in HOUSE"
    below = set(HOUSE[HOUSE.index(room) :])
    assert rooms_used(name) <= below


def test_the_house_has_no_empty_places() -> None:
    assert {room_of(name) for name in MODULES} - set(ENTRANCES) == set(HOUSE)


def test_only_its_command_knows_the_demo() -> None:
    users = {name for name in MODULES if "demo" in rooms_used(name) and room_of(name) != "demo"}
    assert users == DEMO_IS_USED_BY


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name) in WITHOUT_EFFECTS])
def test_values_and_decisions_have_no_effects(name: str) -> None:
    used = {full.split(".")[0] for full in imports(name, MODULES[name])}
    allowed = {"os", "shutil"} if name == LOOKS_FOR_PROGRAMS else set()
    assert used & EFFECTS <= allowed
    assert not [call for call in called(MODULES[name]) if call in FILE_CALLS]


def called(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield str(getattr(node.func, "attr", getattr(node.func, "id", "")))


@EACH_MODULE
def test_processes_are_started_in_one_place(name: str) -> None:
    starts = "subprocess" in set(imports(name, MODULES[name]))
    starts |= any(
        call in ("open_process", "run_process", "Popen", "execvpe") for call in called(MODULES[name])
    )
    assert not starts or name in STARTS_PROCESSES


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name) == "cli"])
def test_the_command_line_loads_nothing_heavy_before_it_is_asked_to(name: str) -> None:
    at_once = ast.Module(body=[node for node in MODULES[name].body if is_import(node)], type_ignores=[])
    named = set(imports(name, at_once))
    assert not {full.split(".")[0] for full in named} & HEAVY
    inside = {full.split(".")[1] for full in named if full.startswith(f"{PACKAGE}.")}
    assert inside <= {"cli", "errors", "__version__"}


def is_import(node: ast.stmt) -> bool:
    return isinstance(node, (ast.Import, ast.ImportFrom))


def test_the_keeper_needs_the_standard_library_alone() -> None:
    assert rooms_used("_keeper") == set()
    assert not {full.split(".")[0] for full in imports("_keeper", MODULES["_keeper"])} & HEAVY
