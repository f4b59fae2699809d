"""A scripted agent: does in a workspace what a JSON script says, in the place of a coding agent.

It is a program of its own, standard library only: `python scripted_agent.py --script FILE [--name NAME]
[-- whatever a real CLI would be given]`, the prompt on stdin.

The script maps a work package's id (or `default`) to `implementation` and `review`, each a list of acts:
the first attempt takes the first, the last one repeats. An act's keys, all optional:
  both roles       sleep (seconds, before anything else), run (a command), say (the final text), silent,
                   fail (`rate_limit` | `auth`), signal (end by it: `SIGKILL`), exit (status)
  implementation   files ({path: text}; default: a line in each owned file), commit (true),
                   mark (true: all subtasks in one call | `each` | false)
  review           verdict (default `approved`; null gives none), feedback, reference (a wrong one),
                   check (a command: its failure is the verdict `changes_requested`, its output the feedback)
`state` in the script names a folder (default: the script's path with `.state`); each attempt leaves its
prompt there as `<name>-WP01-review-1.prompt.md`, and how it was started as `.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Act = dict[str, Any]
_BLOCK = r"^<work-package-(\w+) .*$"
Say = Callable[[str, str, "list[str]"], int]


class Prompt:
    """What the agent reads out of its prompt; the sentences are those of the package's `prompts.py`."""

    def __init__(self, text: str, remembered: Callable[[str, str], str]) -> None:
        head, *block = re.split(_BLOCK, text, maxsplit=1, flags=re.MULTILINE)
        self.wp_id, self.mission = _find(r"^Work package: (\S+) of mission (\S+)$", head)
        self.folder = Path(_find(r"^Your folder: (.+)$", head)[0])
        self.reference = _find(r"^Review reference: (\S+)$", head)[0]
        self.role = "review" if self.reference else "implementation"
        if not block:  # it goes on with what it knows
            before = remembered(self.wp_id, self.role)
            head, *block = re.split(_BLOCK, before, maxsplit=1, flags=re.MULTILINE)
        mark, rest = block
        self.body = rest.partition(f"</work-package-{mark}>")[0]
        self.host = shlex.split(_find(r"^\s*(.+) agent tasks mark-status ", head)[0])

    def listed(self, key: str) -> list[str]:
        """A list of the work package's front matter, `key: [a, b]` or one `- a` on each line."""
        inline = _find(rf"^{key}: *\[(.*)\]$", self.body)[0]
        items = inline.split(",") if inline else _find(rf"^{key}:((?:\n- .+)+)$", self.body)[0].split("\n- ")
        return [item.strip().strip("'\"") for item in items if item.strip()]


def _find(pattern: str, text: str) -> tuple[str, ...]:
    found = re.search(pattern, text, re.MULTILINE)
    return found.groups() if found else ("",) * re.compile(pattern).groups


def main(argv: list[str], say: Say) -> int:
    """Does one attempt and tells of it with `say`; returns the exit status."""
    cut = argv.index("--") if "--" in argv else len(argv)
    parser = argparse.ArgumentParser()
    parser.add_argument("--script", type=Path, required=True)
    parser.add_argument("--name", default="agent")
    options = parser.parse_args(argv[:cut])
    given = argv[cut + 1 :]
    if "--version" in given:
        print("1.0.0 (scripted)")
        return 0
    text = sys.stdin.read()
    script = json.loads(options.script.read_text(encoding="utf-8"))
    state = Path(script.get("state") or f"{options.script}.state")
    prompt = Prompt(text, lambda *whose: _remembered(state, options.name, *whose))
    attempt = _record(state, options.name, prompt, text, given)
    acts = (script.get(prompt.wp_id) or script.get("default") or {}).get(prompt.role) or [{}]
    act: Act = acts[min(attempt, len(acts)) - 1]
    _misbehave(act, prompt)
    if "fail" in act:
        return say(act["fail"], "", given)
    said = _review(act, prompt) if prompt.role == "review" else _implement(act, prompt, attempt)
    if not act.get("silent"):
        say("ok", said, given)
    return int(act.get("exit", 0))


def _remembered(state: Path, name: str, wp_id: str, role: str) -> str:
    """The last prompt that told this agent all of a work package."""
    prompts = sorted(state.glob(f"{name}-{wp_id}-{role}-*.prompt.md"), key=os.path.getmtime, reverse=True)
    told = (path.read_text(encoding="utf-8") for path in prompts)
    return next(text for text in told if re.search(_BLOCK, text, re.MULTILINE))


def _record(state: Path, agent: str, prompt: Prompt, text: str, given: list[str]) -> int:
    """Keeps what was received and returns the attempt's number, counted from what is there already."""
    state.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        name = f"{agent}-{prompt.wp_id}-{prompt.role}-{number}"
        try:
            with open(state / f"{name}.prompt.md", "x", encoding="utf-8") as file:
                file.write(text)
            break
        except FileExistsError:
            number += 1
    found = {"argv": given, "cwd": os.getcwd(), "pwd": os.environ.get("PWD"), "pid": os.getpid()}
    found["host"] = shutil.which("spec-kitty")
    (state / f"{name}.json").write_text(json.dumps(found), encoding="utf-8")
    return number


def _misbehave(act: Act, prompt: Prompt) -> None:
    time.sleep(act.get("sleep", 0))
    if "run" in act:
        subprocess.run(act["run"], cwd=prompt.folder, check=True)
    if "signal" in act:
        os.kill(os.getpid(), signal.Signals[act["signal"]])


def _implement(act: Act, prompt: Prompt, attempt: int) -> str:
    own = dict.fromkeys(prompt.listed("owned_files"), f"{prompt.wp_id}, attempt {attempt}\n")
    for path, text in act.get("files", own).items():
        (prompt.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (prompt.folder / path).write_text(text, encoding="utf-8")
    if act.get("commit", True):
        _call(["git", "add", "-A"], prompt.folder)
        _call(["git", "commit", "-q", "-m", f"{prompt.wp_id}: attempt {attempt}"], prompt.folder)
    roster, mark = prompt.listed("subtasks"), act.get("mark", True)
    for ids in [[task] for task in roster] if mark == "each" else [roster] if mark and roster else []:
        command = [*prompt.host, "agent", "tasks", "mark-status", *ids]
        _call([*command, "--status", "done", "--mission", prompt.mission, "--json"], prompt.folder)
    return str(act.get("say", f"{prompt.wp_id} is done."))


def _call(argv: list[str], cwd: Path) -> None:
    """A command whose failure the agent tells of and lives with, as agents do."""
    done = subprocess.run(
        argv, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(f"{' '.join(argv)}: status {done.returncode}\n{done.stdout}{done.stderr}", file=sys.stderr)


def _review(act: Act, prompt: Prompt) -> str:
    verdict, feedback = act.get("verdict", "approved"), act.get("feedback", "")
    if "check" in act:
        check = subprocess.run(act["check"], cwd=prompt.folder, capture_output=True, text=True, check=False)
        if check.returncode:
            verdict, feedback = "changes_requested", (check.stdout + check.stderr).strip()
    said = str(act.get("say", "I have read the change."))
    if verdict is None:
        return said
    reference = act.get("reference", prompt.reference)
    return said + "\n\n" + json.dumps({"review_ref": reference, "verdict": verdict, "feedback": feedback})


def say_text(outcome: str, said: str, _given: list[str]) -> int:
    """Ends as a program that prints plain text; `outcome` is `ok` or a way to fail."""
    print(
        said if outcome == "ok" else f"error: {outcome}", file=sys.stdout if outcome == "ok" else sys.stderr
    )
    return 0 if outcome == "ok" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], say_text))
