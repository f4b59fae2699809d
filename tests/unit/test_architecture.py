"""The arrows between the packages point one way, and each effect has the rooms where it may happen."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import spec_kitty_orchestrator

ROOT = Path(spec_kitty_orchestrator.__file__).parent
PACKAGE = ROOT.name

VALUES_AND_SERVICES = {"settings", "host", "agents", "processes", "errors"}
USES = {
    "cli": {"run", "demo", "report", *VALUES_AND_SERVICES},
    "run": {"mission", "report", "converter", "walls", *VALUES_AND_SERVICES},
    "mission": {"report", "worktree", "walls", *VALUES_AND_SERVICES},
    "walls": VALUES_AND_SERVICES,
    "settings": {"host", "agents", "processes", "converter", "errors"},
    "host": {"processes", "report", "converter", "errors"},
    "agents": {"host", "processes", "errors"},
    "processes": {"errors"},
    "report": {"converter"},
    "worktree": set(),
    "demo": {"errors"},
    "converter": set(),
    "errors": set(),
    "policy": {"host"},
    "__init__": {"host"},
    "__main__": {"cli"},
}
"""Package, or module beside the packages → what it uses. An arrow that is not here is a decision to make."""

DEMO_IS_USED_BY = {"cli.demo"}
STARTS_PROCESSES = {"processes.keeper", "processes._keeper"}
PLAYS_THE_OWNER = {"demo.project", "demo.run", "demo.scripted_agent"}

WRITES_FILES = {
    "cli.init": "the settings' file, where there is none",
    "cli.main": "a traceback, for a report",
    "mission.leftovers": "moves what nobody committed to the logs",
    "mission.attempt": "prompts, and files that an agent is given",
    "mission.checks": "the folder of its logs",
    "mission.bugs": "a traceback, for a report",
    "processes._far": "its report, elsewhere",
    "processes.attempt_log": "an attempt's log",
    "processes.far_file": "the far keeper, beside the logs of a run",
    "report.page": "the report of a run, beside its events",
    "report.stream": "events.jsonl",
    "run.lock": "the lock",
    "run.notices": "what the commands are given that tell people",
    "run.ordering": "orders for a live run, and its answers",
    "run.state": "the run state",
    "walls.around": "folders that an agent's CLI, or git, would make by itself",
    "walls.trial": "a place for canaries, in the temporary folder",
    "run.taking_up": "the folder that another mission's run is kept in",
}
OPENS_NO_FILE = {"processes._keeper"}
"""Opens /dev/null for writing, for streams that are let go."""

WITHOUT_EFFECTS = (
    "agents",
    "converter",
    "errors",
    "host.contract",
    "mission.chains",
    "mission.costs",
    "mission.outcome",
    "mission.patience",
    "mission.proof",
    "mission.prompts",
    "mission.records",
    "mission.rules",
    "mission.turns",
    "mission.verdict",
    "processes.bounds",
    "processes.ending",
    "report.chapters",
    "report.composing",
    "report.document",
    "report.drawing",
    "report.estimate",
    "report.figures",
    "report.harmless",
    "report.phases",
    "report.picture",
    "report.rows",
    "report.schema",
    "report.story",
    "report.text",
    "report.totals",
    "report.wp_story",
    "settings.checks",
    "settings.values",
    "settings.walls",
    "walls.bwrap",
    "walls.srt",
    "worktree.rules",
)
ACTS_ALL_THE_SAME = {
    "agents.__init__": {"os", "shutil"},  # where an agent's program is
    "agents.probe": {"trio"},  # which version it says it has
}
USES_THREADS = {"report.outlet", "run.stopping"}
"""What may block for ever is done there; all else is one thread's."""
TRACED = {"report.collector", "report.traces"}
USES_TRIO = {
    "agents": {"probe"},
    "cli": {"abort", "agents", "doctor", "pause", "status"},
    "host": {"client", "notes", "program"},
    "mission": {
        "acceptance",
        "agent_pool",  # who waits for an agent is woken there
        "attempt",
        "budget",  # ends waits
        "claims",
        "context",
        "evidence",
        "mission",
        "next_agent",
        "pause",  # who waits for its end is woken there
        "slots",
        "workbench",
    },
    "processes": {"agent_process", "attempt_log", "awake", "far", "jobs", "keeper", "orphans"},
    "run": {
        *("clock", "doctor.examination", "doctor.keeper", "jobs", "leaving", "notices", "obeying", "opening"),
        *("ordering", "session", "stopping", "tracing", "writer"),
    },
    "walls": {"trial"},
}

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
WRITING_CALLS = {
    "write_text",
    "write_bytes",
    "mkdir",
    "unlink",
    "NamedTemporaryFile",
    "FileLock",
}
WRITING_FLAGS = {"O_WRONLY", "O_RDWR", "O_CREAT"}

HEAVY = {
    *("trio", "jinja2", "cattrs", "dulwich", "rich", "ruamel", "psutil", "filelock", "pytest"),
    "opentelemetry",
}
MOST_LINES = 300


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
EACH_PACKAGE = pytest.mark.parametrize("package", sorted({name.split(".")[0] for name in MODULES}))


def imports(name: str, tree: ast.AST) -> Iterator[str]:
    """Full names of the modules that a module imports, with relative ones resolved."""
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
    for alias in node.names:
        inner = f"{base}.{alias.name}".removeprefix(f"{PACKAGE}.")
        # `from . import prompts` names a module, `from .prompts import Assignment` names what is in one.
        yield f"{PACKAGE}.{inner}" if inner in MODULES or f"{inner}.__init__" in MODULES else base


def uses(name: str) -> set[str]:
    """The modules of ours that a module imports, by their names inside the package."""
    inside = {full.removeprefix(f"{PACKAGE}.") for full in imports(name, MODULES[name])}
    named = {f"{each}.__init__" if f"{each}.__init__" in MODULES else each for each in inside}
    return named & set(MODULES)


def package_of(name: str) -> str:
    return name.split(".")[0]


def is_part_of(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def called(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def circle_in(arrows: Mapping[str, set[str]]) -> list[str]:
    """A circle among arrows, if there is one."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@EACH_PACKAGE
def test_a_package_uses_what_it_may_and_all_of_that(package: str) -> None:
    members = [name for name in MODULES if package_of(name) == package]
    used = {package_of(other) for name in members for other in uses(name)} - {package}
    if package != "__init__":
        used -= {"__init__"}  # the version
    assert used == USES[package]


def test_the_arrows_between_the_packages_point_one_way() -> None:
    assert not circle_in(USES)


@EACH_PACKAGE
def test_nothing_is_circular_inside_a_package(package: str) -> None:
    members = [name for name in MODULES if package_of(name) == package]
    assert not circle_in({name: uses(name) & set(members) for name in members})


def test_a_circle_would_be_seen() -> None:
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"a"}})


def test_few_modules_stand_beside_the_packages() -> None:
    beside = {name for name in MODULES if "." not in name}
    assert beside == {"__init__", "__main__", "converter", "errors", "policy"}


@pytest.mark.parametrize("name", [name for name in MODULES if name.endswith("__init__") and "." in name])
def test_every_package_says_what_it_owns(name: str) -> None:
    assert ast.get_docstring(MODULES[name])


@EACH_MODULE
def test_a_module_can_be_read_in_one_go(name: str) -> None:
    path = ROOT.joinpath(*name.split(".")).with_suffix(".py")
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_a_class_of_a_name_exists_once() -> None:
    names = Counter(
        node.name
        for tree in MODULES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_only_its_command_knows_the_demo() -> None:
    users = {
        name
        for name in MODULES
        if package_of(name) != "demo" and any(package_of(other) == "demo" for other in uses(name))
    }
    assert users == DEMO_IS_USED_BY


@pytest.mark.parametrize("name", [name for name in MODULES if is_part_of(name, WITHOUT_EFFECTS)])
def test_values_and_decisions_have_no_effects(name: str) -> None:
    used = {full.split(".")[0] for full in imports(name, MODULES[name])}
    assert used & EFFECTS <= ACTS_ALL_THE_SAME.get(name, set())
    assert name in ACTS_ALL_THE_SAME or not [call for call in called(MODULES[name]) if call in FILE_CALLS]


@EACH_MODULE
def test_processes_are_started_in_one_place(name: str) -> None:
    starts = "subprocess" in set(imports(name, MODULES[name]))
    starts |= any(
        call in ("open_process", "run_process", "Popen", "fork", "execvp", "execvpe", "posix_spawn")
        for call in called(MODULES[name])
    )
    assert starts == (name in STARTS_PROCESSES | PLAYS_THE_OWNER)


@EACH_MODULE
def test_files_are_written_where_the_table_says_and_nowhere_else(name: str) -> None:
    writes = bool(set(called(MODULES[name])) & WRITING_CALLS) or any(
        isinstance(node, ast.Attribute) and node.attr in WRITING_FLAGS and name not in OPENS_NO_FILE
        for node in ast.walk(MODULES[name])
    )
    assert writes == (name in WRITES_FILES or name in PLAYS_THE_OWNER)


def test_trio_is_used_where_the_table_says() -> None:
    used = {
        name for name in MODULES if "trio" in {full.split(".")[0] for full in imports(name, MODULES[name])}
    }
    assert used == {f"{package}.{room}" for package, rooms in USES_TRIO.items() for room in rooms}


def test_threads_are_used_where_the_table_says() -> None:
    assert {name for name in MODULES if "threading" in imports(name, MODULES[name])} == USES_THREADS


def test_opentelemetry_is_used_in_two_modules_which_nobody_loads_before_traces_are_asked_for() -> None:
    """It is an extra: whatever loads these at once would not load without it."""
    tops = {name: {full.split(".")[0] for full in imports(name, tree)} for name, tree in MODULES.items()}
    assert {name for name, used in tops.items() if "opentelemetry" in used} == TRACED
    at_once = {
        name: ast.Module(body=[node for node in tree.body if is_import(node)], type_ignores=[])
        for name, tree in MODULES.items()
    }
    loaded = {
        (name, full.removeprefix(f"{PACKAGE}.")) for name in MODULES for full in imports(name, at_once[name])
    }
    assert {name for name, other in loaded if other in TRACED} <= TRACED


@pytest.mark.parametrize("name", [name for name in MODULES if package_of(name) == "cli"])
def test_the_command_line_loads_nothing_heavy_before_it_is_asked_to(name: str) -> None:
    at_once = ast.Module(body=[node for node in MODULES[name].body if is_import(node)], type_ignores=[])
    named = set(imports(name, at_once))
    assert not {full.split(".")[0] for full in named} & HEAVY
    inside = {full.split(".")[1] for full in named if full.startswith(f"{PACKAGE}.")}
    assert inside <= {"cli", "errors", "__version__"}


def is_import(node: ast.stmt) -> bool:
    return isinstance(node, (ast.Import, ast.ImportFrom))


def test_the_keeper_needs_the_standard_library_alone() -> None:
    assert uses("processes._keeper") == {"processes._killing", "processes.bounds"}
    assert uses("processes._killing") == {"processes.bounds"}
    assert uses("processes.bounds") == set()
    for name in ("processes._keeper", "processes._killing", "processes.bounds", "processes.__init__"):
        assert not {full.split(".")[0] for full in imports(name, MODULES[name])} & HEAVY
