"""What is said beside a problem with a setting, for whoever has to mend it."""

from __future__ import annotations

from pathlib import Path

import pytest

from spec_kitty_orchestrator.errors import ConfigError
from spec_kitty_orchestrator.settings.inline import as_yaml
from spec_kitty_orchestrator.settings.loading import FILE_NAME, load_settings
from spec_kitty_orchestrator.settings.reading import read_yaml
from spec_kitty_orchestrator.settings.values import Flags

HINTS = {
    "max-concurrent-wps: 3": "unknown key; did you mean 'max_concurrent_wps'?",
    "implementation: [codex]": "unknown key; it stands in 'agents'",
    "Max-Retries: 3": "unknown key; it stands in 'agents'",
    "max_retries: 3": "unknown key; it stands in 'agents'",
    "agents: {push: true}": "unknown key; it stands in 'merge'",
    "agents: {checks: [[a]]}": "unknown key; it stands at the top",
    "agents: {settings: {codex: {modle: x}}}": "unknown key; did you mean 'model'?",
    "agents: {custom: {mine: {command: {review: [a]}, outptu: text}}}": "unknown key; did you mean 'output'?",
    "nothing_like_it: 1": "nothing_like_it: unknown key",
    "agents: {review: codex}": "a string ('codex'); for example review: [codex, claude-code]",
    "checks: pytest -q": "a string ('pytest -q'); for example checks: [[pytest, -q]]",
    "checks: [pytest -q]": "checks[0]: expected a list, got a string ('pytest -q'); for example checks:",
    "agents: {escalate_after_rejections: 2}": "for example escalate_after_rejections: {after: 2, to: [claude",
    "approval_lane: Done": "approval_lane: expected one of done, approved, got a string ('Done')",
    "merge: {strategy: fast}": "merge.strategy: expected one of merge, squash, rebase",
    "agents:\n\tmax_retries: 1": "indent with blanks, not with tabs",
}


@pytest.mark.parametrize(("text", "hint"), HINTS.items(), ids=HINTS)
def test_a_problem_is_told_with_what_was_meant(tmp_path: Path, text: str, hint: str) -> None:
    (tmp_path / FILE_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path, {}, Flags())
    (line,) = caught.value.message.splitlines()
    assert hint in line
    assert line.endswith(hint) or "for example" in hint or "checks[0]" in hint or "tabs" in hint


WRITTEN = [
    "plain",
    "two words",
    "-q",
    "--write",
    "-",
    "--",
    ".my-agent/",
    "~/.npm",
    "~",
    ".inf",
    "-.INF",
    "no",
    "null",
    "7",
    "1e3",
    "a: b",
    "a:",
    "a #b",
    "[a",
    "a, b",
    "x=y",
    "claude-code:opus",
    "",
    " ",
    "ümlaut",
    "2026-01-01",
    True,
    False,
    None,
    7,
    0.5,
    3600.0,
    ["a", ["-b", "c: d"]],
    {"a": {"b": ["c"]}, "d": None},
]


@pytest.mark.parametrize("value", WRITTEN, ids=repr)
def test_what_is_written_on_one_line_is_read_as_what_it_was(value: object) -> None:
    assert read_yaml(f"key: {as_yaml(value)}").plain == {"key": value}
    assert read_yaml(f"key: [{as_yaml(value)}]").plain == {"key": [value]}
