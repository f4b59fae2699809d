"""What `spec-kitty ARGV...` prints: finds the command, has it done, and puts its data into an envelope.

This joins the host, which knows no commands, with the commands, which are handed a host. In process:

    fake = FakeHost([("WP01", []), ("WP02", ["WP01"])], PaperWorkspaces(root))
    said = respond(fake, ["orchestrator-api", "mission-state", "--mission", fake.slug])

What was measured on the real host, and how, stands in the conformance suite: the same cases are put to both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from .commands import COMMANDS
from .host import FakeHost
from .rules import CONTRACT_VERSION, Crash, Refused, parse


class Said(NamedTuple):
    """How a call ended, and what it printed."""

    returncode: int
    stdout: bytes
    stderr: bytes


def respond(host: FakeHost, argv: Sequence[str]) -> Said:
    """What `spec-kitty ARGV...` prints and returns."""
    try:
        if list(argv[:1]) == ["orchestrator-api"]:
            return _api(host, list(argv[1:]))
        if list(argv[:3]) == ["agent", "tasks", "mark-status"]:
            return _mark_status(host, list(argv[3:]))
    except Crash as crash:
        return Said(1, b"", f"Traceback (most recent call last)\n╰───╯\n{crash}\n".encode())
    return Said(2, b"", b"No such command.\n")


def _api(host: FakeHost, argv: list[str]) -> Said:
    noise = list(host.noise)
    try:
        command, options = parse(argv)
    except Refused as refused:
        return reply("unknown", refused.data, noise, refused)
    try:
        data = COMMANDS[command](host, options, noise)
    except Refused as refused:
        return reply(command, refused.data, noise, refused)
    return reply(command, data, noise, None)


def reply(command: str, data: Any, noise: Sequence[str], refused: Refused | None) -> Said:
    """An envelope around some data, after the noise."""
    envelope = {
        "contract_version": CONTRACT_VERSION,
        "command": f"orchestrator-api.{command}",
        "timestamp": datetime.now(timezone.utc).isoformat(),
        "correlation_id": f"corr-{os.urandom(16).hex()}",
        "success": refused is None,
        "error_code": refused.code if refused else None,
        "data": data,
    }
    text = "".join(f"{line}\n" for line in [*noise, json.dumps(envelope)])
    return Said(refused.status if refused else 0, text.encode(), b"")


def _mark_status(host: FakeHost, argv: list[str]) -> Said:
    words = iter(argv)
    tasks, options = [], {}
    for word in words:
        if word == "--json":
            continue
        if word.startswith("--"):
            options[word] = next(words, "")
        else:
            tasks.append(word)
    try:
        mission = host.find(options.get("--mission", host.slug))
    except Refused as refused:
        return Said(1, json.dumps({"error": str(refused)}).encode() + b"\n", b"")
    unknown = [task for task in tasks if not _set_task(mission, task, options.get("--status"))]
    done = {"result": "error" if unknown else "success", "updated": sorted(set(tasks) - set(unknown))}
    return Said(1 if unknown else 0, json.dumps({**done, "not_found": unknown}).encode() + b"\n", b"")


def _set_task(mission: dict[str, Any], task: str, status: str | None) -> bool:
    owners = [wp for wp in mission["wps"].values() if task in wp["subtasks"]]
    for wp in owners:
        wp["subtasks"][task] = status == "done"
    return bool(owners)
