"""A verdict is explicit, for this attempt, and the last thing in the final text; everything else is none."""

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
REJECT = "changes_requested"


def line(verdict: object = "approved", feedback: object = "", ref: object = REF) -> str:
    return json.dumps({"review_ref": ref, "verdict": verdict, "feedback": feedback})


YES, NO = line(), line(REJECT, "mend a.py:3")
APPROVED = Verdict(REF, approved=True, feedback="")
REJECTED = Verdict(REF, approved=False, feedback="mend a.py:3")

CASES = {
    "alone": (YES, APPROVED),
    "after prose": (f"I looked at it all.\n\n{YES}", APPROVED),
    "in a code fence": (f"```json\n{YES}\n```", APPROVED),
    "in another code fence": (f"~~~~\n{YES}\n~~~~\n", APPROVED),
    "in backticks": (f"It is good.\n`{YES}`", APPROVED),
    "indented, before empty lines": (f"It is good.\r\n  {YES} \r\n\n ", APPROVED),
    "over several lines": (json.dumps(json.loads(YES), indent=2), APPROVED),
    "over several lines, in a code fence": (f"```\n{json.dumps(json.loads(NO), indent=2)}\n```", REJECTED),
    "changes requested": (line(REJECT, " mend a.py:3 "), REJECTED),
    "a raw newline in the feedback": (
        line(REJECT, "mend\n{\na.py:3").replace("\\n", "\n"),
        Verdict(REF, approved=False, feedback="mend\n{\na.py:3"),
    ),
    "feedback that ends with a brace of its own line": (
        line(REJECT, "put here:\n{").replace("\\n", "\n"),
        Verdict(REF, approved=False, feedback="put here:\n{"),
    ),
    "no feedback, approved": (YES.replace(', "feedback": ""', ""), APPROVED),
    "no feedback as null, approved": (line("approved", None), APPROVED),
    "given before in the same words": (f"{YES}\n\nSo it is:\n{YES}", APPROVED),
    "given before in other words": (f"My answer will be {line(REJECT, 'no')}.\n{NO}", REJECTED),
    "the reference named in prose": (f"# Review `{REF}`\n\nI read \"a.py\": good.\n{YES}", APPROVED),
    "the other word in prose, the reference not": (f"What {REJECT} said was done.\n{YES}", APPROVED),
    "an earlier review quoted": (f"{line(REJECT, 'x', 'review/WP01/1-0f0f0f0f')}: done.\n{YES}", APPROVED),
    "of a slash that is escaped": (YES.replace("/", "\\/"), APPROVED),
    "a rejection that quotes the reference": (
        line(REJECT, f"answer {YES}?"),
        Verdict(REF, approved=False, feedback=f"answer {YES}?"),
    ),
    # No verdict at all.
    "nothing": ("", None),
    "only the word": ("approved", None),
    "only the word, in a sentence": ("VERDICT: APPROVED. Everything is fine.", None),
    "of another attempt": (line(ref="review/WP01/1-9f3c1a7b"), None),
    "of another work package": (line(ref="review/WP02/2-9f3c1a7b"), None),
    "without a reference": ('{"verdict": "approved", "feedback": ""}', None),
    "changes without feedback": (line(REJECT, "  \n"), None),
    "another word": (line("lgtm"), None),
    "a truth value": (line(True), None),
    "feedback that is no string": (line(REJECT, ["mend it"]), None),
    "a key of its own": (YES.replace("{", '{"but": "not yet", '), None),
    "cut off": (YES[:-3], None),
    "nested without end": ('{"a":' * 50_000, None),
    "an object in another": (f'{{"answer": {YES}}}', None),
    "two objects on the last line": (f"{YES} {YES}", None),
    # Not at the end, or not at the start of a line.
    "prose after it": (f"{YES}\nonce line 3 is mended.", None),
    "prose after it on its line": (f"{YES} once line 3 is mended.", None),
    "prose before it on its line": (f"I can NOT answer {YES}", None),
    "not, because": (f"I can NOT answer {YES} because line 3 is wrong.", None),
    "in backticks, after a word": (f"Not yet `{YES}`", None),
    "quoted": (f"> {YES}", None),
    "one of another reference after it": (f"{NO}\n{line(ref='review/WP01/1-00000000')}", None),
    # Both.
    "approved, then rejected": (f"{YES}\n{NO}", None),
    "rejected, then approved": (f"{NO}\n{YES}", None),
    "rejected, then what might be": (f"{NO}\nOnce that is mended I would answer {YES}", None),
    "rejected, then what might be, on its own line": (f"{NO}\nOnce that is mended:\n{YES}", None),
    "what might be, then rejected": (f"I would answer {YES}, but:\n{NO}", None),
    "approval withdrawn without feedback": (f"{YES}\n{line(REJECT, '')}", None),
    "an example, then a rejection cut off": (f"{YES}\n{NO[:-1]}", None),
    "an example, then a rejection in single quotes": (f"{YES}\n{json.loads(NO)}", None),
    "an example, then a rejection in smart quotes": (YES + "\n" + NO.replace('"', "\u201d"), None),
    "an example, then a rejection with a comma too many": (f"{YES}\n{NO[:-1]},}}", None),
    "an example, then a rejection with quotes inside": (YES + "\n" + NO.replace("a.py", 'the "a"'), None),
    "a rejection in YAML, then approved": (f"review_ref: {REF}\nverdict: {REJECT}\n\n{YES}", None),
    "the reference and the other word in prose": (f"{REF} is {REJECT}.\n{YES}", None),
    "an unreadable word": (f"{line('rejected', 'x')}\n{YES}", None),
    "a key twice": (YES.replace("{", f'{{"verdict": "{REJECT}", '), None),
    "a key twice before": (YES.replace("{", '{"verdict": "rejected", ') + "\n" + YES, None),
    "a rejection inside the feedback": (line("approved", f"I would say {NO}"), None),
    "a rejection that is escaped": (f"{json.dumps(NO)}\n{YES}", None),
    "a rejection with its slashes escaped": (f"{NO.replace('/', chr(92) + '/')}\n{YES}", None),
    "a rejection with its underscores escaped": (f"{REF}: {REJECT.replace('_', chr(92) + '_')}\n{YES}", None),
    "a rejection in code points": (f"{NO.replace('/', chr(92) + 'u002f')}\n{YES}", None),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES.keys())
def test_only_an_explicit_verdict_for_this_attempt_counts(text: str, expected: Verdict | None) -> None:
    assert read_verdict(text, REF) == expected


def _prompt() -> str:
    git, prompt = Path("/r/.git"), Path("/r/tasks/WP01.md")
    workspace = Workspace(Path("/w"), git / "worktrees" / "w", git, "branch", "main", prompt)
    return review_prompt(Assignment("m", "WP01", "text", workspace, Path("/bin/spec-kitty")), REF)


def test_an_echo_of_the_review_prompt_is_no_verdict() -> None:
    assert REF in _prompt()
    assert read_verdict(_prompt(), REF) is None


def test_whoever_quotes_the_example_of_the_prompt_may_still_give_a_verdict() -> None:
    (example,) = (each for each in _prompt().splitlines() if '{"review_ref"' in each)
    (told,) = (each for each in _prompt().splitlines() if each.startswith("Review reference: "))
    prose = "I read the whole change, and what it is to do, and ran what may be run. As the rules want it,"
    for verdict in (YES, NO):
        assert read_verdict(f"{told}\n\n{prose}\n{example}\n\n{verdict}", REF) is not None


@given(st.text())
def test_no_text_without_the_reference_is_ever_a_verdict(text: str) -> None:
    assert read_verdict(text, REF) is None


# How an object may be written. `{}` of a wrapping stands for it.

WRAPPED = st.sampled_from(["{}", "`{}`", "```json\n{}\n```", "```\n{}\n```\n", "  {}\n\n", "{}\r\n"])
FEEDBACK = st.text() | st.lists(st.sampled_from(["\n", "{", "}", '"', "\\", "`", "mend a.py:3", "```"])).map(
    "".join
)


def _raw(said: dict[str, str]) -> str:
    """As JSON, but for control characters, which stay as they are."""
    pairs = ((key, said[key].replace("\\", "\\\\").replace('"', '\\"')) for key in said)
    return "{" + ", ".join(f'"{key}": "{value}"' for key, value in pairs) + "}"


def _indented(said: dict[str, str]) -> str:
    return json.dumps(said, indent=2)


@given(
    before=FEEDBACK,
    word=st.sampled_from(["approved", REJECT]),
    feedback=FEEDBACK,
    order=st.permutations(["review_ref", "verdict", "feedback"]),
    write=st.sampled_from([json.dumps, _indented, _raw]),
    wrapped=WRAPPED,
)
def test_a_verdict_at_the_end_is_read_whatever_stands_before_it(
    before: str, word: str, feedback: str, order: list[str], write, wrapped: str
) -> None:
    said = {"review_ref": REF, "verdict": word, "feedback": feedback}
    written = wrapped.replace("{}", write({key: said[key] for key in order}))
    expected = Verdict(REF, approved=word == "approved", feedback=feedback.strip())
    readable = expected.approved or expected.feedback
    assert read_verdict(f"{before}\n{written}", REF) == (expected if readable else None)


# Rejections as no reader of JSON could read them.

STYLES = {
    "JSON": json.dumps,
    "indented": _indented,
    "raw newlines": _raw,
    "repr": repr,
    "smart quotes": lambda said: json.dumps(said).replace('"', "\u201d"),
    "in a string": lambda said: json.dumps(json.dumps(said)),
    "slashes escaped": lambda said: json.dumps(said).replace("/", "\\/"),
    "no quotes": lambda said: json.dumps(said).replace('"', ""),
    "trailing comma": lambda said: json.dumps(said)[:-1] + ",}",
    "unescaped quotes": lambda said: json.dumps({**said, "feedback": "$"}).replace("$", 'a "b" c'),
}


@st.composite
def rejections(draw: st.DrawFn) -> str:
    """An object with the reference and the word of rejection, then damaged in up to two places, or cut off
    on one side and damaged in one. The reference stays whole: without it nothing is said of it."""
    said = {"review_ref": REF, "verdict": REJECT, "feedback": draw(FEEDBACK) or "mend it"}
    written = STYLES[draw(st.sampled_from(sorted(STYLES)))](
        {key: said[key] for key in draw(st.permutations(sorted(said)))}
    )
    written = written.replace("\\/", "/") if draw(st.booleans()) else written
    shown = REF if REF in written else REF.replace("/", "\\/")
    left, _, right = written.partition(shown)
    cut = draw(st.sampled_from(["", "", "head", "tail"]))
    if cut == "tail":
        right = right[: draw(st.integers(0, len(right)))]
    if cut == "head":
        left = left[draw(st.integers(0, min(len(left), written.index(REJECT)))) :]
    for _ in range(draw(st.integers(0, 1 if cut else 2))):
        side = draw(st.sampled_from(["left", "right"]))
        damaged = _damaged(draw, left if side == "left" else right)
        left, right = (damaged, right) if side == "left" else (left, damaged)
    return left + shown + right


def _damaged(draw: st.DrawFn, text: str) -> str:
    at = draw(st.integers(0, len(text)))
    return draw(
        st.sampled_from([
            text[:at] + text[at + 1 :],
            text[:at] + text[at : at + 1] * 2 + text[at + 1 :],
            text[:at] + draw(st.sampled_from([" ", "\n", "{", "}", '"', "'", "\\", ",", "x"])) + text[at:],
        ])
    )  # fmt: skip


PROSE = st.sampled_from(
    ["", "\n", " ", "\n\nOnce that is mended I would answer:\n", " I can NOT answer ", "\n```\n"]
)


@given(rejections(), PROSE, PROSE, PROSE, WRAPPED, st.sampled_from(["before", "after", "around", "inside"]))
def test_no_text_that_holds_a_rejection_is_ever_read_as_approved(
    rejection: str, first: str, second: str, third: str, wrapped: str, where: str
) -> None:
    """Whatever its quoting, its order and its damage, and wherever an approval stands."""
    approval = wrapped.replace("{}", line("approved", rejection if where == "inside" else ""))
    parts = {
        "before": [rejection, second, approval],
        "after": [approval, second, rejection],
        "around": [approval, second, rejection, third, approval],
        "inside": [approval],
    }[where]
    said = read_verdict(first + "".join(parts), REF)
    assert said is None or not said.approved


def test_eight_megabytes_of_anything_are_read_to_their_end() -> None:
    """In time that grows with the length alone: what is quadratic would not end here."""
    size = 8 * 2**20
    for unit in ("{", "{\n", '{"a":\n', "\n", " ", "\\", "`", f"{REF} ", f"{YES}\n"):
        text = unit * (size // len(unit))
        assert read_verdict(f"{text}\n{YES}", REF) == APPROVED, unit


def test_a_reference_names_the_work_package_and_the_attempt() -> None:
    assert review_reference("WP01", 2, "9f3c1a7b") == REF
