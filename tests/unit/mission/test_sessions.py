"""When an agent goes on with its own session, and when it begins a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from spec_kitty_orchestrator.agents import get_agent
from spec_kitty_orchestrator.agents.agent import Agent
from spec_kitty_orchestrator.agents.failure import Failure
from spec_kitty_orchestrator.agents.spec import AgentSettings, FailureKind
from spec_kitty_orchestrator.agents.transcript import AgentError, Transcript, Usage
from spec_kitty_orchestrator.mission.sessions import KeptSession, begin, gone_on_with

K = FailureKind
CLAUDE = Agent(get_agent("claude-code"), Path("/bin/claude"))


def begun(commit: str = "") -> KeptSession:
    session = begin(CLAUDE, "/w", "Do it.", commit, "id-1")
    assert session is not None
    return session


def test_an_id_is_chosen_where_it_can_be() -> None:
    assert begun().session_id == "id-1"
    codex = begin(evolve(CLAUDE, spec=get_agent("codex")), "/w", "Do it.", "", "id-1")
    assert codex is not None
    assert codex.session_id is None
    assert begin(evolve(CLAUDE, spec=get_agent("gemini")), "/w", "Do it.", "", "id-1") is None


@pytest.mark.parametrize(
    ("change", "goes_on"),
    [
        ({}, True),
        ({"session_id": "id-2"}, True),  # of the new one, which is not begun then
        ({"told": "another text"}, True),
        ({"agent": "codex"}, False),
        ({"model": "opus"}, False),
        ({"place": "/elsewhere"}, False),
        ({"commit": "c2"}, False),
    ],
)
def test_an_implementer_goes_on_in_the_same_place_as_the_same_one(
    change: dict[str, Any], goes_on: bool
) -> None:
    found = gone_on_with(begun(), evolve(begun(), **change))
    if not goes_on:
        assert found is None
        return
    assert found is not None
    assert (found.session_id, found.resumed, found.told) == ("id-1", True, change.get("told", begun().told))


def test_a_reviewer_goes_on_with_what_it_was_told_and_nothing_else() -> None:
    assert gone_on_with(begun("c1"), begun("c1")) is not None
    assert gone_on_with(begun("c1"), begun("c2")) is None
    assert gone_on_with(begun("c1"), evolve(begun("c1"), told="more")) is None


def test_a_session_whose_id_was_never_told_is_not_gone_on_with() -> None:
    assert gone_on_with(evolve(begun(), session_id=None), begun()) is None
    assert gone_on_with(None, begun()) is None


GOES_ON_AFTER = dict.fromkeys(K, (True, True)) | {
    # What may lie in the session is tried there once more, and then in another.
    **dict.fromkeys((K.CRASHED, K.TIMEOUT, K.STALLED, K.ATTEMPT_LIMIT, K.LOG_FULL), (True, False)),
    K.SESSION_LOST: (False, False),
    K.NOT_LAUNCHED: (False, True),  # the one that was to be begun does not exist
}


@pytest.mark.parametrize("kind", list(K))
def test_what_is_left_of_a_session_after_a_failure(kind: FailureKind) -> None:
    for resumed, goes_on in zip((False, True), GOES_ON_AFTER[kind], strict=True):
        left = evolve(begun(), resumed=resumed).after(Failure(kind, "so"), Transcript())
        assert (left is not None) == goes_on
        assert left is None or left.cut_off


@pytest.mark.parametrize(
    ("error", "goes_on"),
    [
        (AgentError("bad request", 400), False),
        (AgentError("too large", 413), False),
        (AgentError("Prompt is too long"), False),
        (AgentError("this model's maximum context length is 8192 tokens"), False),
        (AgentError("odd", 600), True),
        (AgentError("segmentation fault"), True),
    ],
)
def test_a_crash_that_was_the_sessions_own_fault_is_followed_by_a_new_one(
    error: AgentError, goes_on: bool
) -> None:
    left = begun().after(Failure(K.CRASHED, "so"), Transcript(error=error))
    assert (left is not None) == goes_on
    limit = Transcript(error=AgentError("a limit", 429))
    assert begun().after(Failure(K.RATE_LIMIT, "so"), limit) is not None


def test_one_that_came_to_its_end_was_not_cut_off() -> None:
    left = evolve(begun(), cut_off=True, resumed=True, cost=Usage(1, 2, 3.0)).after(None, Transcript())
    assert left is not None
    assert not left.cut_off
    assert left.cost == Usage(1, 2, 3.0)


def test_another_model_begins_anew() -> None:
    other = begin(evolve(CLAUDE, settings=AgentSettings(model="opus")), "/w", "Do it.", "", "id-2")
    assert other is not None
    assert gone_on_with(begun(), other) is None
