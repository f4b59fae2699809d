"""What a person sees on a real terminal, and what a pipe is given."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.process.stage import Stage
from tests.process.terminal import Terminal

from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.report import events, run_events, wp_events
from spec_kitty_orchestrator.report.schema import as_line
from spec_kitty_orchestrator.report.times import utc_now
from spec_kitty_orchestrator.run.checkout import Checkout
from spec_kitty_orchestrator.run.state import RunState, RunStore

THIRTY = [f"WP{number:02}" for number in range(1, 31)]
AFTER = dict(zip(THIRTY[1:], ((wp_id,) for wp_id in THIRTY), strict=False))
PROMPT = "$ what stood there before"
COLOUR = re.compile(rb"\x1b\[[0-9;]*3[0-7][0-9;]*m")


class Run:
    """A run of thirty work packages, by its files alone; what is alive of it does nothing.

    Attributes:
        process: it.
    """

    def __init__(self, root: Path) -> None:
        self.process = subprocess.Popen(["sleep", "600"])
        (root / ".git").mkdir(parents=True)
        self.root = root
        self._file = root / ".kittify" / "logs" / "run-1" / "events.jsonl"
        self._file.parent.mkdir(parents=True)
        identity = ProcessIdentity.of(self.process.pid)
        state = RunState("run-1", "m-01", "me", utc_now(), identity, Checkout.of(root))
        RunStore(root / ".kittify").save(state)
        self.tell(events.RunStarted("run-1", "m-01", "me", dict.fromkeys(THIRTY, "planned"), False, AFTER, 4))

    def tell(self, *happened: events.Event) -> None:
        with self._file.open("a") as file:
            file.writelines(json.dumps(as_line(utc_now(), event)) + "\n" for event in happened)

    def done(self, wp_id: str) -> None:
        self.tell(
            wp_events.WpTakenUp(wp_id),
            events.LaneChanged(wp_id, "in_progress"),
            events.AttemptStarted(wp_id, "implementation", "claude-code", 1, "none"),
            events.AttemptEnded(
                wp_id, "implementation", "claude-code", 1, "succeeded", "", 9.0, 900, 80, 0.25
            ),
            events.VerdictGiven(wp_id, "codex", "ref", "approved", "", "0123456789abcdef"),
            events.LaneChanged(wp_id, "done"),
        )

    def implement(self, wp_id: str, said: str) -> None:
        log = f".kittify/logs/run-1/{wp_id}.log"
        block = {"type": "text", "text": said}
        line = {"type": "assistant", "message": {"role": "assistant", "content": [block]}}
        (self.root / log).write_text(json.dumps(line) + "\n")
        begun = events.AttemptStarted(wp_id, "implementation", "claude-code", 1, log)
        self.tell(wp_events.WpTakenUp(wp_id), events.LaneChanged(wp_id, "in_progress"), begun)

    def end(self) -> None:
        self.tell(events.RunEnded("finished", 1, "mission m-01 is not finished"))
        self.leave()

    def leave(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(tmp_path / "project")
    for wp_id in THIRTY[:9]:
        run.done(wp_id)
    run.implement("WP10", "I look at the diff of the commit")
    yield run
    run.leave()


@pytest.fixture(params=[(80, 24), (160, 24)], ids=["80", "160"])
def terminal(request: pytest.FixtureRequest) -> Iterator[Terminal]:
    with Terminal(*request.param) as terminal:
        yield terminal


def watch(terminal: Terminal, run: Run, environ: dict[str, str], *args: str) -> None:
    argv = [*Stage(None, "").command("status", "--watch", *args)]
    shell = f"echo '{PROMPT}'; exec {' '.join(argv)}"
    terminal.start(["sh", "-c", shell], run.root, environ)


def test_thirty_work_packages_on_24_lines(
    terminal: Terminal, run: Run, clean_environ: dict[str, str]
) -> None:
    watch(terminal, run, {**clean_environ, "TERM": "xterm-256color"})
    shown = terminal.until_shown("I look at the diff of the commit")
    assert shown[0].startswith("m-01 · run run-1")
    assert shown[0].endswith("running")
    assert "9 of 30 through" in shown[1]
    assert "1 of 4 slots in use" in shown[2]
    assert any("left" in line for line in shown[2:4])
    assert not any(PROMPT in line for line in shown)
    rows = [line for line in shown if line[2:4] == "WP" and line[4:6].isdigit()]
    assert ["WP10" in rows[0], "claude-code implements" in rows[0], "waits for WP10" in rows[1]] == [True] * 3
    assert any("9 through" in line for line in shown)
    assert any("more wait for others, or for a slot" in line for line in shown)

    run.tell(events.LaneChanged("WP20", "blocked", by_us=False))
    run.done("WP10")
    terminal.until_shown("10 of 30 through, 1 needs you")
    run.end()
    assert terminal.wait() == 0
    whole = [*terminal.scrollback, *terminal.look()]
    assert whole[0] == PROMPT
    assert sum("m-01 · run run-1" in line for line in whole) == 1  # nothing is left of what was drawn before
    for wp_id in THIRTY:
        assert sum(f" {wp_id}  " in line for line in whole) == 1, wp_id
    assert "mission m-01 is not finished" in whole
    assert not terminal.screen.cursor.hidden


def test_another_size_is_taken_at_once_and_leaves_no_rests(run: Run, clean_environ: dict[str, str]) -> None:
    with Terminal(160, 45) as terminal:
        watch(terminal, run, {**clean_environ, "TERM": "xterm-256color"})
        terminal.until_shown("WP30", "I look at the diff of the commit")

        def is_as_wide(columns: int) -> bool:
            return len(terminal.look()[0]) == columns and terminal.look()[0].endswith("running")

        for columns, lines in ((80, 24), (50, 12), (120, 45)):
            terminal.resize(columns, lines)
            terminal.until(partial(is_as_wide, columns))
            shown = terminal.look()
            assert sum("m-01 · run run-1" in line for line in shown) == 1
            assert sum("through" in line for line in shown[2:]) <= 1
        terminal.type(b"\x03")
        assert terminal.wait() == 0
        assert terminal.scrollback[:1] in ([], [PROMPT])


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (160, 40)])
def test_ctrl_c_on_a_run_leaves_the_terminal_as_it_was(stage: Stage, columns: int, lines: int) -> None:
    stage.cast(["obey", "obey", "obey", "obey"])
    with Terminal(columns, lines) as terminal:
        before = terminal.settings
        environ = {**stage.arena.environ, "TERM": "xterm-256color"}
        shell = f"echo '{PROMPT}'; exec {' '.join(stage.orchestrate_command)}"
        terminal.start(["sh", "-c", shell], stage.arena.root, environ)
        terminal.until_shown("0 of 4 through", "4 of 8 slots in use", "bad implements", "ready")
        assert terminal.screen.kept is not None
        terminal.type(b"\x03")
        assert terminal.wait() == 130
        whole = [*terminal.scrollback, *terminal.look()]
        assert whole[0] == PROMPT
        assert any("Ctrl-C: stopping; agents have 0.5 s to end" in line for line in whole)
        assert any(line.startswith("Stopped; go on with: spec-kitty-orchestrator resume") for line in whole)
        assert terminal.screen.kept is None
        assert not terminal.screen.cursor.hidden
        assert terminal.settings == before
    assert stage.left() == []


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "SIGHUP"])
def test_a_signal_that_ends_a_watch_leaves_the_terminal_as_it_was(
    run: Run, clean_environ: dict[str, str], signum: int
) -> None:
    with Terminal(80, 24) as terminal:
        watch(terminal, run, {**clean_environ, "TERM": "xterm-256color"})
        terminal.until_shown("I look at the diff of the commit")
        assert terminal.screen.kept is not None
        terminal.process.send_signal(signum)
        assert terminal.wait() == 128 + signum
        assert terminal.screen.kept is None
        assert not terminal.screen.cursor.hidden


PLAIN = {
    "a pipe": ({"TERM": "xterm"}, (), False, False),
    "a pipe, with colours": ({"TERM": "xterm", "FORCE_COLOR": "1"}, (), False, True),
    "a terminal": ({"TERM": "xterm"}, ("--plain",), True, True),
    "a terminal without colours": ({"TERM": "xterm", "NO_COLOR": "1"}, ("--plain",), True, False),
    "CI": ({"TERM": "xterm", "CI": "true", "NO_COLOR": "1"}, (), True, False),
    "a terminal that cannot redraw": ({"TERM": "dumb"}, (), True, False),
}


@pytest.mark.parametrize(("environ", "args", "is_terminal", "coloured"), PLAIN.values(), ids=PLAIN)
def test_lines_and_colours_where_they_are_wanted(
    run: Run,
    clean_environ: dict[str, str],
    environ: dict[str, str],
    args: tuple[str, ...],
    is_terminal: bool,
    coloured: bool,
) -> None:
    run.tell(events.WpLeft("WP30", "moved by someone else"))
    run.end()
    environ = {**clean_environ, "TZ": "UTC-1", **environ}
    if is_terminal:
        with Terminal(80, 24) as terminal:
            watch(terminal, run, environ, *args)
            assert terminal.wait() == 0
            raw = terminal.raw
    else:
        argv = Stage(None, "").command("status", "--watch", *args)
        raw = subprocess.run(argv, cwd=run.root, env=environ, capture_output=True, check=True).stdout
    assert bool(COLOUR.search(raw)) is coloured
    assert coloured or b"\x1b" not in raw
    text = re.sub(r"\x1b\[[0-9;]*m", "", raw.decode().replace("\r\n", "\n").replace(f"{PROMPT}\n", ""))
    *lines, last = text.splitlines()
    for line in lines:
        assert re.match(r"\d\d:\d\d:\d\d\+01:00 (run run-1 takes|WP\d\d )", line), line
    assert last.endswith("mission m-01 is not finished") or "spent" in last or "codex" in last


def test_the_board_has_no_colours_where_nobody_wants_them(run: Run, clean_environ: dict[str, str]) -> None:
    with Terminal(80, 24) as terminal:
        watch(terminal, run, {**clean_environ, "TERM": "xterm-256color", "NO_COLOR": "1"})
        terminal.until_shown("I look at the diff of the commit")
        terminal.type(b"\x03")
        assert terminal.wait() == 0
        assert COLOUR.search(terminal.raw) is None


def status(run: Run, environ: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    argv = Stage(None, "").command("status", *args)
    return subprocess.run(argv, cwd=run.root, env=environ, capture_output=True, text=True, check=False)


def test_status_shows_those_too_that_nobody_has_tried_on_80_columns(
    run: Run, clean_environ: dict[str, str]
) -> None:
    run.tell(run_events.AgentParked("codex", 600.0, "rate_limit", "too many"))
    shown = status(run, clean_environ).stdout.splitlines()
    assert shown[0] == f"run run-1: running (process {run.process.pid})"
    assert max(map(len, shown)) <= 80
    rows = {line[2:6]: line[8:].rstrip() for line in shown if line[2:4] == "WP"}
    assert [*rows] == THIRTY
    assert rows["WP10"].startswith("in_progress  claude-code implements 0:0")
    assert rows["WP30"] == "planned      waits for WP29"


def test_status_for_programs_is_one_object_that_says_the_same(
    run: Run, clean_environ: dict[str, str]
) -> None:
    run.tell(run_events.AgentParked("codex", 600.0, "rate_limit", "too many"))
    found = json.loads(status(run, clean_environ, "--json").stdout)
    assert found["schema_version"] == 1
    assert [found["run"][key] for key in ("run_id", "alive", "slots")] == ["run-1", True, 4]
    assert [rest["agent"] for rest in found["run"]["resting"]] == ["codex"]
    of = {wp["wp_id"]: wp for wp in found["work_packages"]}
    assert [*of] == THIRTY
    assert [of["WP10"]["now"][key] for key in ("phase", "who")] == ["implementation", ["claude-code"]]
    assert [of["WP30"][key] for key in ("lane", "waits_for", "attempts")] == ["planned", ["WP29"], []]
    assert of["WP12"]["now"]["phase"] == "dependencies"

    run.leave()
    found = json.loads(status(run, clean_environ, "--json").stdout)
    assert [found["run"]["alive"], found["work_packages"][9]["now"]] == [False, None]


@pytest.mark.parametrize("args", [["--watch"], ["--live"], ["--mission", "another"]])
def test_status_for_programs_is_an_object_when_it_fails_too(
    run: Run, clean_environ: dict[str, str], args: list[str]
) -> None:
    environ = {**clean_environ, "SK_ORCH_HOST_BINARY": "/nowhere/spec-kitty"}
    done = status(run, environ, "--json", *args)
    assert done.returncode in (2, 3)
    found = json.loads(done.stdout)
    assert [*found] == ["schema_version", "error"]
    assert found["error"]["message"] in done.stderr


def test_a_run_that_was_killed_is_watched_to_its_last_event(run: Run, clean_environ: dict[str, str]) -> None:
    run.leave()
    done = status(run, clean_environ, "--watch")
    assert "WP10 implementation 1: claude-code starts" in done.stdout.splitlines()[-1]
    assert done.stderr == "it was killed; go on with: spec-kitty-orchestrator resume\n"


def test_status_shows_what_it_knows_when_the_events_are_gone(run: Run, clean_environ: dict[str, str]) -> None:
    (run.root / ".kittify" / "logs" / "run-1" / "events.jsonl").unlink()
    assert status(run, clean_environ).stdout.startswith("run run-1: running")
    assert json.loads(status(run, clean_environ, "--json").stdout)["work_packages"] == []
