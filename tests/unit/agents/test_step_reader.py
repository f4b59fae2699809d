"""A log fed in any pieces: nothing that was said is lost, nothing is said twice, and memory is bounded."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from spec_kitty_orchestrator.agents import get_agent
from spec_kitty_orchestrator.agents.spec import Output, OutputFormat
from spec_kitty_orchestrator.agents.speech import Extent, StepKind
from spec_kitty_orchestrator.agents.step_reader import MAX_DRAFT_CHARACTERS, StepReader
from spec_kitty_orchestrator.agents.steps import Step, plain

from .captures import every_case, load

CASES = every_case()
FINAL = "I created hello.txt.\n\nVERDICT: APPROVED"
SAID, CAME_BACK, TOLD = StepKind.SAID, StepKind.CAME_BACK, StepKind.TOLD
TEXT = Output(OutputFormat.TEXT)


def read(output: Output, *chunks: bytes) -> list[Step]:
    reader = StepReader(output)
    steps = [step for chunk in chunks for step in reader.feed(chunk)]
    return joined([*steps, *reader.finish()])


def joined(steps: list[Step]) -> list[Step]:
    """With the pieces of each message put together."""
    found: list[Step] = []
    for step in steps:
        last = found[-1] if found else None
        if last is not None and _sort(step) == _sort(last) == (Extent.PIECE, step.kind):
            found[-1] = evolve(last, text=last.text + step.text)
        else:
            found.append(step)
    return found


def _sort(step: Step) -> tuple[Extent, StepKind]:
    return step.extent, step.kind


def said(steps: list[Step]) -> list[str]:
    return [step.text for step in steps if step.kind is SAID]


@pytest.mark.parametrize(("agent_id", "case"), CASES)
def test_no_capture_loses_what_was_said_last_or_went_wrong(agent_id: str, case: str) -> None:
    capture = load(agent_id, case)
    log = capture.stdout + b"\n" + capture.stderr
    steps = read(capture.spec.output, log)
    transcript = capture.read()
    texts = [step.text for step in steps]
    if transcript.final_text:
        assert [text for text in said(steps) if transcript.final_text in text]
    if transcript.error is not None:
        assert [text for text in texts if transcript.error.message.strip() in text]
    if case.startswith(("ok", "resume", "stream-json")) and b"VERDICT" in log:
        assert said(steps).count(FINAL) == 1
    shown = "\n".join(texts).split("\n")
    prose = [line.rstrip() for line in plain(capture.stderr.decode()).split("\n")]
    of_documents = ("{", "}", '"', "Error: {")
    assert {line for line in prose if line and not line.strip().startswith(of_documents)} <= set(shown)


@pytest.mark.parametrize(("agent_id", "case"), CASES)
def test_every_line_is_shown_or_counted(agent_id: str, case: str) -> None:
    capture = load(agent_id, case)
    if b"\n{\n" in b"\n" + capture.stdout:
        return  # one document on many lines
    for line in filter(bytes.strip, capture.stdout.split(b"\n")):
        reader = StepReader(capture.spec.output)
        steps = [*reader.feed(line), *reader.finish()]
        assert steps or reader.left_out


@settings(max_examples=60)
@given(st.sampled_from(CASES), st.lists(st.integers(0, 30_000), max_size=6))
def test_however_a_log_is_cut_the_steps_are_the_same(case: tuple[str, str], cuts: list[int]) -> None:
    capture = load(*case)
    log = capture.stdout + capture.stderr
    begins = [0, *sorted(cuts)]
    chunks = [log[begin:end] for begin, end in zip(begins, [*begins[1:], None], strict=True)]
    assert read(capture.spec.output, *chunks) == read(capture.spec.output, log)


def test_what_the_last_event_says_again_is_left_out_and_counted() -> None:
    capture = load("claude-code", "stream-json")
    reader = StepReader(capture.spec.output)
    steps = [*reader.feed(capture.stdout), *reader.finish()]
    assert said(steps) == [FINAL]
    assert reader.left_out == 1


def test_a_last_event_that_says_something_new_is_shown() -> None:
    events = (
        {"type": "assistant", "message": {"content": [{"type": "text", "text": "one"}]}},
        {"type": "result", "is_error": False, "result": "two"},
    )
    log = "\n".join(map(json.dumps, events)).encode()
    assert said(read(get_agent("claude-code").output, log)) == ["one", "two"]


def draft(text: str) -> bytes:
    return json.dumps({"type": "assistant.message_delta", "data": {"deltaContent": text}}).encode() + b"\n"


def test_a_draft_is_shown_only_if_its_whole_never_came() -> None:
    output = get_agent("copilot").output
    whole = json.dumps({"type": "assistant.message", "data": {"content": "I think so."}}).encode()
    assert said(read(output, draft("I th"), draft("ink"))) == ["I think"]
    assert said(read(output, draft("I th"), draft("ink so."), whole)) == ["I think so."]


def test_a_tools_output_that_was_told_so_far_is_not_doubled() -> None:
    events = [
        {"type": "tool_execution_update", "partialResult": {"content": [{"type": "text", "text": text}]}}
        for text in ("a\n", "a\nb\n")
    ]
    log = "\n".join(map(json.dumps, events)).encode()
    assert read(get_agent("pi").output, log) == [Step(CAME_BACK, "a\nb")]


def test_a_draft_without_end_is_shown_before_it_takes_the_memory() -> None:
    reader = StepReader(get_agent("copilot").output)
    piece = "x" * (MAX_DRAFT_CHARACTERS // 2 + 1)
    steps = [*reader.feed(draft(piece)), *reader.feed(draft(piece))]
    assert said(steps) == [2 * piece]
    assert [*reader.finish()] == []


def test_a_document_on_many_lines_is_read_as_one() -> None:
    capture = load("letta", "ok")
    assert capture.stdout.count(b"\n") > 10
    assert read(capture.spec.output, capture.stdout) == [Step(SAID, FINAL)]
    assert read(capture.spec.output, b"{\n", capture.stdout) == [Step(TOLD, "{"), Step(SAID, FINAL)]


def test_what_only_looks_like_a_document_is_shown_line_by_line() -> None:
    lines = ["{", "  status: 401", "}", "[", " 'a'", "", "{", '  "half": 1', '{"type": "nothing"}', "{"]
    steps = read(get_agent("letta").output, "\n".join(lines).encode())
    assert [step.text for step in steps] == [line for line in lines if line]


def test_an_event_after_half_a_document_is_read_at_once() -> None:
    event = {"type": "result", "is_error": False, "result": "done"}
    reader = StepReader(get_agent("claude-code").output)
    assert said(list(reader.feed(b"{\n" + json.dumps(event).encode() + b"\n"))) == ["done"]


def test_plain_text_is_said_with_its_empty_lines() -> None:
    assert read(TEXT, b"one\n\ntwo", b" more\n\x1b[31mred\x1b[0m") == [
        Step(SAID, "one\n\ntwo more\nred\n", Extent.PIECE)
    ]


@pytest.mark.parametrize("output", [TEXT, get_agent("codex").output])
def test_a_line_that_never_ends_is_shown_in_pieces_and_takes_no_memory(output: Output) -> None:
    reader = StepReader(output, most=100_000)
    chunk = "aé".encode() * 20_000
    tracemalloc.start()
    shown = 0
    for _ in range(100):
        shown += sum(len(step.text) for step in reader.feed(chunk))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    rest = "".join(step.text for step in [*reader.feed(b"\xc3"), *reader.feed(b"\xa9\n"), *reader.finish()])
    assert shown + len(rest) == 100 * 40_000 + len("é\n")
    assert rest.endswith("é\n")
    assert peak < 3_000_000
