"""What agents wrote neither acts on the terminal nor ends the thread that draws."""

from __future__ import annotations

import io
import json

import pytest

from spec_kitty_orchestrator.agents.catalog import ALL
from spec_kitty_orchestrator.agents.steps import last_step
from spec_kitty_orchestrator.report.events import SentBack, VerdictGiven
from spec_kitty_orchestrator.report.lines import Lines
from spec_kitty_orchestrator.report.outlet import Outlet


def test_what_can_be_parsed_and_is_too_deep_to_be_walked_is_a_step_as_it_is() -> None:
    for depth in range(300, 1000, 50):
        deep = f"{'[' * depth}{']' * depth}"
        line = f'{{"type":"user","message":{{"content":[{{"type":"tool_result","content":{deep}}}]}}}}\n'
        for spec in ALL:
            last_step(spec.output, line.encode())  # raises nothing


def test_a_job_that_fails_does_not_end_the_thread_and_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    done: list[int] = []
    outlet = Outlet()
    outlet.put(lambda: json.loads(1))  # type: ignore[arg-type]
    outlet.put(lambda: done.append(1))
    assert outlet.close(2.0)
    assert done == [1]
    assert "could not be shown or stored: TypeError(" in capsys.readouterr().err


def test_a_plain_line_holds_nothing_that_acts_on_the_terminal() -> None:
    stdout = io.StringIO()
    with Lines(stdout, io.StringIO()) as display:
        display(SentBack("WP01", "\x1b]0;x\x07\x1b[2Jgone"))
        display.notice("\x1b[2J")
    assert "\x1b" not in stdout.getvalue()


def test_what_a_reviewer_wrote_on_lines_of_its_own_is_one_line() -> None:
    said = VerdictGiven("WP01", "codex", "r", "changes_requested", "a.py:1\n12:00:00 WP02 → done", "0f" * 20)
    assert "\n" not in said.line
