"""Every capture of every agent: the right final text, figures and failure."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from spec_kitty_orchestrator.agents import all_agent_ids
from spec_kitty_orchestrator.agents.places import at
from spec_kitty_orchestrator.agents.spec import FailureKind, OutputFormat
from spec_kitty_orchestrator.agents.transcript import TranscriptReader, Usage, open_reader

from .captures import Capture, every_case, load

TEXT = "I created hello.txt.\n\nVERDICT: APPROVED"
"""What the scripted model says at the end of every run that goes well."""

AUTH, BAD_MODEL, BUDGET = FailureKind.AUTH, FailureKind.BAD_MODEL, FailureKind.BUDGET
CRASHED, NETWORK, RATE_LIMIT = FailureKind.CRASHED, FailureKind.NETWORK, FailureKind.RATE_LIMIT
TIMEOUT = FailureKind.TIMEOUT

USUAL = Usage(200, 40, None)
RESUMED = Usage(100, 20, None)

# A Usage is a success that cost so much; a FailureKind is a failure of that kind.
EXPECTED: dict[str, dict[str, Usage | FailureKind]] = {
    "claude-code": {
        "ok": Usage(200, 40, 0.0016),
        "ok-dontask": Usage(200, 40, 0.0016),
        "oldtable": Usage(200, 40, 0.0016),
        "resume-1": Usage(200, 40, 0.0016),
        "resume-2": Usage(100, 20, pytest.approx(0.0024)),
        "stream-json": Usage(200, 40, 0.0016),
        "noauth": AUTH,
        "stream-json-401": AUTH,
        "stream-json-429": RATE_LIMIT,
        "stream-json-refused": NETWORK,
        "http404-badmodel": BAD_MODEL,
        # One JSON document is all that it prints in these, and it was stopped before.
        "http401": TIMEOUT,
        "http429": TIMEOUT,
        "http429-quota": TIMEOUT,
    },
    "codex": {
        "ok": USUAL,
        "ok-ws": USUAL,
        "resume-1": USUAL,
        "resume-2": Usage(300, 60, None),
        "http401": AUTH,
        "noauth-401": AUTH,
        "http404-badmodel": BAD_MODEL,
        "http429": RATE_LIMIT,
        "http429-quota": BUDGET,
        "noauth": CRASHED,  # --full-auto, which is gone
        "noauth2": NETWORK,  # it waited for the network for as long as it was let
    },
    "copilot": {
        "ok": Usage(),
        "resume-1": Usage(),
        "resume-2": Usage(),
        "noauth": AUTH,
        "http401": AUTH,
        "http404-badmodel": BAD_MODEL,
        "http429": RATE_LIMIT,
        "http429-quota": BUDGET,
        "oldtable": CRASHED,
    },
    "gemini": {
        "stream-json": USUAL,
        "stream-json-ok": Usage(300, 60, None),
        "stream-json-401": AUTH,
        "stream-json-404": BAD_MODEL,
        "stream-json-quota": RATE_LIMIT,
        "noauth": AUTH,
        "http401": AUTH,
        "http404-badmodel": BAD_MODEL,
        "http429-quota": RATE_LIMIT,
        "http429": TIMEOUT,
        "ok-oldtable": CRASHED,  # a bare -p
        # The one-document form, which is not what it is asked for: nothing in it is a final text.
        "ok": CRASHED,
        "resume-1": CRASHED,
        "resume-2": CRASHED,
    },
    "qwen": {
        "ok": USUAL,
        "ok-oldtable": USUAL,
        "resume-1": USUAL,
        "resume-2": Usage(400, 80, None),
        "stream-json-ok": USUAL,
        "stream-json-401": AUTH,
        "stream-json-refused": NETWORK,
        "noauth": AUTH,
        "http401": AUTH,
        "http404-badmodel": BAD_MODEL,
        "http429": TIMEOUT,
        "http429-quota": TIMEOUT,
    },
    "opencode": {
        "ok": Usage(200, 40, 0.0),
        "resume-1": Usage(200, 40, 0.0),
        "resume-2": Usage(100, 20, 0.0),
        "noauth": NETWORK,  # it fell to its vendor's own provider
        "http401": AUTH,
        "http404-badmodel": BAD_MODEL,
        "http429": TIMEOUT,
        "http429-quota": TIMEOUT,
    },
    "kilocode": {
        "ok": Usage(200, 40, 0.0),
        "resume-1": Usage(200, 40, 0.0),
        "resume-2": Usage(100, 20, 0.0),
        "http401": AUTH,
        "http404-badmodel": BAD_MODEL,
        "noauth": TIMEOUT,
        "http429": TIMEOUT,
        "http429-quota": TIMEOUT,
        "oldtable": CRASHED,
    },
    "augment": {
        "ok": Usage(),
        "resume-1": Usage(),
        "resume-2": Usage(),
        "noauth": AUTH,
        "http401": AUTH,
        "http429": TIMEOUT,
        "oldtable-acp": CRASHED,  # exit status 0 and not a word
    },
    "pi": {
        "ok": Usage(200, 40, pytest.approx(0.00028)),
        "resume-1": Usage(200, 40, pytest.approx(0.00028)),
        "resume-2": Usage(100, 20, pytest.approx(0.00014)),
        "v0.87-ok": Usage(200, 40, pytest.approx(0.00028)),
        # Its exit status is 0 in all of these but noauth.
        "noauth": AUTH,
        "http401": AUTH,
        "http404-badmodel": BAD_MODEL,
        "http429": RATE_LIMIT,
        "http429-quota": BUDGET,
        "http500": NETWORK,
        "refused": NETWORK,
        "v0.87-noauth": AUTH,
        "v0.87-http401": AUTH,
    },
    "letta": {
        "ok": USUAL,
        "resume-1": USUAL,
        "resume-2": RESUMED,
        "noauth": AUTH,
        "http401": AUTH,
        "http404-badmodel": BAD_MODEL,
        "http429": RATE_LIMIT,
        "http429-quota": BUDGET,
    },
}
CASES = [(agent_id, case) for agent_id, cases in EXPECTED.items() for case in cases]
SUCCESSES = [(agent_id, case) for agent_id, case in CASES if isinstance(EXPECTED[agent_id][case], Usage)]


@pytest.mark.parametrize(("agent_id", "case"), CASES)
def test_a_capture_is_read_as_what_it_was(agent_id: str, case: str) -> None:
    capture, expected = load(agent_id, case), EXPECTED[agent_id][case]
    failure = capture.failure()
    if isinstance(expected, Usage):
        assert failure is None
        assert capture.read().final_text == TEXT
        assert capture.read().usage == expected
        assert capture.read().session_id
    else:
        assert failure is not None
        assert failure.kind is expected, failure
        assert failure.message.startswith(f"{agent_id}: ")
        assert "\n" not in failure.message


def test_every_capture_stands_in_the_table() -> None:
    assert sorted(CASES) == every_case()


def test_every_agent_that_could_be_run_has_captures() -> None:
    assert set(EXPECTED) == set(all_agent_ids()) - {"cursor"}


@pytest.mark.parametrize(("agent_id", "case"), SUCCESSES)
def test_a_success_says_itself_that_it_is_complete(agent_id: str, case: str) -> None:
    assert load(agent_id, case).read().complete


@pytest.mark.parametrize("case", ["ok", "resume-1", "resume-2"])
def test_an_object_over_many_lines_is_read_as_one_document(case: str) -> None:
    output = evolve(
        load("gemini", case).spec.output,
        format=OutputFormat.JSON,
        final=at("response"),
        input_tokens=at("stats.models.*.tokens.prompt"),
    )
    transcript = load("gemini", case).read(TranscriptReader(output))
    assert transcript.final_text == TEXT
    assert transcript.usage.input_tokens in (200, 300)


def test_an_array_is_read_as_one_document() -> None:
    capture = load("qwen", "ok")
    output = evolve(capture.spec.output, format=OutputFormat.JSON)
    noisy = evolve(capture, stdout=b"starting [1]\n" + capture.stdout + b"\nbye {}\n")
    assert noisy.read(TranscriptReader(output)) == capture.read()


_CUTS = settings(max_examples=120)


@_CUTS
@given(st.data())
def test_however_a_capture_is_cut_the_transcript_is_the_same(data: st.DataObject) -> None:
    capture = load(*data.draw(st.sampled_from(CASES)))
    reader = open_reader(capture.spec)
    for feed, whole in ((reader.feed_stdout, capture.stdout), (reader.feed_stderr, capture.stderr)):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
        for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
            feed(whole[start:end])
    assert reader.finish() == capture.read()


@_CUTS
@given(st.sampled_from(CASES), st.data())
def test_noise_between_the_lines_changes_nothing(named: tuple[str, str], data: st.DataObject) -> None:
    capture = load(*named)
    if capture.spec.output.format is not OutputFormat.JSONL:
        return
    noise = data.draw(st.lists(st.sampled_from([b"npm warn old\n", b"\xff\xfe\n", b"{not json\n", b"[1]\n"])))
    lines = capture.stdout.splitlines(keepends=True)
    for number, line in enumerate(noise):
        lines.insert(min(2 * number, len(lines)), line)
    reader = open_reader(capture.spec)
    assert evolve(capture, stdout=b"".join(lines)).read(reader) == capture.read()


def test_a_capture_cut_short_is_no_success() -> None:
    for named in SUCCESSES:
        capture: Capture = load(*named)
        half = evolve(capture, stdout=capture.stdout[: len(capture.stdout) // 2])
        assert half.failure() is not None, named
