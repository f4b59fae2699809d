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

_TEXT = """\
The quick brown fox jumps over the lazy dog.
The dog sleeps on. The fox, being a fox, jumps again!
"""

_WORDS = '''"""Splits a text into words."""


def words(text):
    stripped = (word.strip(".,;:!?").lower() for word in text.split())
    return [word for word in stripped if word]
'''

_COUNTS = '''"""Counts words."""

from collections import Counter


def most_common(words, limit):
    """(word, count) pairs, the most frequent first; equal ones in alphabetical order."""
    return sorted(Counter(words).items(), key=lambda pair: (-pair[1], pair[0]))[:limit]
'''

_CHART = '''"""Draws counts as bars."""


def chart(pairs):
    width = {width}
    return [f"{{word:<{{width}}}} {{'#' * count}} {{count}}" for word, count in pairs]
'''

_MAIN = '''"""Shows the most frequent words of a file: python -m tally FILE"""

import sys

from tally.chart import chart
from tally.counts import most_common
from tally.words import words

with open(sys.argv[1], encoding="utf-8") as file:
    print("\\n".join(chart(most_common(words(file.read()), 5))))
'''

PLAN = ProjectPlan(
    "tally",
    (
        PlannedWorkPackage(
            "WP01", "Split a text into words", "`tally.words.words(text)` gives the words, lower case, "
            "without punctuation.", ("tally/words.py",), ("Write words()", "Strip punctuation"),
        ),
        PlannedWorkPackage(
            "WP02", "Count words", "`tally.counts.most_common(words, limit)` gives (word, count) pairs.",
            ("tally/counts.py",), dependencies=("WP01",),
        ),
        PlannedWorkPackage(
            "WP03", "Draw bars", "`tally.chart.chart(pairs)` gives one line for each pair, the bars all "
            "beginning in the same column.", ("tally/chart.py",), dependencies=("WP01",),
        ),
        PlannedWorkPackage(
            "WP04", "Put it together", "`python -m tally FILE` prints the five most frequent words.",
            ("tally/__main__.py",), dependencies=("WP02", "WP03"),
        ),
    ),
)  # fmt: skip

_FIRST_CHART = _CHART.format(width=5)
_FIXED_CHART = _CHART.format(width="max((len(word) for word, _ in pairs), default=0)")
_SAMPLE = '[("cat", 2), ("elephant", 1)]'


def _check(module: str, call: str, wanted: object) -> list[str]:
    code = (
        f"import sys; from tally.{module} import *; found = {call}; wanted = {wanted!r}\n"
        f"sys.exit(0 if found == wanted else f'tally/{module}.py: {call} gives {{found}}, wanted {{wanted}}')"
    )
    return [sys.executable, "-B", "-c", code]


def _script() -> dict[str, object]:
    """What the scripted agent is to do: for each work package, what it writes and how it checks."""

    def acts(path: str, versions: list[str], check: list[str]) -> dict[str, object]:
        written = [{"files": {path: text}} for text in versions]
        return {"implementation": written, "review": [{"check": check, "say": "I ran it."}]}

    bars = ["cat      ## 2", "elephant # 1"]
    run = [sys.executable, "-B", "-m", "tally", "text.txt"]
    return {
        "WP01": acts("tally/words.py", [_WORDS], _check("words", 'words("A cat, a CAT!")', ["a", "cat"] * 2)),
        "WP02": acts("tally/counts.py", [_COUNTS], _check("counts", "most_common('bab', 1)", [("b", 2)])),
        "WP03": acts(
            "tally/chart.py", [_FIRST_CHART, _FIXED_CHART], _check("chart", f"chart({_SAMPLE})", bars)
        ),
        "WP04": acts("tally/__main__.py", [_MAIN], run),
    }


def make_demo(root: Path, host: Path, environ: Mapping[str, str] | None = None) -> Project:
    """A project at `root` with the demo's mission planned and its scripted agent set up; see make_project."""
    # Ignored by git, as everything of ours under .kittify/logs is: the project stays clean.
    script = root.absolute() / ".kittify" / "logs" / "demo-agent.json"
    agent = [sys.executable, str(Path(__file__).with_name("scripted_agent.py")), "--script", str(script)]
    roles = {"implementation": [AGENT_ID], "review": [AGENT_ID]}
    custom = {AGENT_ID: {"command": dict.fromkeys(roles, agent), "output": "text"}}
    settings = json.dumps({"agents": {**roles, "custom": custom}}, indent=2)  # JSON is YAML
    files = {".kittify/orchestrator.yaml": settings + "\n", "text.txt": _TEXT}
    project = make_project(ProjectPlan(PLAN.mission, PLAN.work_packages, files), root, host, environ)
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(json.dumps(_script(), indent=2), encoding="utf-8")
    return project


def merge_and_try(project: Project) -> str:
    """Merges the accepted mission with the host and returns what the built program prints.

    Raises:
        OrchestratorError: the host did not merge it, or the program does not run.
    """
    project.host_api("merge-mission", "--mission", project.mission)
    argv = [sys.executable, "-B", "-m", "tally", "text.txt"]
    done = subprocess.run(argv, cwd=project.root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OrchestratorError(f"python -m tally text.txt, in {project.root}: {done.stderr.strip()}")
    return done.stdout
