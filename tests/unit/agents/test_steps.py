"""What an agent did, from each line of its output: every capture, and whatever else a line may hold."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spec_kitty_orchestrator.agents import all_agent_ids, get_agent
from spec_kitty_orchestrator.agents.custom import CustomAgent, as_spec
from spec_kitty_orchestrator.agents.spec import OutputFormat, Role
from spec_kitty_orchestrator.agents.speech import Extent, StepKind
from spec_kitty_orchestrator.agents.steps import Step, last_step, plain, short, steps_of

from .captures import Capture, every_case, load

SAID, THOUGHT, RAN = StepKind.SAID, StepKind.THOUGHT, StepKind.RAN
CAME_BACK, TOLD = StepKind.CAME_BACK, StepKind.TOLD
FINAL = "I created hello.txt.\n\nVERDICT: APPROVED"
PRINTF = "printf 'hello from fake llm\\n' > hello.txt"


def outputs(capture: Capture) -> list[Step]:
    lines = capture.stdout.decode().split("\n")
    return [step for line in lines for step in steps_of(capture.spec.output, line)]


AGENTS_WORK = {
    ("claude-code", "stream-json"): [
        (TOLD, "model: claude-opus-5-5"),
        (RAN, f"Bash: {PRINTF}"),
        (CAME_BACK, "(Bash completed with no output)"),
        (SAID, FINAL),
    ],
    ("codex", "ok-ws"): [
        (TOLD, "Model metadata for `fake-model` not found. Defaulting to fallback metadata; this can degrade"
               " performance and cause issues."),
        (RAN, '/bin/bash -lc "printf \'hello from fake llm\\\\n\' > hello.txt"'),
        (CAME_BACK, ""),
        (SAID, FINAL),
    ],
    ("copilot", "ok"): [
        (TOLD, "model: fake-model"),
        (RAN, f"bash: {PRINTF}\ndescription: make hello.txt"),
        (CAME_BACK, "<shellId: 0 completed with exit code 0>"),
        (SAID, FINAL),
    ],
    ("gemini", "stream-json"): [
        (TOLD, "model: gemini-2.5-pro"),
        (RAN, f"run_shell_command: {PRINTF}"),
        (CAME_BACK, ""),
        (SAID, FINAL),
    ],
    ("qwen", "stream-json-ok"): [
        (TOLD, "model: fake-model"),
        (RAN, f"run_shell_command: {PRINTF}"),
        (CAME_BACK, f"Command: {PRINTF}\nDirectory: (root)\nOutput: (empty)\nError: (none)\n"
                    "Exit Code: 0\nSignal: (none)\nProcess Group PGID: 28568"),
        (SAID, FINAL),
    ],
    ("opencode", "ok"): [(RAN, f"bash: {PRINTF}"), (CAME_BACK, "(no output)"), (SAID, FINAL)],
    ("kilocode", "ok"): [(RAN, f"bash: {PRINTF}"), (CAME_BACK, "(no output)"), (SAID, FINAL)],
    ("pi", "ok"): [(RAN, f"bash: {PRINTF}"), (CAME_BACK, "(no output)"), (SAID, FINAL)],
    ("pi", "v0.87-ok"): [(RAN, f"bash: {PRINTF}"), (CAME_BACK, "(no output)"), (SAID, FINAL)],
    ("augment", "ok"): [(SAID, FINAL)],
}  # fmt: skip
"""All that each capture of work done says, in its order; what its last event says again left out."""


@pytest.mark.parametrize(("agent_id", "case"), AGENTS_WORK)
def test_an_agents_work_is_told_in_order(agent_id: str, case: str) -> None:
    steps = [step for step in outputs(load(agent_id, case)) if step.extent is not Extent.DRAFT]
    told = [(step.kind, step.text) for step in steps]
    if steps[-1].extent is Extent.RECAP and len(steps) > 1:
        assert told.pop() == (SAID, FINAL)
    assert told == AGENTS_WORK[agent_id, case]


def test_an_array_on_one_line_holds_the_same_steps() -> None:
    steps = outputs(load("qwen", "ok"))
    assert [step.kind for step in steps] == [TOLD, RAN, CAME_BACK, SAID, SAID]
    assert [step.extent for step in steps][-2:] == [Extent.WHOLE, Extent.RECAP]


@pytest.mark.parametrize("agent_id", sorted({agent_id for agent_id, _ in every_case()}))
def test_of_no_capture_an_event_has_to_be_shown_as_it_is(agent_id: str) -> None:
    """The tables know all of them: a raw event in a rendering is news about a CLI."""
    output = get_agent(agent_id).output
    for capture in (load(*case) for case in every_case() if case[0] == agent_id):
        for line in filter(str.strip, capture.stdout.decode().split("\n")):
            if line.startswith(('{"', "[{")) and line.endswith(("}", "]")):
                assert Step(TOLD, line) not in steps_of(output, line), capture.case


def test_words_of_the_other_stream_may_stand_around_an_event() -> None:
    event = json.dumps({"type": "result", "is_error": False, "result": "done {1}"})
    steps = steps_of(get_agent("augment").output, f"Warning: 3 left{event} bye")
    assert [(step.kind, step.text) for step in steps] == [
        (TOLD, "Warning: 3 left"),
        (SAID, "done {1}"),
        (TOLD, " bye"),
    ]


def test_an_error_of_the_agent_is_told() -> None:
    line = 'Error: {"error": {"error": {"message": "401 invalid x-api-key"}}}'
    assert steps_of(get_agent("letta").output, line)[-1] == Step(TOLD, "401 invalid x-api-key")


def test_a_tool_that_failed_says_so() -> None:
    item = {"type": "command_execution", "aggregated_output": "no such file", "exit_code": 2}
    line = json.dumps({"type": "item.completed", "item": {**item, "status": "failed"}})
    assert steps_of(get_agent("codex").output, line) == (Step(CAME_BACK, "failed (2): no such file"),)


def test_a_part_of_a_message_that_nobody_knows_is_shown_as_it_is() -> None:
    blocks = [{"type": "text", "text": "a"}, {"type": "hologram", "of": "é"}]
    line = json.dumps({"type": "assistant", "message": {"content": blocks}})
    assert steps_of(get_agent("claude-code").output, line) == (
        Step(SAID, "a"),
        Step(TOLD, '{"type": "hologram", "of": "é"}'),
    )


@pytest.mark.parametrize(
    ("event", "steps"),
    [
        ({"type": "rate_limit_event", "rate_limit_info": {"status": "allowed"}}, []),
        ({"type": "rate_limit_event", "rate_limit_info": {"status": "rejected"}}, ["its limit: rejected"]),
        ({"type": "system", "subtype": "status", "status": "compacting"}, ["compacting"]),
        ({"type": "system", "subtype": "status", "status": None}, []),
        ({"type": "tool_progress", "tool_name": "Bash"}, []),
        ({"type": "stream_event", "event": {"type": "message_start"}}, []),
    ],
)
def test_what_claude_tells_beside_its_work_is_short(event: dict[str, object], steps: list[str]) -> None:
    found = steps_of(get_agent("claude-code").output, json.dumps(event))
    assert found == tuple(Step(TOLD, text) for text in steps)


def test_pieces_that_claude_was_asked_for_are_a_draft_of_the_message() -> None:
    delta = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": " so"}}
    line = json.dumps({"type": "stream_event", "event": delta})
    assert steps_of(get_agent("claude-code").output, line) == (Step(SAID, " so", Extent.DRAFT),)


def test_what_a_tool_was_given_stands_with_its_names() -> None:
    given = {"content": "a\nb", "file_path": "x.py", "lines": [1, 2]}
    block = {"type": "tool_use", "name": "Write", "input": given}
    line = json.dumps({"type": "assistant", "message": {"content": [block]}})
    assert steps_of(get_agent("claude-code").output, line) == (
        Step(RAN, "Write: x.py\ncontent: a\nb\nlines: [1, 2]"),
    )


@pytest.mark.parametrize("agent_id", all_agent_ids())
@pytest.mark.parametrize(
    "line",
    [
        "plain words",
        '{"type": "news", "of": [1]}',
        '{"half": "an eve',
        "[1, 2]",
        "{}",
        '{"a": {"result": 1}}',
    ],
)
def test_what_cannot_be_read_is_shown_as_it_is(agent_id: str, line: str) -> None:
    assert steps_of(get_agent(agent_id).output, line) == (Step(TOLD, line),)


def test_a_custom_agent_says_its_text_or_what_its_path_leads_to() -> None:
    command = {Role.IMPLEMENTATION: ("mine",)}
    text = as_spec("mine", CustomAgent(command))
    assert steps_of(text.output, "hello") == (Step(SAID, "hello"),)
    lines = as_spec("mine", CustomAgent(command, OutputFormat.JSONL, final_text="out.text"))
    assert steps_of(lines.output, '{"out": {"text": "hello"}}') == (Step(SAID, "hello"),)
    assert steps_of(lines.output, '{"in": 1}') == (Step(TOLD, '{"in": 1}'),)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "message", "content", "item", "data", "part", "text", "input", "state", "name"]
            ),
            inner
            | st.sampled_from(["assistant", "user", "text", "tool_use", "message_end", "item.completed"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(all_agent_ids()), st.text(max_size=60) | _VALUES.map(json.dumps))
def test_whatever_a_line_holds_reading_it_never_fails(agent_id: str, line: str) -> None:
    for step in steps_of(get_agent(agent_id).output, line):
        assert plain(step.text) == step.text
        assert "\n" not in short(step)
    last_step(get_agent(agent_id).output, line.encode("utf-8", "replace"), cut=True)


def test_deep_nesting_is_no_trouble() -> None:
    line = '{"type":' + "[" * 100_000
    assert steps_of(get_agent("codex").output, line) == (Step(TOLD, line),)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after \x1b]8;;http://x\x1b\\link", "after link"),
        ("\x1bPq#0\x1b\\picture", "picture"),
        ("\x1b]52;c;unended", "]52;c;unended"),
        ("\x1bc\x1b(Bx", "x"),
        ("\x9b2Jx\x9d0;t\x9cy", "xy"),
        ("10%\r20%\r\ndone", "10%\n20%\ndone"),
        ("a\0b\x08c\x7fd\te", "abcd\te"),
        ("abc\u202etxt.exe", "abctxt.exe"),
        ("half \ud83d of a pair", "half  of a pair"),
    ],
)
def test_nothing_that_acts_on_a_terminal_is_left(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text(st.sampled_from("\x1b[]()0;m\x07\x9b\x9d\\PXab\r\n"), max_size=30))
def test_what_is_plain_holds_no_control_character(text: str) -> None:
    assert not [char for char in plain(text) if char != "\n" and not char.isprintable()]


def test_a_short_form_is_one_line() -> None:
    assert short(Step(SAID, "a\n\n b\tc")) == "a b c"
    assert short(Step(RAN, "Bash: ls\ndescription: look")) == "ran: Bash: ls description: look"
    assert short(Step(CAME_BACK, "")) == "came back: nothing"
    assert short(Step(SAID, "x" * 300), 20) == "x" * 19 + "…"


def test_the_last_step_is_found_in_the_end_of_a_log() -> None:
    capture = load("claude-code", "stream-json")
    events = capture.stdout.split(b"\n")
    output = capture.spec.output
    until = b"\n".join(events[:2])
    assert last_step(output, until) == Step(RAN, f"Bash: {PRINTF}")
    assert last_step(output, until + b"\n" + events[2][:40]) == Step(RAN, f"Bash: {PRINTF}")
    assert last_step(output, until[-len(events[1]) - 9 :], cut=True) == Step(RAN, f"Bash: {PRINTF}")
    assert last_step(output, events[1][9:], cut=True) is None
    silent = b'\n{"type":"stream_event","event":{"type":"goal_state"}}\n'
    assert last_step(output, events[1][9:] + silent, cut=True) is None
    assert last_step(output, b"no such option" + silent) == Step(TOLD, "no such option")
    assert last_step(output, b"") is None


def test_a_last_message_in_pieces_is_one_step() -> None:
    output = get_agent("gemini").output
    pieces = ["I cre", "ated ", "it."]
    events = [json.dumps({"type": "message", "role": "assistant", "content": text}) for text in pieces]
    told = '{"type": "init", "model": "m"}'
    step = last_step(output, "\n".join([told, *events, ""]).encode())
    assert step is not None
    assert (step.kind, step.text) == (SAID, "I created it.")


def test_the_last_step_of_one_document_is_what_it_says() -> None:
    capture = load("letta", "ok")
    assert last_step(capture.spec.output, capture.stdout + b"\n") == Step(SAID, FINAL, Extent.RECAP)
