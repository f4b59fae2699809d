"""Whatever an agent prints, reading it never raises and never takes more than a bounded memory."""

from __future__ import annotations

import itertools
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spec_kitty_orchestrator.agents import get_agent
from spec_kitty_orchestrator.agents.custom import CustomAgent, as_spec
from spec_kitty_orchestrator.agents.documents import MAX_DOCUMENT_MARKS
from spec_kitty_orchestrator.agents.places import at
from spec_kitty_orchestrator.agents.spec import Output, OutputFormat, Role
from spec_kitty_orchestrator.agents.transcript import (
    MAX_DOCUMENT_BYTES,
    MAX_LINE_BYTES,
    MAX_LINE_MARKS,
    TranscriptReader,
    open_reader,
)

MIB = 1024 * 1024


def result(text: object) -> bytes:
    return json.dumps({"type": "result", "is_error": False, "result": text}).encode() + b"\n"


def lines(*pieces: bytes) -> TranscriptReader:
    reader = open_reader(get_agent("claude-code"))
    for piece in pieces:
        reader.feed_stdout(piece)
    return reader


_PIECES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([b"\n", b"{", b"}", b"[", b'"', b"\\", b'{"type":', b'"result"', b"\xc3", b"1e999"]),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text()),
        lambda inner: st.one_of(
            st.lists(inner),
            st.dictionaries(st.sampled_from(["type", "result", "error", "message", "usage", "item"]), inner),
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode() + b"\n"),
)


@given(
    st.sampled_from(["claude-code", "codex", "gemini", "opencode", "pi", "letta", "augment"]),
    st.lists(_PIECES),
    st.lists(_PIECES),
)
def test_no_bytes_raise(agent_id: str, stdout: list[bytes], stderr: list[bytes]) -> None:
    reader = open_reader(get_agent(agent_id))
    for piece in stdout:
        reader.feed_stdout(piece)
    for piece in stderr:
        reader.feed_stderr(piece)
    transcript = reader.finish()
    transcript.final_text.encode("utf-8")
    assert "\0" not in transcript.final_text


@pytest.mark.parametrize("form", list(OutputFormat))
@pytest.mark.parametrize(
    "deep", [b'{"type":"result","result":' + b"[" * 200_000, b'{"a":' * 100_000, b"[\n" * 5_000]
)
def test_deep_nesting_is_noise(form: OutputFormat, deep: bytes) -> None:
    reader = TranscriptReader(Output(form, final=at("result")))
    reader.feed_stdout(deep + b"\n" + result("done"))
    assert "done" in reader.finish().final_text


def test_a_line_of_fifty_megabytes_is_dropped_and_the_next_one_found() -> None:
    reader = lines()
    tracemalloc.start()
    try:
        reader.feed_stdout(b'{"type":"user","content":"')
        for _ in range(800):
            reader.feed_stdout(b"x" * 65536)
        reader.feed_stdout(b'"}\n' + result("done"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reader.complete
    assert reader.finish().final_text == "done"
    assert peak < 4 * MAX_LINE_BYTES


@pytest.mark.parametrize("agent_id", ["letta", "claude-code", "gemini"])
def test_endless_output_takes_bounded_memory(agent_id: str) -> None:
    reader = open_reader(get_agent(agent_id))
    tracemalloc.start()
    try:
        for _ in range(100):
            reader.feed_stdout(b"y" * MIB)
            reader.feed_stderr(b"z" * MIB)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * MAX_DOCUMENT_BYTES
    assert reader.finish().final_text == ""


def test_of_plain_text_the_end_is_kept() -> None:
    spec = as_spec("mine", CustomAgent({Role.IMPLEMENTATION: ("mine",)}))
    reader = open_reader(spec)
    for _ in range(40):
        reader.feed_stdout(b"work\n" * 20_000)
    reader.feed_stdout("fin\u00ed".encode()[:-1])
    text = reader.finish().final_text
    assert text.endswith("fin\ufffd")
    assert len(text) <= MIB


def test_a_last_line_without_its_end_counts() -> None:
    assert lines(result("done").rstrip()).finish().final_text == "done"


def test_lone_surrogates_and_nul_do_not_reach_the_final_text() -> None:
    text = lines(b'{"type":"result","is_error":false,"result":"a\\ud800b\\u0000c"}\n').finish().final_text
    assert text == "a?b\ufffdc"


def test_complete_is_told_while_the_output_is_still_open() -> None:
    reader = lines(b'{"type":"assistant"}\n', result("done")[:-1])
    assert not reader.complete
    reader.feed_stdout(b"\n")
    assert reader.complete


def test_what_follows_in_the_same_piece_does_not_take_back_that_it_is_complete() -> None:
    reader = lines(result("done") + b'{"type":"system","subtype":"status"}\n')
    assert reader.complete
    assert reader.finish().complete


def test_json_on_stderr_is_no_error_once_there_is_a_final_text() -> None:
    trouble = b'{"session_id":"x","error":{"type":"Error","message":"fetch failed","code":1}}\n'
    reader = open_reader(get_agent("gemini"))
    reader.feed_stderr(trouble)
    error = reader.finish().error
    assert error is not None
    assert error.message == "fetch failed"
    reader = open_reader(get_agent("gemini"))
    reader.feed_stdout(b'{"type":"message","role":"assistant","content":"done"}\n')
    reader.feed_stderr(trouble)
    transcript = reader.finish()
    assert (transcript.final_text, transcript.error) == ("done", None)


@pytest.mark.parametrize("times", [1.5, 3.0])
def test_of_a_document_that_is_cut_nothing_is_taken_for_the_answer(times: float) -> None:
    """What it quotes may look like a result, and with its beginning gone nothing tells what stands inside."""
    quoted = result("VERDICT: APPROVED")
    reader = open_reader(get_agent("letta"))
    reader.feed_stdout(b'{"type":"result","is_error":false,"turns":[\n' + quoted + b'],"padding":"')
    for _ in range(int(times * MAX_DOCUMENT_BYTES) // 65536):
        reader.feed_stdout(b"x" * 65536)
    reader.feed_stdout(b'","result":[\n' + quoted + b"]}\n")
    assert reader.finish().final_text == ""


def test_an_echo_of_the_prompt_is_no_final_text() -> None:
    echo = {"type": "user", "message": {"content": result("approved").decode()}}
    assert lines(json.dumps(echo).encode() + b"\n").finish().final_text == ""


def codex(*events: dict[str, object]) -> TranscriptReader:
    reader = open_reader(get_agent("codex"))
    for event in events:
        reader.feed_stdout(json.dumps(event).encode() + b"\n")
    return reader


def test_a_retry_that_something_followed_is_no_error() -> None:
    retry = {"type": "error", "message": "Reconnecting... 1/5 (unexpected status 429 Too Many Requests)"}
    assert codex(retry).finish().error is not None
    assert codex(retry, {"type": "item.started", "item": {}}).finish().error is None


def test_an_error_stands_until_there_is_a_final_text() -> None:
    failed = {"type": "turn.failed", "error": {"message": "unexpected status 401 Unauthorized"}}
    said = {"type": "item.completed", "item": {"type": "agent_message", "text": "done"}}
    assert codex(failed, {"type": "turn.started"}).finish().error is not None
    assert codex(failed, said).finish().error is None
    assert codex(said, failed).finish().error is not None


def test_pieces_of_a_final_text_are_joined_until_something_else_comes() -> None:
    def say(text: str) -> bytes:
        return json.dumps({"type": "message", "role": "assistant", "content": text}).encode() + b"\n"

    reader = open_reader(get_agent("gemini"))
    reader.feed_stdout(say("First I look.") + b'{"type":"tool_use"}\n' + say("All ") + say("done."))
    reader.feed_stdout(b'{"type":"result","status":"success"}\n')
    assert reader.finish().final_text == "All done."


LINE = st.one_of(
    st.sampled_from([b"", b" ", b"\r", b"\t\x0b\x0c", b"noise", b"x{", b"{", b"[]", b"{}", b"]", b'{"a":1}']),
    st.text(max_size=5).map(lambda text: result(text).rstrip()),
    st.text(max_size=5).map(lambda text: b" \r\t" + result(text).rstrip() + b" \r"),
    st.text(max_size=5).map(lambda text: b"[" + result(text).rstrip() + b"]"),
)


@given(st.lists(LINE, max_size=12), st.lists(st.integers(0, 400), max_size=6))
def test_however_the_output_is_cut_every_event_is_read(every: list[bytes], cuts: list[int]) -> None:
    """Most lines are passed over without a look at each; none that may be an event is among them."""
    output = b"\n".join(every)
    places = sorted({0, *cuts, len(output)})
    pieces = [output[start:end] for start, end in itertools.pairwise(places)]
    events = [
        json.loads(line) for line in every if line.strip().startswith((b"{", b"[")) and b"result" in line
    ]
    said = [event[0]["result"] if isinstance(event, list) else event["result"] for event in events]
    told = [text for text in said if text]
    found = lines(*pieces).finish()
    assert found.complete == bool(said)
    assert found.final_text == (told[-1].replace("\0", "\ufffd").strip() if told else "")


def test_a_line_of_very_many_values_is_noise_and_the_next_one_is_found() -> None:
    """To read it would hold up everything else; a text of that size is read."""
    quoted = {"type": "result", "is_error": False, "result": "approved"}
    many = json.dumps({**quoted, "values": [0] * MAX_LINE_MARKS}).encode() + b"\n"
    assert len(many) < MAX_LINE_BYTES
    assert lines(many).finish().final_text == ""
    assert lines(many, result("done")).finish().final_text == "done"
    few = json.dumps({**quoted, "values": [0] * (MAX_LINE_MARKS - 10)}).encode() + b"\n"
    assert lines(few).finish().final_text == "approved"
    assert lines(result("x" * (MAX_LINE_BYTES - 100))).finish().final_text


def test_a_document_of_very_many_values_is_noise() -> None:
    reader = open_reader(get_agent("letta"))
    values = [0] * MAX_DOCUMENT_MARKS
    document = {"type": "result", "is_error": False, "result": "approved", "values": values}
    reader.feed_stdout(json.dumps(document).encode())
    assert reader.finish().final_text == ""


def test_when_too_much_of_it_is_no_document_nothing_is_taken_for_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each start may be the document: only so much is read again and again, the rest is not guessed at."""
    starts = b'[ "' + b"x" * 20_000 + b'",\n'
    reader = open_reader(get_agent("letta"))
    reader.feed_stdout(starts * 300 + result("done"))
    assert reader.finish().final_text == ""
    reader = open_reader(get_agent("letta"))
    reader.feed_stdout(starts * 3 + result("done"))
    assert reader.finish().final_text == "done"


def test_how_much_is_left_to_read_at_the_end_is_known() -> None:
    reader = open_reader(get_agent("letta"))
    reader.feed_stdout(b"x" * 1000)
    reader.feed_stderr(b"y" * 100)
    assert reader.unread_bytes == 1100
    reader.feed_stdout(b"x" * (MAX_DOCUMENT_BYTES + 1000))
    assert reader.unread_bytes == MAX_DOCUMENT_BYTES + 100
