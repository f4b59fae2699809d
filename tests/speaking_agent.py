"""The scripted agent with the voice of a real CLI: `python speaking_agent.py FORMAT SCRIPTED_AGENT ...`.

Standard library only, run with `-I -S`: it has to start as fast as the tests start agents. What it says is
what the real CLIs said to a scripted model server.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from typing import Any

Event = dict[str, Any]


def speaker(speak: str):
    """`say(outcome, said, given) -> exit status` in one CLI's format; outcome: `ok` or a way to fail."""

    def say(outcome: str, said: str, given: list[str]) -> int:
        status, words = (0, said) if outcome == "ok" else FAILURES[speak][outcome]
        # On an error gemini leaves its stdout empty.
        stream = sys.stderr if status and speak == "gemini" else sys.stdout
        for event in FORMATS[speak](words, outcome, given):
            print(json.dumps(event), flush=True, file=stream)
        return status

    return say


def _session(given: list[str]) -> str:
    """The session that it was told to begin or to go on with; else its own."""
    told = (given[at + 1] for at, word in enumerate(given[:-1]) if word in SESSION_WORDS)
    return next(told, ID)


def _claude(words: str, outcome: str, given: list[str]) -> list[Event]:
    message = {"role": "assistant", "content": [{"type": "text", "text": words}]}
    limited = outcome == "rate_limit"
    status = {"api_error_status": 429 if limited else None, "session_id": _session(given), "num_turns": 2}
    cost = float(os.environ.get("COSTS_USD", "0.0016"))
    usage = {"usage": {"input_tokens": 200, "output_tokens": 40}, "total_cost_usd": cost}
    result = {"type": "result", "subtype": "success", "is_error": outcome != "ok", "result": words}
    if "stream-json" not in given:
        return [{**result, **status, **usage}]
    start = {"type": "system", "subtype": "init", "cwd": os.getcwd(), "session_id": _session(given)}
    error = {"error": outcome, "is_api_error_message": True} if limited else {}
    answer = {"type": "assistant", "message": message, "session_id": _session(given), **error}
    return [start, answer, {**result, **status, **usage}]


def _codex(words: str, outcome: str, given: list[str]) -> list[Event]:
    start = [{"type": "thread.started", "thread_id": _session(given)}, {"type": "turn.started"}]
    if outcome != "ok":
        failed = {"type": "turn.failed", "error": {"message": words}}
        return [*start, {"type": "error", "message": words}, failed]
    item = {"id": "item_1", "type": "agent_message", "text": words}
    usage = {"input_tokens": 200, "cached_input_tokens": 0, "output_tokens": 40}
    return [*start, {"type": "item.completed", "item": item}, {"type": "turn.completed", "usage": usage}]


def _opencode(words: str, outcome: str, given: list[str]) -> list[Event]:
    common = {"timestamp": int(time.time() * 1000), "sessionID": _session(given)}
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


def _gemini(words: str, outcome: str, _given: list[str]) -> list[Event]:
    if outcome != "ok":
        code = 429 if outcome == "rate_limit" else 41
        return [{"session_id": ID, "error": {"type": "Error", "message": words, "code": code}}]
    return [
        {"type": "init", "session_id": ID, "model": "fake"},
        {"type": "message", "role": "assistant", "content": words, "delta": True},
        {"type": "result", "status": "success", "stats": {"input_tokens": 200, "output_tokens": 40}},
    ]


FORMATS: dict[str, Any] = {
    "claude": _claude, "codex": _codex, "opencode": _opencode, "gemini": _gemini,
}  # fmt: skip

SESSION_WORDS = ("--session-id", "--resume", "resume", "--session")
ID = "5df92de0-3eb5-4e5e-8bdf-29a36ee5dd32"
_LIMITED = "This request would exceed your rate limit. Please try again later."
# Exit status and words.
FAILURES = {
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


def main() -> int:
    speak, path, *argv = sys.argv[1:]
    spec = importlib.util.spec_from_file_location("scripted_agent", path)
    agent = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(agent)
    return agent.main(argv, speaker(speak))


if __name__ == "__main__":
    sys.exit(main())
