"""What we tell people to do destroys nothing outside of the host's own worktrees."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import spec_kitty_orchestrator

ROOT = Path(spec_kitty_orchestrator.__file__).parent
DESTROYS = re.compile(
    r"\brm -|\brmdir\b|\bunlink\b|\bshred\b|git (clean|reset|checkout|restore|stash|rm)\b|checkout --"
    r"|--(force|hard)\b|(^|\s)-f\b|worktree (remove|prune)|branch -[dDfM]\b|kill -|pkill|chmod -R"
)
SAID_ALL_THE_SAME = {
    "agents/catalog.py": "an option that an agent's own CLI asks for",
    "mission/prompts.py": "what agents are told never to do",
    "mission/stall.py": "takes a work package back at the host, in its own words; no file is touched",
    "host/client.py": "an option of the host's transition, sent and not told",
    "run/doctor/leftovers.py": "git forgets a worktree that is gone, or that was moved away",
    "run/asking.py": "the same as in mission/stall.py, of one that cannot be retried",
    "walls/trial.py": "asks a process whether it is there, by a signal that is none",
    "host/workspace.py": "the repair of a worktree, told of what lies in .worktrees/ (test_workspace.py)",
}


def texts(tree: ast.Module) -> list[str]:
    """Every string of a module that is no docstring and no note beside a name."""
    notes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in notes]
    return [node.value for node in constants if isinstance(node.value, str)]


def test_nobody_is_told_a_command_that_destroys_but_for_a_broken_worktree() -> None:
    paths = [path for path in sorted(ROOT.rglob("*.py")) if "_conformance" not in path.parts]
    telling = {
        str(path.relative_to(ROOT))
        for path in paths
        if any(DESTROYS.search(text) for text in texts(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert telling == set(SAID_ALL_THE_SAME)


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf x",
        "git clean -fdx",
        "git reset --hard",
        "git checkout -- .",
        "git worktree prune",
        "kill -9 7",
    ],
)
def test_such_a_command_would_be_seen_inside_a_sentence_too(command: str) -> None:
    (text, *_) = texts(ast.parse(f"def f(x):\n    '''{command}'''\n    raise E(f'do this: {command} {{x}}')"))
    assert DESTROYS.search(text)
