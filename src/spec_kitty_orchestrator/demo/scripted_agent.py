"""A scripted agent: does in a workspace what a JSON script says, in the place of a coding agent.

It is a program of its own, standard library only: `python scripted_agent.py --script FILE [--speak FORMAT]
[--name NAME] [-- whatever the real CLI would be given]`, the prompt on stdin.

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
from pathlib import Path
from typing import Any

Act = dict[str, Any]


class Prompt:
    """What the agent reads out of its prompt; the sentences are those of the package's `prompts.py`."""

    def __init__(self, text: str) -> None:
        head, _, self.body = text.partition("<work-package ")
        self.wp_id, self.mission = _find(r"^Work package: (\S+) of mission (\S+)$", head)
        self.folder = Path(_find(r"^Your folder: (.+)$", head)[0])
        self.reference = _find(r"^Review reference: (\S+)$", head)[0]
        self.host = _find(r"^\s*(.+) agent tasks mark-status ", head)[0]
        self.role = "review" if self.reference else "implementation"

    def listed(self, key: str) -> list[str]:
        """A list of the work package's front matter, `key: [a, b]` or one `- a` on each line."""
        inline = _find(rf"^{key}: *\[(.*)\]$", self.body)[0]
        items = inline.split(",") if inline else _find(rf"^{key}:((?:\n- .+)+)$", self.body)[0].split("\n- ")
        return [item.strip().strip("'\"") for item in items if item.strip()]


def _find(pattern: str, text: str) -> tuple[str, ...]:
    found = re.search(pattern, text, re.MULTILINE)
    return found.groups() if found else ("",) * re.compile(pattern).groups


def main(argv: list[str]) -> int:
    """Does one attempt; returns the exit status."""
    cut = argv.index("--") if "--" in argv else len(argv)
    parser = argparse.ArgumentParser()
    parser.add_argument("--script", type=Path, required=True)
    parser.add_argument("--speak", choices=FORMATS, default="text")
    parser.add_argument("--name", default="")
    options = parser.parse_args(argv[:cut])
    given = argv[cut + 1 :]
    if "--version" in given:
        print("1.0.0 (scripted)")
        return 0
    text = sys.stdin.read()
    prompt, script = Prompt(text), json.loads(options.script.read_text(encoding="utf-8"))
    attempt = _record(script, options, prompt, text, given)
    acts = (script.get(prompt.wp_id) or script.get("default") or {}).get(prompt.role) or [{}]
    act: Act = acts[min(attempt, len(acts)) - 1]
    _misbehave(act, prompt)
    if "fail" in act:
        return _say(options.speak, act["fail"], "", given)
    said = _review(act, prompt) if prompt.role == "review" else _implement(act, prompt, attempt)
    if not act.get("silent"):
        _say(options.speak, "ok", said, given)
    return int(act.get("exit", 0))


def _record(script: Act, options: argparse.Namespace, prompt: Prompt, text: str, given: list[str]) -> int:
    """Keeps what was received and returns the attempt's number, counted from what is there already."""
    state = Path(script.get("state") or f"{options.script}.state")
    state.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        name = f"{options.name or options.speak}-{prompt.wp_id}-{prompt.role}-{number}"
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
    host = [prompt.host] if os.path.exists(prompt.host) else shlex.split(prompt.host)
    for ids in [[task] for task in roster] if mark == "each" else [roster] if mark and roster else []:
        command = [*host, "agent", "tasks", "mark-status", *ids]
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


def _say(speak: str, outcome: str, said: str, given: list[str]) -> int:
    """Says it in the format of one CLI; `outcome` is `ok` or a way to fail. Returns the exit status."""
    status, words = (0, said) if outcome == "ok" else FAILURES[speak][outcome]
    events = FORMATS[speak](words, outcome, given)
    # gemini leaves its stdout empty on an error, and so does a program that only prints text.
    to_stderr = status and speak in ("text", "gemini")
    for event in events:
        line = event if isinstance(event, str) else json.dumps(event)
        print(line, flush=True, file=sys.stderr if to_stderr else sys.stdout)
    return status


def _text(words: str, _outcome: str, _given: list[str]) -> list[str]:
    return [words]


def _claude(words: str, outcome: str, given: list[str]) -> list[Act]:
    message = {"role": "assistant", "content": [{"type": "text", "text": words}]}
    limited = outcome == "rate_limit"
    status = {"api_error_status": 429 if limited else None, "session_id": ID, "num_turns": 2}
    usage = {"usage": {"input_tokens": 200, "output_tokens": 40}, "total_cost_usd": 0.0016}
    result = {"type": "result", "subtype": "success", "is_error": outcome != "ok", "result": words}
    if "stream-json" not in given:
        return [{**result, **status, **usage}]
    start = {"type": "system", "subtype": "init", "cwd": os.getcwd(), "session_id": ID}
    error = {"error": outcome, "is_api_error_message": True} if limited else {}
    answer = {"type": "assistant", "message": message, "session_id": ID, **error}
    return [start, answer, {**result, **status, **usage}]


def _codex(words: str, outcome: str, _given: list[str]) -> list[Act]:
    start = [{"type": "thread.started", "thread_id": ID}, {"type": "turn.started"}]
    if outcome != "ok":
        failed = {"type": "turn.failed", "error": {"message": words}}
        return [*start, {"type": "error", "message": words}, failed]
    item = {"id": "item_1", "type": "agent_message", "text": words}
    usage = {"input_tokens": 200, "cached_input_tokens": 0, "output_tokens": 40}
    return [*start, {"type": "item.completed", "item": item}, {"type": "turn.completed", "usage": usage}]


def _opencode(words: str, outcome: str, _given: list[str]) -> list[Act]:
    common = {"timestamp": int(time.time() * 1000), "sessionID": ID}
    if outcome != "ok":
        status = 429 if outcome == "rate_limit" else 401
        data = {"message": words, "statusCode": status, "isRetryable": status == 429}
        return [{"type": "error", **common, "error": {"name": "APIError", "data": data}}]
    tokens = {"total": 120, "input": 100, "output": 20, "reasoning": 0}
    finish = {"type": "step-finish", "reason": "stop", "tokens": tokens, "cost": 0}
    return [
        {"type": "step_start", **common, "part": {"type": "step-start"}},
        {"type": "text", **common, "part": {"type": "text", "text": words}},
        {"type": "step_finish", **common, "part": finish},
    ]


def _gemini(words: str, outcome: str, _given: list[str]) -> list[Act]:
    if outcome != "ok":
        code = 429 if outcome == "rate_limit" else 41
        return [{"session_id": ID, "error": {"type": "Error", "message": words, "code": code}}]
    tokens = {"input": 300, "candidates": 60, "total": 360}
    return [{"session_id": ID, "response": words, "stats": {"models": {"fake": {"tokens": tokens}}}}]


FORMATS: dict[str, Any] = {
    "text": _text, "claude": _claude, "codex": _codex, "opencode": _opencode, "gemini": _gemini,
}  # fmt: skip

ID = "5df92de0-3eb5-4e5e-8bdf-29a36ee5dd32"
_LIMITED = "This request would exceed your rate limit. Please try again later."
# Exit status and words, as the real CLIs gave them to a scripted model server.
FAILURES = {
    "text": {"rate_limit": (1, _LIMITED), "auth": (1, "not logged in")},
    "claude": {
        "rate_limit": (1, f"API Error: Request rejected (429) · {_LIMITED}"),
        "auth": (1, "Not logged in · Please run /login"),
    },
    "codex": {
        "rate_limit": (1, "exceeded retry limit, last status: 429 Too Many Requests"),
        "auth": (1, "unexpected status 401 Unauthorized: invalid x-api-key"),
    },
    "opencode": {"rate_limit": (1, _LIMITED), "auth": (1, "invalid x-api-key")},
    "gemini": {"rate_limit": (173, _LIMITED), "auth": (41, "Please set an Auth method")},
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
