"""`logs` on a whole run: followed while its agents work, and read when it is over."""

from __future__ import annotations

import os
import select
import time

PATIENCE = 600.0


def printed_until(process, words):
    """What a program has printed when these words have come."""
    heard, until = "", time.monotonic() + PATIENCE
    while words not in heard:
        ready = select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))[0]
        chunk = os.read(process.stdout.fileno(), 65536) if ready else b""
        assert chunk, f"{words!r} was not printed, but {heard!r}"
        heard += chunk.decode()
    return heard


def test_a_work_package_is_followed_to_its_approval_and_can_be_read_afterwards(arena):
    go_on = arena.folder / "go-on"
    until = ["sh", "-c", f"until [ -e {go_on} ]; do sleep 0.05; done"]
    wait = {"run": until, "say": "I wrote it.\nAll of it."}
    back = {"verdict": "changes_requested", "feedback": "Write more."}
    arena.agent("claude", {"WP01": {"implementation": [wait, {"say": "More."}]}})
    arena.agent("codex", {"WP01": {"review": [back, {}]}})
    run = arena.start("orchestrate", "--mission", arena.project.mission)
    arena.wait_for_prompt("claude", "WP01", "implementation")

    follower = arena.start("logs", "WP01", "--follow")
    begun = printed_until(follower, ", at work\n")
    assert begun.startswith("WP01 implementation 1: claude-code, since ")
    go_on.touch()
    assert arena.finish(run).returncode == 0
    followed = arena.finish(follower)
    assert (followed.returncode, followed.stderr) == (0, "")
    told = [line for line in followed.stdout.splitlines() if line.startswith(("WP01 ", "said ", "succeeded"))]
    kinds = [
        "said       I wrote it.",
        "WP01 review 1: codex",
        "WP01 implementation 2: claude-code",
        "said       More.",
    ]
    assert [word for word in kinds if not [line for line in told if line.startswith(word)]] == []
    assert told[-2].startswith("said ")
    assert told[-1].startswith("succeeded after ")
    assert '"changes_requested"' in followed.stdout
    assert "\n           All of it.\n" in followed.stdout

    last = arena.run("logs", "WP01").stdout
    assert last.startswith("WP01 review 2: codex, ")
    assert '"approved"' in last
    first = ("logs", "WP01", "--role", "implementation", "--attempt", "1")
    assert "said       I wrote it.\n           All of it.\n" in arena.run(*first).stdout
    (log,) = (arena.root / ".kittify" / "logs").glob("*/WP01-implementation-1.log")
    assert arena.run(*first, "--raw", "--run", log.parent.name).stdout.encode() == log.read_bytes()
    prompt = arena.run(*first, "--prompt", "--mission", arena.project.mission).stdout
    assert prompt.strip() == arena.prompts("claude", "WP01", "implementation")[0].strip()
    refused = arena.run(*first[:-1], "3")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: WP01 has no implementation attempt 3 in run ")
    assert "(it has implementation 1 (claude-code, succeeded), review 1 (codex, succeeded)" in refused.stderr
