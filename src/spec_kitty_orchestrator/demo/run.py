"""The demo's own mission: a small program in four work packages, and the ending that shows it at work.

The reviewer really runs what it reviews: the first version of WP03 has a bug, which a check finds, and
the feedback that sends it back is the check's own words.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ..errors import OrchestratorError
from .project import PlannedWorkPackage, Project, ProjectPlan, make_project

AGENT_ID = "demo-agent"
TRY_IT = ("-B", "-m", "tally", "text.txt")
TEXT = "The quick brown fox jumps over the lazy dog.\nThe dog sleeps on. The fox, being a fox, jumps again!\n"

WORDS = """\
def words(text):
    stripped = (word.strip(".,;:!?").lower() for word in text.split())
    return [word for word in stripped if word]
"""
COUNTS = """\
from collections import Counter

def most_common(words, limit):
    return sorted(Counter(words).items(), key=lambda pair: (-pair[1], pair[0]))[:limit]
"""
CHART_WITH_A_BUG = """\
def chart(pairs):
    return [f"{word:<5} {'#' * count} {count}" for word, count in pairs]
"""
CHART = """\
def chart(pairs):
    width = max((len(word) for word, _ in pairs), default=0)
    return [f"{word:<{width}} {'#' * count} {count}" for word, count in pairs]
"""
MAIN = """\
import sys
from tally.chart import chart
from tally.counts import most_common
from tally.words import words

with open(sys.argv[1], encoding="utf-8") as file:
    print("\\n".join(chart(most_common(words(file.read()), 5))))
"""
CHECK = ("git", "diff", "--check", "HEAD~1")
"""The project's own check: no stray blanks, no marks of a conflict."""


def _wp(wp_id: str, title: str, text: str, module: str, *after: str) -> PlannedWorkPackage:
    return PlannedWorkPackage(wp_id, title, text, (f"tally/{module}.py",), ("Write it", "Try it"), after)


WORK_PACKAGES = (
    _wp("WP01", "Split a text", "`tally.words.words(text)` gives its words, lower case, bare.", "words"),
    _wp("WP02", "Count", "`tally.counts.most_common(words, limit)` gives (word, count).", "counts", "WP01"),
    _wp("WP03", "Draw bars", "`tally.chart.chart(pairs)` gives lines, their bars aligned.", "chart", "WP01"),
    _wp("WP04", "Join them", "`python -m tally FILE` prints its five top words.", "__main__", "WP02", "WP03"),
)


def _script() -> dict[str, object]:
    """What the scripted agent is to do: for each work package, what it writes in turn and how it checks."""
    bars = "[line.index('#') for line in chart([('cat', 2), ('elephant', 1)])]"
    return {
        "WP01": _acts("words", _check("words", "words('A cat, a CAT!')", ["a", "cat"] * 2), WORDS),
        "WP02": _acts("counts", _check("counts", "most_common('bab', 1)", [("b", 2)]), COUNTS),
        "WP03": _acts("chart", _check("chart", bars, [9, 9]), CHART_WITH_A_BUG, CHART),
        "WP04": _acts("__main__", TRY_IT, MAIN),
    }


def _acts(module: str, check: tuple[str, ...], *versions: str) -> dict[str, object]:
    written = [{"files": {f"tally/{module}.py": text}} for text in versions]
    return {"implementation": written, "review": [{"check": [sys.executable, *check], "say": "I ran it."}]}


def _check(module: str, call: str, wanted: object) -> tuple[str, ...]:
    code = (
        f"from tally.{module} import *; call, wanted = {call!r}, {wanted!r}; found = eval(call)\n"
        f"if found != wanted: raise SystemExit(f'tally/{module}.py: {{call}} is {{found}}, not {{wanted}}')"
    )
    return ("-B", "-c", code)


def make_demo(root: Path, host: Path, environ: Mapping[str, str] | None = None) -> Project:
    """A project with the demo's mission planned and its agent set up; arguments and errors: make_project."""
    # Ignored by git, as everything of ours under .kittify/logs is: the project stays clean.
    script = root.absolute() / ".kittify" / "logs" / "demo-agent.json"
    agent = [sys.executable, str(Path(__file__).with_name("scripted_agent.py")), "--script", str(script)]
    roles = {"implementation": [AGENT_ID], "review": [AGENT_ID]}
    custom = {AGENT_ID: {"command": dict.fromkeys(roles, agent), "output": "text"}}
    choice = {"checks": [CHECK], "agents": {**roles, "custom": custom}}
    settings = json.dumps(choice, indent=2)  # JSON is YAML
    files = {".kittify/orchestrator.yaml": settings + "\n", "text.txt": TEXT}
    project = make_project(ProjectPlan("tally", WORK_PACKAGES, files), root, host, environ)
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(json.dumps(_script(), indent=2), encoding="utf-8")
    return project


def merge_and_try(project: Project) -> str:
    """Merges the accepted mission with the host and returns what the built program prints.

    Raises:
        OrchestratorError: the host did not merge it, or the program does not run.
    """
    project.host_api("merge-mission", "--mission", project.mission)
    argv = [sys.executable, *TRY_IT]
    done = subprocess.run(argv, cwd=project.root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OrchestratorError(f"python -m tally text.txt, in {project.root}: {done.stderr.strip()}")
    return done.stdout
