"""From how an attempt ended to why."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from spec_kitty_orchestrator.agents import get_agent
from spec_kitty_orchestrator.agents.failure import Failure, classify
from spec_kitty_orchestrator.agents.spec import FailureKind
from spec_kitty_orchestrator.agents.transcript import AgentError, Transcript, open_reader
from spec_kitty_orchestrator.processes.ending import EndedBy, Ending

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
CODEX = get_agent("codex")
DONE = Transcript("done", complete=True)


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
        (AgentError("no", 500), "codex", FailureKind.NETWORK),
        (AgentError("overloaded", 529), "claude-code", FailureKind.NETWORK),
        (AgentError("no", 400), "codex", FailureKind.CRASHED),
        (AgentError("rate_limit", code="rate_limit"), "claude-code", FailureKind.RATE_LIMIT),
        (AgentError("", code="error_max_turns"), "claude-code", FailureKind.BUDGET),
        (AgentError("", code="error_max_budget_usd"), "claude-code", FailureKind.BUDGET),
        (AgentError("Claude AI usage limit reached|1772370000"), "claude-code", FailureKind.RATE_LIMIT),
        (AgentError("You've hit your usage limit."), "cursor", FailureKind.RATE_LIMIT),
        (AgentError("connect ECONNREFUSED 127.0.0.1:9"), "augment", FailureKind.NETWORK),
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


def test_an_exit_status_with_a_meaning_of_its_own() -> None:
    found = classify(get_agent("gemini"), ended(returncode=53), Transcript(stderr="?"))
    assert found is not None
    assert found.kind is FailureKind.BUDGET


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
