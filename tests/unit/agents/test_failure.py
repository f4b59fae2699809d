"""From how an attempt ended to why."""

from __future__ import annotations

import time
from datetime import datetime, timezone

import pytest

from spec_kitty_orchestrator.agents import all_agent_ids, get_agent
from spec_kitty_orchestrator.agents.failure import Failure, classify
from spec_kitty_orchestrator.agents.spec import FailureKind
from spec_kitty_orchestrator.agents.transcript import AgentError, Transcript, open_reader
from spec_kitty_orchestrator.processes.ending import EndedBy, Ending

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
CODEX = get_agent("codex")
DONE = Transcript("done", complete=True)


OVER_QUOTA = "You exceeded your current quota, please check your plan and billing details"
HIGH_DEMAND = "We're currently experiencing high demand"


def ended(by: EndedBy = EndedBy.EXITED, returncode: int | None = 0, signal: int | None = None) -> Ending:
    return Ending(returncode, signal, by, (), 1.0)


def failure(error: AgentError | str, agent_id: str = "codex") -> Failure:
    error = AgentError(error) if isinstance(error, str) else error
    found = classify(get_agent(agent_id), ended(returncode=1), Transcript(error=error), NOW)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("ending", "transcript", "expected"),
    [
        (ended(), DONE, None),
        (ended(), Transcript("done"), None),
        (ended(EndedBy.COMPLETED, None, 15), DONE, None),
        (ended(EndedBy.TIMEOUT, None, 15), DONE, None),
        (ended(EndedBy.KEEPER_LOST, None), DONE, None),
        (ended(returncode=1), DONE, FailureKind.CRASHED),
        (ended(returncode=None, signal=11), Transcript(), FailureKind.CRASHED),
        (ended(), Transcript(""), FailureKind.CRASHED),
        (ended(), Transcript("done", error=AgentError("no")), FailureKind.CRASHED),
        (ended(EndedBy.COMPLETED, None, 15), Transcript("", complete=True), FailureKind.CRASHED),
        (ended(EndedBy.TIMEOUT, None, 15), Transcript("half"), FailureKind.TIMEOUT),
        (ended(EndedBy.IDLE, None, 15), Transcript("half"), FailureKind.STALLED),
        (ended(EndedBy.TOO_DEAR, None, 15), Transcript("half"), FailureKind.ATTEMPT_LIMIT),
        (ended(EndedBy.LOG_FULL, None, 15), DONE, None),
        (ended(EndedBy.LOG_FULL, None, 15), Transcript("half"), FailureKind.LOG_FULL),
        (ended(EndedBy.KEEPER_LOST, None), Transcript("half"), FailureKind.CRASHED),
        # It was still trying again when it was stopped: the reason is what it tried against.
        (ended(EndedBy.TIMEOUT, None, 15), Transcript(error=AgentError("", 429)), FailureKind.RATE_LIMIT),
        # Old words on stderr are no reason.
        (ended(EndedBy.TIMEOUT, None, 15), Transcript(stderr="last status: 429"), FailureKind.TIMEOUT),
    ],
)
def test_how_it_ended(ending: Ending, transcript: Transcript, expected: FailureKind | None) -> None:
    found = classify(CODEX, ending, transcript)
    assert (found.kind if found else None) is expected


@pytest.mark.parametrize(
    ("error", "agent_id", "kind"),
    [
        (AgentError("no", 401), "codex", FailureKind.AUTH),
        (AgentError("no", 403), "codex", FailureKind.AUTH),
        (AgentError("no", 402), "codex", FailureKind.BUDGET),
        (AgentError("no", 404), "codex", FailureKind.BAD_MODEL),
        (AgentError("no", 429), "codex", FailureKind.RATE_LIMIT),
        (AgentError('{"code":"insufficient_quota"}', 429), "pi", FailureKind.BUDGET),
        # Gemini's words for a limit of the free tier are the same; what tells a time is a limit.
        (AgentError(f"{OVER_QUOTA}.", 429), "gemini", FailureKind.BUDGET),
        (AgentError(f"{OVER_QUOTA}. Please retry in 34.5s.", 429), "gemini", FailureKind.RATE_LIMIT),
        (AgentError("no", 500), "codex", FailureKind.NETWORK),
        (AgentError("overloaded", 529), "claude-code", FailureKind.NETWORK),
        (AgentError("no", 400), "codex", FailureKind.CRASHED),
        (AgentError("rate_limit", code="rate_limit"), "claude-code", FailureKind.RATE_LIMIT),
        (AgentError("", code="error_max_turns"), "claude-code", FailureKind.ATTEMPT_LIMIT),
        (AgentError("", code="error_max_budget_usd"), "claude-code", FailureKind.ATTEMPT_LIMIT),
        (AgentError("unexpected status 403 Forbidden: no"), "codex", FailureKind.CRASHED),
        (AgentError("Claude AI usage limit reached|1772370000"), "claude-code", FailureKind.RATE_LIMIT),
        (AgentError("You've hit your usage limit."), "cursor", FailureKind.RATE_LIMIT),
        (AgentError("connect ECONNREFUSED 127.0.0.1:9"), "augment", FailureKind.NETWORK),
        (AgentError('{"type":"overloaded_error","message":"Overloaded"}'), "opencode", FailureKind.NETWORK),
        # What is told in prose only.
        (AgentError(f"{HIGH_DEMAND}, which may cause temporary errors"), "codex", FailureKind.NETWORK),
        (AgentError("Missing environment variable: `FAKE_KEY`."), "codex", FailureKind.AUTH),
        (AgentError("Could not connect to local model provider at x"), "copilot", FailureKind.NETWORK),
        (AgentError('Unknown model "fake" for provider "openai"'), "letta", FailureKind.BAD_MODEL),
        (AgentError("Unexpected server error. Check server logs"), "opencode", FailureKind.CRASHED),
        # No word is enough by itself.
        (AgentError("the author of the rate table hit a limit in network.py"), "codex", FailureKind.CRASHED),
        (AgentError("wrote tests for error 429 and 401"), "claude-code", FailureKind.CRASHED),
    ],
)
def test_what_the_error_says(error: AgentError, agent_id: str, kind: FailureKind) -> None:
    assert failure(error, agent_id).kind is kind


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Please retry in 34.5s.", 34.5),
        ("Please try again in 1m30s", 90.0),
        ("You've hit your usage limit. Try again in 3 days 5 hours 12 minutes.", 277920.0),
        ("rate limited, retry after 20 seconds", 20.0),
        ("quota will reset after 2h0m5s", 7205.0),
        ("retry in 250ms", 0.25),
        ("Claude AI usage limit reached|1772370000", 3600.0),
        ("You've hit your session limit · resets 3pm (UTC)", 3 * 3600.0),
        ("5-hour limit reached ∙ resets 11:30am (Europe/Vienna)", 22.5 * 3600),
        ("You've hit your usage limit. Try again at 1:15 PM (UTC)", 4500.0),
        # A time of day that has just passed is now.
        ("resets 12pm (UTC)", 0.0),
        ("resets 11:59am (UTC)", 0.0),
        ("resets 11:50am (UTC)", 0.0),
        ("resets 11:30am (UTC)", 23.5 * 3600),
        ("resets 3pm (Nowhere/Land)", None),
        ("resets 99pm (UTC)", None),
        ("try again later", None),
        ("Request rejected (429)", None),
    ],
)
def test_the_time_that_it_names(message: str, seconds: float | None) -> None:
    assert failure(message).retry_after == seconds


def test_a_structured_retry_after_comes_first() -> None:
    assert failure(AgentError("retry in 5s", 429, retry_after=7.0)).retry_after == 7.0


def test_an_error_on_stderr_is_found_among_the_noise() -> None:
    reader = open_reader(get_agent("pi"))
    reader.feed_stderr(b"Warning\n\x1b[91mError: \x1b[0mNo API key found for the model.\n\nSee the docs\n")
    found = classify(get_agent("pi"), ended(returncode=1), reader.finish())
    assert found is not None
    assert found.kind is FailureKind.AUTH
    assert "No API key found for the model." in found.message
    assert "docs" not in found.message


def test_a_time_of_day_is_not_yet_over_at_midnight() -> None:
    late, early = (datetime(2026, 3, day, hour, 0, tzinfo=timezone.utc) for day, hour in ((1, 23), (2, 0)))
    error = Transcript(error=AgentError("resets 12am (UTC)"))
    waits = [classify(CODEX, ended(returncode=1), error, now) for now in (late, early)]
    assert [wait.retry_after for wait in waits if wait is not None] == [3600.0, 0.0]


@pytest.mark.parametrize(
    ("now", "message", "hours"),
    [
        ((2026, 3, 2, 0, 5), "resets 11:55pm (UTC)", 0),  # yesterday's
        ((2026, 3, 2, 0, 5), "resets 11:45pm (UTC)", 23 + 40 / 60),
        ((2026, 3, 28, 22, 0), "resets 9am (Europe/Berlin)", 9),  # the night is an hour shorter there
        ((2026, 10, 24, 21, 0), "resets 9am (Europe/Berlin)", 11),  # and longer
        ((2026, 3, 28, 22, 0), "resets 9am", 9),  # where this machine is
    ],
)
def test_a_time_of_day_across_midnight_and_into_summer_and_winter(
    monkeypatch: pytest.MonkeyPatch, now: tuple[int, int, int, int, int], message: str, hours: float
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        error = Transcript(error=AgentError(message))
        found = classify(CODEX, ended(returncode=1), error, datetime(*now, tzinfo=timezone.utc))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found is not None
    assert found.retry_after == hours * 3600


@pytest.mark.parametrize(
    ("agent_id", "returncode", "kind"),
    [
        ("gemini", 53, FailureKind.ATTEMPT_LIMIT),
        ("gemini", 147, FailureKind.AUTH),  # 403
        ("gemini", 247, FailureKind.NETWORK),  # 503
        ("qwen", 53, FailureKind.ATTEMPT_LIMIT),
        ("qwen", 55, FailureKind.ATTEMPT_LIMIT),
    ],
)
def test_an_exit_status_with_a_meaning_of_its_own_outranks_all_words(
    agent_id: str, returncode: int, kind: FailureKind
) -> None:
    words = "Error: connect ECONNREFUSED 127.0.0.1:9"
    found = classify(get_agent(agent_id), ended(returncode=returncode), Transcript(stderr=words))
    assert found is not None
    assert found.kind is kind


WARNINGS = [
    "Warning: Could not fetch user MCP server configurations: HTTP error: 404 Not Found",
    "Warning: Could not fetch user MCP server configurations: HTTP error: 401 Unauthorized",
    "Warning: Could not fetch user MCP server configurations: connect ECONNREFUSED 127.0.0.1:9",
    "2026-11-22T06:23:25.831984Z  WARN mcp: fetch failed, HTTP error: 404",
    "(node:7) [DEP0040] DeprecationWarning: fetch failed",
    "Ripgrep not available: spawn /usr/lib/rg EACCES. Falling back to built-in grep.",
    "2026-11-22T06:23:25Z ERROR codex_core: failed to record rollout items: thread not found",
]


@pytest.mark.parametrize("agent_id", all_agent_ids())
@pytest.mark.parametrize("warning", WARNINGS)
def test_a_warning_on_stderr_has_no_consequence(agent_id: str, warning: str) -> None:
    for stderr in (warning, f"{warning}\nError: it broke", f"Error: it broke\n{warning}"):
        found = classify(get_agent(agent_id), ended(returncode=1), Transcript(stderr=stderr))
        assert found is not None
        assert found.kind is FailureKind.CRASHED
        assert "it broke" in found.message or stderr == warning


@pytest.mark.parametrize(
    ("agent_id", "stderr", "kind"),
    [
        ("augment", "❌ Request failed: HTTP error: 403 Forbidden\n   ⎿ Request ID: 1", FailureKind.AUTH),
        ("augment", "❌ Request failed: HTTP error: 503\n   ⎿ Request ID: 1", FailureKind.NETWORK),
        ("augment", "❌ x exceeding retry timeout of 5s: Rate limited\n   ID", FailureKind.RATE_LIMIT),
        ("augment", "fetching\nTypeError: fetch failed\n  [cause]: x\nbye", FailureKind.NETWORK),
        ("augment", "  [cause]: Error: connect ECONNREFUSED 127.0.0.1:9\n    at x", FailureKind.NETWORK),
        ("pi", 'Model "x/y" not found. Use --list-models to see them.\nbye', FailureKind.BAD_MODEL),
        ("letta", 'Unknown model "x" for provider "y"\nbye', FailureKind.BAD_MODEL),
        ("codex", "connect ECONNREFUSED 127.0.0.1:9", FailureKind.NETWORK),  # as Node has it
        # The work's own tests say such things; being the last line makes no error of them.
        ("codex", "GET /login: connect ECONNREFUSED 127.0.0.1:3000", FailureKind.CRASHED),
        ("codex", "AssertionError: expected ECONNREFUSED", FailureKind.CRASHED),
        ("codex", "FAILED tests/test_net.py - ConnectionError: fetch failed", FailureKind.CRASHED),
        ("augment", "test_login: expected 200, got HTTP error: 401 Unauthorized", FailureKind.CRASHED),
        ("augment", "Warning: no servers\n   HTTP error: 401 Unauthorized", FailureKind.CRASHED),
        ("augment", "⚠ no servers: HTTP error: 404\n⚠ connect ECONNREFUSED", FailureKind.CRASHED),
        ("pi", "404: our page for what is not found", FailureKind.CRASHED),
        # Half an hour ago it mattered, and it was over.
        ("codex", "trying again: ECONNREFUSED\nworking\nhit a snag", FailureKind.CRASHED),
        ("gemini", 'Attempt 1 failed with status 429. {"error":{"code":429}}\nsnag', FailureKind.CRASHED),
    ],
)
def test_words_on_stderr_count_where_the_line_is_the_error_itself(
    agent_id: str, stderr: str, kind: FailureKind
) -> None:
    found = classify(get_agent(agent_id), ended(returncode=1), Transcript(stderr=stderr))
    assert found is not None
    assert found.kind is kind


def test_a_long_message_is_cut() -> None:
    assert len(failure("x" * 5000).message) <= 400


@pytest.mark.parametrize(
    ("returncode", "stderr", "kind"),
    [
        (127, "/usr/bin/env: 'node': No such file or directory\n", FailureKind.NOT_INSTALLED),
        (126, "env: node: Permission denied\n", FailureKind.NOT_INSTALLED),
        (1, "env: 'node': No such file or directory\n", FailureKind.CRASHED),
        (127, "I ran a script.\nenv: 'node': No such file or directory\n", FailureKind.CRASHED),
    ],
)
def test_a_script_whose_interpreter_env_does_not_find_is_not_installed(
    returncode: int, stderr: str, kind: FailureKind
) -> None:
    found = classify(CODEX, ended(returncode=returncode), Transcript(stderr=stderr))
    assert found is not None
    assert found.kind is kind
    assert "env: " in found.message
