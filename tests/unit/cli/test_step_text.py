"""How an agent's steps look: words at the beginning of a line, and nothing of what was said left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spec_kitty_orchestrator.agents.speech import Extent, StepKind
from spec_kitty_orchestrator.agents.steps import Step
from spec_kitty_orchestrator.cli.step_text import HEAD_LINES, INDENT, TAIL_LINES, StepText

SAID, RAN, CAME_BACK, TOLD = StepKind.SAID, StepKind.RAN, StepKind.CAME_BACK, StepKind.TOLD


def shown(*steps: Step, colours: bool = False, full: bool = False) -> str:
    text = StepText(colours=colours, full=full)
    return "".join([*map(text.of, steps), text.end()])


def test_each_step_begins_with_its_word_and_goes_on_below_itself() -> None:
    steps = (Step(SAID, "I look.\n\nNow."), Step(RAN, "Bash: ls"), Step(CAME_BACK, ""), Step(TOLD, "over"))
    assert shown(*steps) == (
        "said       I look.\n\n           Now.\nran        Bash: ls\ncame back  (nothing)\ntold       over\n"
    )


def piece(text: str, kind: StepKind = SAID) -> Step:
    return Step(kind, text, Extent.PIECE)


def test_pieces_are_one_message() -> None:
    steps = (piece("\nI lo"), piece("ok.\n"), piece("\n"), piece("Now.\n"), Step(RAN, "ls"), piece("b", TOLD))
    assert shown(*steps) == ("said       I look.\n\n           Now.\nran        ls\ntold       b\n")


@given(st.lists(st.text(st.sampled_from("ab\n"), max_size=4), max_size=8))
def test_however_a_message_is_cut_it_looks_the_same(pieces: list[str]) -> None:
    whole = "".join(pieces).strip("\n")
    assert shown(*map(piece, pieces)) == (shown(Step(SAID, whole)) if whole else "")


def test_much_of_a_tool_is_shortened_and_that_is_said() -> None:
    many = "\n".join(f"line {number}" for number in range(100))
    lines = shown(Step(CAME_BACK, many)).splitlines()
    assert len(lines) == HEAD_LINES + TAIL_LINES + 1
    assert lines[HEAD_LINES] == f"{INDENT}... 70 lines more (--full shows them)"
    assert lines[-1] == f"{INDENT}line 99"
    assert "... 3000 characters more (--full" in shown(Step(RAN, "x" * 5000))
    assert len(shown(Step(CAME_BACK, many), full=True).splitlines()) == 100
    assert "x" * 5000 in shown(Step(RAN, "x" * 5000), full=True)


def test_what_was_said_is_never_shortened() -> None:
    many = "\n".join(f"line {number}" for number in range(1000)) + "x" * 9000
    assert shown(Step(SAID, many)).replace(INDENT, "").removeprefix("said       ") == f"{many}\n"


def test_only_the_words_are_coloured_and_only_if_asked() -> None:
    assert shown(Step(RAN, "ls"), colours=True) == "\x1b[36m\x1b[1mran        \x1b[0mls\n"
