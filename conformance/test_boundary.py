"""The boundary: host and orchestrator meet in the contract only; git is read, in process, and never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import spec_kitty_orchestrator

ROOT = Path(spec_kitty_orchestrator.__file__).parent
HOST_NAMES = ("specify" + "_cli", "spec_kitty" + "_events", "spec_kitty" + "_tracker")
HOST_PACKAGES = (*HOST_NAMES, "charter", "doctrine", "glossary", "kernel", "mission_runtime", "runtime")
"""What the host's distributions install at the top; the first three are no words of anybody else's."""

GIT_LIBRARIES = ("git", "pygit2", "dulwich")
READS_WHAT_IS_COMMITTED = ("worktree/files.py", "worktree/history.py")
"""May use dulwich, a library, to read a repository in process: a verdict is about a commit."""
READ_NAMES = {"config", "graph", "object_store", "objects", "refs", "repo"}
"""The parts of it that read; its commands (`porcelain`) and filters, which run programs, are not in it."""
STARTERS = (
    "run",
    "Popen",
    "call",
    "check_call",
    "check_output",
    "system",
    "popen",
    "run_process",
    "open_process",
)
PLAYS_THE_USER = "demo"
"""The one room that runs git and writes planning files: it plays the person who owns the project."""


def sources() -> list[Path]:
    """Every module of the package; the suite itself lies beside them in a wheel, and is not meant."""
    return [path for path in sorted(ROOT.rglob("*.py")) if "_conformance" not in path.relative_to(ROOT).parts]


def is_of_the_user(path: Path) -> bool:
    return path.relative_to(ROOT).parts[0] == PLAYS_THE_USER


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def texts(tree: ast.AST) -> Iterator[str]:
    """String constants that are no docstrings."""
    spoken = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in spoken:
            yield node.value


def git_commands(tree: ast.AST) -> Iterator[int]:
    """The lines where a command line begins with git, or a program is started by that name."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.List, ast.Tuple)) and node.elts and text_of(node.elts[0]) == "git":
            yield node.lineno
        elif isinstance(node, ast.Call) and name_of(node.func) in STARTERS:
            yield from (node.lineno for arg in node.args[:1] if text_of(arg).split(" ")[0] == "git")


def text_of(node: ast.AST) -> str:
    value = node.value if isinstance(node, ast.Constant) else ""
    return value if isinstance(value, str) else ""


def name_of(function: ast.expr) -> str:
    return str(getattr(function, "attr", getattr(function, "id", "")))


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
class TestBoundaryCheck:
    def test_nothing_of_the_host_is_imported_or_named(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert not [name for name in imported(ast.parse(text)) if name.split(".")[0] in HOST_PACKAGES]
        assert not [name for name in HOST_NAMES if name in text]

    def test_the_planning_folder_is_the_hosts_own(self, path: Path) -> None:
        """We read the prompt file that the host names, and look for nothing there ourselves."""
        if not is_of_the_user(path):
            assert not [text for text in texts(ast.parse(path.read_text("utf-8"))) if "kitty-specs" in text]

    def test_git_is_left_to_the_host_and_the_agents(self, path: Path) -> None:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        used = {name for name in imported(tree) if name.split(".")[0] in GIT_LIBRARIES}
        may_read = path.relative_to(ROOT).as_posix() in READS_WHAT_IS_COMMITTED
        assert used <= ({f"dulwich.{name}" for name in READ_NAMES} if may_read else set())
        if not is_of_the_user(path):
            assert list(git_commands(tree)) == []


def test_the_check_finds_what_it_looks_for() -> None:
    tree = ast.parse(
        'import git\nrun(("git", "add"))\nos.system("git push")\nopen("kitty-specs/x")\n"""git"""'
    )
    assert list(imported(tree)) == ["git"]
    assert sorted(git_commands(tree)) == [2, 3]
    assert "kitty-specs/x" in list(texts(tree))
