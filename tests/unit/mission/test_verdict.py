"""A verdict is explicit, for this attempt, and in the final text; everything else is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spec_kitty_orchestrator.host.workspace import Workspace
from spec_kitty_orchestrator.mission.prompts import Assignment, review_prompt
from spec_kitty_orchestrator.mission.verdict import Verdict, read_verdict, review_reference

REF = "review/WP01/2-9f3c1a7b"


def line(verdict: object = "approved", feedback: object = "", ref: object = REF) -> str:
    return json.dumps({"review_ref": ref, "verdict": verdict, "feedback": feedback})


APPROVED = Verdict(REF, approved=True, feedback="")
REJECTED = Verdict(REF, approved=False, feedback="mend a.py:3")

CASES = {
    "alone": (line(), APPROVED),
    "after prose": (f"I looked at it all.\n\n{line()}", APPROVED),
    "in a code fence": (f"```json\n{line()}\n```", APPROVED),
    "in backticks, after a word": (f"Verdict: `{line()}`", APPROVED),
    "over several lines": (json.dumps(json.loads(line()), indent=2), APPROVED),
    "changes requested": (line("changes_requested", " mend a.py:3 "), REJECTED),
    "the last one counts": (f"{line()}\n{line('changes_requested', 'mend a.py:3')}", REJECTED),
    "one of another reference does not replace it": (
        f"{line('changes_requested', 'mend a.py:3')}\n{line(ref='review/WP01/1-00000000')}",
        REJECTED,
    ),
    "nothing": ("", None),
    "only the word": ("approved", None),
    "only the word, in a sentence": ("VERDICT: APPROVED. Everything is fine.", None),
    "of another attempt": (line(ref="review/WP01/1-9f3c1a7b"), None),
    "of another work package": (line(ref="review/WP02/2-9f3c1a7b"), None),
    "without a reference": ('{"verdict": "approved", "feedback": ""}', None),
    "changes without feedback": (line("changes_requested", "  \n"), None),
    "another word": (line("lgtm"), None),
    "a truth value": (line(True), None),
    "feedback that is no string": (line("changes_requested", ["mend it"]), None),
    "cut off": (line()[:-3], None),
    "approval withdrawn without feedback": (f"{line()}\n{line('changes_requested', '')}", None),
    "nested without end": ('{"a":' * 50_000, None),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES.keys())
def test_only_an_explicit_verdict_for_this_attempt_counts(text: str, expected: Verdict | None) -> None:
    assert read_verdict(text, REF) == expected


def test_an_echo_of_the_review_prompt_is_no_verdict() -> None:
    git, prompt = Path("/r/.git"), Path("/r/tasks/WP01.md")
    workspace = Workspace(Path("/w"), git / "worktrees" / "w", git, "branch", "main", prompt)
    assignment = Assignment("m", "WP01", "text", workspace, Path("/bin/spec-kitty"))
    assert REF in review_prompt(assignment, REF)
    assert read_verdict(review_prompt(assignment, REF), REF) is None


@given(st.text())
def test_no_text_without_the_reference_is_ever_a_verdict(text: str) -> None:
    assert read_verdict(text, REF) is None


@given(st.text(), st.text(), st.sampled_from(["approved", "changes_requested"]), st.text(min_size=1))
def test_a_verdict_is_found_whatever_stands_around_it(
    before: str, after: str, word: str, feedback: str
) -> None:
    said = read_verdict(f"{before}\n{line(word, feedback)}\n{after}", REF)
    if word == "approved":
        assert said == Verdict(REF, approved=True, feedback=feedback.strip())
    elif feedback.strip():
        assert said == Verdict(REF, approved=False, feedback=feedback.strip())
    else:
        assert said is None


def test_a_reference_names_the_work_package_and_the_attempt() -> None:
    assert review_reference("WP01", 2, "9f3c1a7b") == REF
