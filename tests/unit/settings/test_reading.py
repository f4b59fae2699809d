"""A YAML text is plain values with their places, or one sentence with its place; nothing in it explodes."""

from __future__ import annotations

import math

import pytest

from spec_kitty_orchestrator.settings.reading import MOST_DEEP, MOST_VALUES, NotPlain, Written, read_yaml

NO_NUMBERS = {
    "._": "",
    "2026-13-45": "",
    "2026-01-01T25:00:00Z": "",
    "1:30": "",
    "9" * 400: "a whole number that can be worked with",
    "9" * 5000: "a whole number that can be worked with",
    "0x" + "f" * 5000: "a whole number that can be worked with",
    "!!int x": "a whole number",
    "!!int ''": "a whole number",
    "!!float x": "a number",
    "!!bool nope": "true or false",
    "!!binary aGk=": "has no meaning here",
    "!!python/object/apply:os.system [id]": "has no meaning here",
    "!!set {a}": "has no meaning here",
    "!!map x": "has no meaning here",
    '"\\U99999999"': "not YAML",
    "[" * 3000: "not YAML: nested too deeply",
    "&a [*a]": "it holds itself",
    "a: 1\na: 2": "'a' stands twice",
}
"""What is no number, and what is said of what cannot be read at all."""


def refused(text: str) -> str:
    with pytest.raises(NotPlain) as caught:
        read_yaml(text)
    line, column = caught.value.place
    return f"{line + 1}:{column + 1}: {caught.value}"


def test_each_key_and_each_item_has_its_place() -> None:
    assert read_yaml("a: [1, {b: x}]\nc:\n  - true\n") == Written(
        {"a": [1, {"b": "x"}], "c": [True]},
        {
            ("a",): (0, 0),
            ("a", 0): (0, 4),
            ("a", 1): (0, 7),
            ("a", 1, "b"): (0, 8),
            ("c",): (1, 0),
            ("c", 0): (2, 4),
        },
    )


PLAIN = {
    "12": 12, "-0x1F": -31, "0o17": 15, "010": 10, "1_000": 1000, "+4": 4, "1.5": 1.5, "-1e3": -1000.0,
    ".inf": math.inf, "-.INF": -math.inf, "true": True, "FALSE": False, "null": None, "~": None, "'1'": "1",
    "yes": "yes", "2026-01-01": "2026-01-01", "=": "=", "''": "", "!!str 3": "3", "%YAML 1.1\n---\nyes": True,
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), PLAIN.items())
def test_a_word_is_what_yaml_says_and_never_a_date(text: str, value: object) -> None:
    found = read_yaml(text).plain
    assert (type(found), found) == (type(value), value)


def test_a_number_that_is_none_is_none() -> None:
    assert math.isnan(read_yaml(".NaN").plain)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "\ufeff"])
def test_an_empty_text_says_nothing(text: str) -> None:
    assert read_yaml(text).plain is None


@pytest.mark.parametrize(("text", "why"), [case for case in NO_NUMBERS.items() if case[1]])
def test_what_cannot_be_read_has_one_sentence_and_its_place(text: str, why: str) -> None:
    said = refused(f"x: 1\ny:\n  {text}".replace("\na", "\n  a"))
    where = {"a: 1\na: 2": "4:3: ", '"\\U99999999"': "2:2: "}  # the latter: how far it could be read
    assert said.startswith(where.get(text, "3:"))
    assert why in said
    assert "\n" not in said


REFUSED = {
    "a key of the language's own": (
        "null: 1",
        "1:1: a key is a string, and 'null' is none; put it in quotes",
    ),
    "a number for a key": ("a:\n  1: x", "2:3: a key is a string, and '1' is none; put it in quotes"),
    "a list for a key": ("[a]: 1", "1:1: a key is a string, and what stands here is none; put it in quotes"),
    "a second document": (
        "a: 1\n---\nb: 2",
        "2:1: not YAML: expected a single document in the stream, but found another document",
    ),
    "a tab": (
        "a:\n\tb: 1",
        "2:1: not YAML: found character '\\t' that cannot start any token "
        "(indent with blanks, not with tabs)",
    ),
    "a NUL": ("a: 1\nb: \0", "2:4: not YAML: the character #x0000 may not stand here"),
    "a NUL by its number": (
        'a: "\\0"',
        "1:4: it holds a NUL or half a character, which no command can be given",
    ),
    "half a character": (
        '"\\ud800": 1',
        "1:1: it holds a NUL or half a character, which no command can be given",
    ),
    "an alias of nothing": ("a: *b", "1:4: not YAML: found undefined alias 'b'"),
    "a merge of no mapping": ("a: {<<: 3}", "1:9: expected a mapping, or a list of mappings, to merge"),
    "a merge of itself": ("a: &a {<<: *a}", "1:4: it holds itself, by an alias"),
    "a list in lists": ("[" * 40 + "]" * 40, "1:33: nested too deeply"),
    "a tag of nobody's": ("a: !mine 1", "1:4: the tag !mine has no meaning here"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_plain_value_is_refused_where_it_stands(text: str, said: str) -> None:
    assert refused(text) == said


def test_what_is_merged_gives_way_to_what_stands_there_and_keeps_its_place() -> None:
    written = read_yaml("x: &x {a: 1, b: 2}\ny:\n  b: 3\n  <<: [*x, {a: 9, c: 4}]\n")
    assert written.plain["y"] == {"a": 1, "b": 3, "c": 4}
    assert written.places[("y", "a")] == (0, 7)


def test_an_anchor_that_is_used_again_is_no_matter() -> None:
    assert read_yaml("a: &x 1\nb: &x 2\nc: *x").plain == {"a": 1, "b": 2, "c": 2}


LAUGHS = {
    "of lists": ("[x]", "[{}]", "*{}"),
    "of mappings": ("{x: 1}", "{{{}}}", "k{1}: *{0}"),
    "of merges": ("{x: 1}", "{{<<: [{}]}}", "*{}"),
}


@pytest.mark.parametrize(("first", "around", "each"), LAUGHS.values(), ids=LAUGHS)
def test_a_billion_laughs_are_not_laughed(first: str, around: str, each: str) -> None:
    lines = [f"a: &a {first}"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        nine = ", ".join(each.format(before, number) for number in range(9))
        lines.append(f"{name}: &{name} {around.format(nine)}")
    assert f"more than {MOST_VALUES} values" in refused("\n".join(lines))


def test_a_long_chain_of_aliases_is_too_deep() -> None:
    chain = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: *a{n - 1}}}" for n in range(1, MOST_DEEP + 2))]
    assert refused("\n".join(chain)).endswith("nested too deeply")
