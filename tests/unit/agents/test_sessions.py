"""An agent's own session: its command lines, the one that was lost, and what a resumed run really cost."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from spec_kitty_orchestrator.agents import all_agent_ids, get_agent
from spec_kitty_orchestrator.agents.agent import Agent
from spec_kitty_orchestrator.agents.continued import lost_session, newest, own_usage
from spec_kitty_orchestrator.agents.sessions import InSession, Sessions
from spec_kitty_orchestrator.agents.spec import AgentSettings, FailureKind, Role
from spec_kitty_orchestrator.agents.transcript import AgentError, Transcript, TranscriptReader, Usage
from spec_kitty_orchestrator.processes.ending import EndedBy, Ending
from spec_kitty_orchestrator.run.plan import SOME_WORKSPACE

from .captures import load

ID = "5f0c2c1e-8d0f-4b5e-9a59-0d9a3b7c7a11"
OTHER = "01a201fc-4609-7ff3-8ac5-9c19562305c6"
NEW, ON = InSession(ID), InSession(ID, resumed=True)
CHOSEN = {"claude-code", "copilot", "qwen", "pi"}
"""Those whose ids are ours; the others tell theirs."""


def arguments(agent_id: str, role: Role, session: InSession | None, *extra: str) -> list[str]:
    agent = Agent(get_agent(agent_id), Path("/bin/agent"), AgentSettings(extra_args=extra))
    return list(agent.command_line(role, SOME_WORKSPACE, Path("ATTEMPT"), session).argv[1:])


BEGUN = {
    "claude-code": f"--session-id {ID}",
    "copilot": f"--session-id {ID}",
    "qwen": f"--session-id {ID}",
    "pi": f"--session-id {ID}",
    "codex": "",
    "opencode": "",
    "kilocode": "",
    "augment": "",
    "letta": "",
}
GONE_ON = {
    "claude-code": f"--resume {ID}",
    "codex": f"resume {ID}",
    "copilot": f"--resume={ID}",
    "qwen": f"--resume {ID}",
    "opencode": f"--session {ID}",
    "kilocode": f"--session {ID}",
    "augment": f"--resume {ID}",
    "pi": f"--session {ID}",
    "letta": f"--conversation {ID}",
}
GOES_WITHOUT = {"pi": ("--no-session",)}
GOES_ON_WITHOUT = {"pi": ("--no-session",), "letta": ("--new-agent",)}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("agent_id", sorted(GONE_ON))
def test_a_session_is_begun_and_gone_on_with(agent_id: str, role: Role) -> None:
    plain = arguments(agent_id, role, None)
    last = [plain.pop()] if plain[-1] == "-" else []

    def expected(session: str, without: tuple[str, ...]) -> list[str]:
        return [*(arg for arg in plain if arg not in without), "--mine", *shlex.split(session), *last]

    assert arguments(agent_id, role, NEW, "--mine") == expected(
        BEGUN[agent_id], GOES_WITHOUT.get(agent_id, ())
    )
    assert arguments(agent_id, role, ON, "--mine") == expected(
        GONE_ON[agent_id], GOES_ON_WITHOUT.get(agent_id, ())
    )
    assert not set(GOES_ON_WITHOUT.get(agent_id, ())) - set(plain), "what is left out was there"


def test_nobody_else_has_sessions() -> None:
    assert {each for each in all_agent_ids() if get_agent(each).sessions is None} == {"gemini", "cursor"}
    assert {each for each in GONE_ON if BEGUN[each]} == CHOSEN


def sessions_of(agent_id: str) -> Sessions:
    sessions = get_agent(agent_id).sessions
    assert sessions is not None
    return sessions


# A session that is not there: by what each CLI prints, as measured.

NOT_KNOWN = [
    ("claude-code", 1, f"No conversation found with session ID: {ID}"),
    ("codex", 1, f"Error: thread/resume failed: no rollout found for thread id {ID}"),
    ("codex", 1, f"Error: thread/resume failed: failed to read thread: rollout of {ID} is empty"),
    ("copilot", 1, f"Error: No session, task, or name matched '{ID}'"),
    ("qwen", 1, f"No saved session found with ID {ID}."),
    ("opencode", 1, "Error: \x1b[31mSession not found\x1b[0m"),
    ("kilocode", 1, "Error: \x1b[31mSession not found\x1b[0m"),
    ("augment", 1, f"Failed to resume session: No session found matching {ID}"),
    ("augment", 1, "Failed to read session"),
    ("pi", 1, f"No session found matching '{ID}'"),
    ("pi", 0, "Session found in different project: /elsewhere\nAborted."),
    ("letta", 1, f"Error: Conversation {ID} not found"),
]


@pytest.mark.parametrize(("agent_id", "returncode", "stderr"), NOT_KNOWN)
def test_an_id_that_is_not_known_is_no_failure_of_the_work(
    agent_id: str, returncode: int, stderr: str
) -> None:
    agent = Agent(get_agent(agent_id), Path("/bin/agent"))
    reader = agent.open_reader()
    reader.feed_stderr(stderr.encode())
    ending = Ending(returncode, None, EndedBy.EXITED, (), 0.3)
    transcript = reader.finish()
    failure = agent.judge(ending, transcript, ON)
    assert failure is not None
    assert failure.kind is FailureKind.SESSION_LOST
    for other in (None, NEW):
        begun = agent.judge(ending, transcript, other)
        assert begun is not None
        assert begun.kind is not FailureKind.SESSION_LOST


def exited(returncode: int | None = 0, by: EndedBy = EndedBy.EXITED) -> Ending:
    return Ending(returncode, 9 if returncode is None else None, by, (), 1.0)


SAID = Transcript("Done.", session_id=ID)
ERROR = AgentError("No conversation found with session ID: 1")
LOST = {
    "it was in that session": (SAID, exited(), False),
    "another one": (evolve(SAID, session_id=OTHER), exited(), True),
    "another one, and it had to be ended": (
        evolve(SAID, session_id=OTHER),
        exited(None, EndedBy.COMPLETED),
        True,
    ),
    "it told none": (evolve(SAID, session_id=None), exited(), True),
    "nothing at all": (Transcript(), exited(), True),
    "killed before it told any": (Transcript(), exited(None), False),
    "stopped at its limit before it told any": (Transcript(), exited(None, EndedBy.TIMEOUT), False),
    "stopped for its cost before it told any": (Transcript(), exited(0, EndedBy.TOO_DEAR), False),
    "an error that echoes another id": (
        Transcript(session_id=OTHER, error=AgentError("limit")),
        exited(1),
        False,
    ),
    "the error's own words": (Transcript(session_id=ID, error=ERROR), exited(1), True),
    "the words in a work that was done": (evolve(SAID, stderr=ERROR.message), exited(), False),
}


@pytest.mark.parametrize(("transcript", "ending", "lost"), LOST.values(), ids=LOST)
def test_whether_it_was_the_session_that_was_asked_for(
    transcript: Transcript, ending: Ending, lost: bool
) -> None:
    found = lost_session(sessions_of("claude-code"), ON, ending, transcript)
    assert (found is not None) == lost
    assert lost_session(sessions_of("claude-code"), NEW, ending, transcript) is None


# What the real CLIs printed for a run and for its continuation: 200 and 40 tokens, then 100 and 20.

OWN = {
    "claude-code": (Usage(200, 40, 0.0016), Usage(100, 20, pytest.approx(0.0008))),
    "codex": (Usage(200, 40), Usage(100, 20)),
    # Of qwen's second 200 a hundred are what its memory extractor used after the first run.
    "qwen": (Usage(200, 40), Usage(200, 40)),
    "opencode": (Usage(200, 40, 0.0), Usage(100, 20, 0.0)),
    "kilocode": (Usage(200, 40, 0.0), Usage(100, 20, 0.0)),
    "pi": (Usage(200, 40, pytest.approx(0.00028)), Usage(100, 20, pytest.approx(0.00014))),
    "letta": (Usage(200, 40), Usage(100, 20)),
    "copilot": (Usage(), Usage()),
    "augment": (Usage(), Usage()),
}


@pytest.mark.parametrize("agent_id", sorted(OWN))
def test_each_run_of_a_session_costs_what_it_cost_itself(agent_id: str) -> None:
    first, second = load(agent_id, "resume-1").read(), load(agent_id, "resume-2").read()
    assert first.session_id == second.session_id is not None
    sessions, expected = sessions_of(agent_id), OWN[agent_id]
    assert own_usage(sessions, first.usage, Usage()) == expected[0]
    assert own_usage(sessions, second.usage, first.usage) == expected[1]


def test_what_a_killed_run_spent_is_told_with_the_next() -> None:
    told = newest(Usage(), Usage(200, 40))  # the killed one said nothing
    assert told == Usage(200, 40)
    assert own_usage(sessions_of("codex"), Usage(900, 90), told) == Usage(700, 50)


FIGURES = st.none() | st.integers(0, 10**9)
USAGES = st.builds(Usage, FIGURES, FIGURES, st.none() | st.floats(0, 1e6))


@given(st.sampled_from(sorted(GONE_ON)), st.lists(USAGES, max_size=5))
def test_no_run_costs_less_than_nothing_and_the_sum_is_what_was_told(
    agent_id: str, told: list[Usage]
) -> None:
    sessions, before, total = sessions_of(agent_id), Usage(), 0
    for each in told:
        own = own_usage(sessions, each, before)
        assert all((figure or 0) >= 0 for figure in (own.input_tokens, own.output_tokens, own.cost_usd))
        before, total = newest(each, before), total + (own.input_tokens or 0)
    told_inputs = [each.input_tokens or 0 for each in told]
    if "input_tokens" not in sessions.counts_whole or told_inputs == sorted(told_inputs):
        whole = max(told_inputs, default=0)
        assert total == (whole if "input_tokens" in sessions.counts_whole else sum(told_inputs))


@pytest.mark.parametrize("agent_id", ["codex", "opencode", "kilocode", "pi"])
def test_an_id_is_told_once_and_with_the_first_line(agent_id: str) -> None:
    told: list[str] = []
    spec, capture = get_agent(agent_id), load(agent_id, "resume-1")
    first, _, rest = capture.stdout.partition(b"\n")
    reader = TranscriptReader(spec.output, told.append)
    reader.feed_stdout(first[:20])
    assert told == []
    reader.feed_stdout(first[20:] + b"\n")
    assert told == [capture.read().session_id]
    reader.feed_stdout(rest)
    reader.finish()
    assert len(told) == 1
