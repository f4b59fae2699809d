"""`logs`: which attempt, in which form, how it ends; on runs that are recorded, alive and over."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from tests.unit.agents.captures import load

from spec_kitty_orchestrator.cli.main import main
from spec_kitty_orchestrator.errors import UsageError
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.report.events import LaneChanged, RunEnded

from .recorded import MISSION, Project

FINAL = "I created hello.txt.\n\n           VERDICT: APPROVED\n"
CLAUDE = load("claude-code", "stream-json").stdout
RUN = "20260101-000000-aaaa"
PATIENCE = 60.0


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.make(tmp_path)


@pytest.fixture
def done(project: Project) -> Project:
    """Two attempts to implement WP01 and a review, all over; WP02 was not begun."""
    history = (
        *(project.attempt(1), project.ended(1, outcome="timeout")),
        *(project.attempt(2), project.ended(2)),
        *(project.attempt(1, "review"), project.ended(1, "review")),
        LaneChanged("WP01", "approved"),
        RunEnded("finished", 0, "all done"),
    )
    folder = project.record(RUN, *history)
    for name in ("implementation-1", "implementation-2", "review-1"):
        (folder / f"WP01-{name}.log").write_bytes(CLAUDE.replace(b"I created", f"{name}: I created".encode()))
        (folder / f"WP01-{name}.prompt.md").write_text(f"Do {name}.\x1b[2J\a\n", encoding="utf-8")
    return project


def refused(project: Project, *args: str) -> str:
    with pytest.raises(UsageError) as caught:
        project.logs(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Which one.


def test_the_last_attempt_is_shown_with_who_when_and_what_came_of_it(done: Project) -> None:
    lines = done.logs("WP01").output.splitlines()
    assert lines[0].startswith("WP01 review 1: claude-code, 20")
    assert lines[1].startswith("succeeded after 0.")
    assert lines[2].endswith(f"/.kittify/logs/{RUN}/WP01-review-1.log")
    assert lines[3:] == [
        "",
        "told       model: claude-opus-5-5",
        "ran        Bash: printf 'hello from fake llm\\n' > hello.txt",
        "came back  (Bash completed with no output)",
        "said       review-1: I created hello.txt.",
        "",
        "           VERDICT: APPROVED",
        "",
        "Lines left out that say nothing, or say it again: 1 (--raw shows them).",
    ]


def test_the_readme_shows_what_it_prints(done: Project) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    block = readme.partition("<!-- logs -->\n```\n")[2].partition("\n```")[0].splitlines()
    log = done.root / ".kittify" / "logs" / RUN / "WP01-implementation-2.log"
    log.write_bytes(CLAUDE)
    lines = done.logs("WP01", "--role", "implementation").output.splitlines()
    assert block[0] == "$ spec-kitty-orchestrator logs WP01"
    assert block[4:] == lines[3:]
    assert [line.split()[0] for line in block[1:3]] == [line.split()[0] for line in lines[:2]]


def test_another_attempt_is_shown_by_its_role_and_number(done: Project) -> None:
    assert "implementation-2: I created" in done.logs("WP01", "--role", "implementation").output
    first = done.logs("WP01", "--role", "implementation", "--attempt", "1").output
    assert "implementation-1: I created" in first
    assert "\ntimeout after " in first
    assert "implementation-2: I created" in done.logs("WP01", "--attempt", "2").output


def test_what_is_not_there_is_told_with_what_is(done: Project) -> None:
    assert refused(done, "WP09") == (
        f"run {RUN} of mission {MISSION} has no work package WP09 (it has WP01, WP02)"
    )
    assert "no work package wp01 (it has WP01" in refused(done, "wp01")
    assert refused(done, "WP01", "--attempt", "7") == (
        f"WP01 has no attempt 7 in run {RUN} (it has implementation 1 (claude-code, timeout),"
        " implementation 2 (claude-code, succeeded), review 1 (claude-code, succeeded))"
    )
    assert "has no review attempt 2 in" in refused(done, "WP01", "--role", "review", "--attempt", "2")
    assert refused(done, "WP01", "--attempt", "1") == (
        "WP01 has an attempt 1 in each of implementation and review (say which with --role)"
    )
    assert refused(done, "WP02") == (
        f"WP02 has no attempt in run {RUN} (no agent was at work on it; it is planned)"
    )


def test_earlier_runs_are_found_by_their_id_and_their_mission(done: Project) -> None:
    later, other = "20260102-000000-bbbb", "20260103-000000-cccc"
    for run_id, mission in ((later, MISSION), (other, "cafe-01XYZ")):
        folder = done.record(run_id, done.attempt(1), done.ended(1), mission=mission)
        (folder / "WP01-implementation-1.log").write_bytes(CLAUDE)
    assert f"/{other}/" in done.logs("WP01").output
    assert f"/{later}/" in done.logs("WP01", "--mission", "01ABCDEF").output
    assert f"/{RUN}/" in done.logs("WP01", "--run", RUN).output
    assert "no run nope has left events (there are: " in refused(done, "WP01", "--run", "nope")
    assert "has left events (start one with: " in refused(Project.make(_empty(done)), "WP01")


def _empty(project: Project) -> Path:
    folder = project.root / "empty"
    folder.mkdir()
    return folder


def test_a_log_that_is_gone_or_empty_is_told(done: Project) -> None:
    log = done.root / ".kittify" / "logs" / RUN / "WP01-review-1.log"
    log.write_bytes(b"")
    assert done.logs("WP01").output.endswith("\n\nIt has printed nothing.\n")
    log.unlink()
    assert refused(done, "WP01") == f"{log} is not there any more"


def test_a_shell_completes_work_packages_and_missions(done: Project) -> None:
    done.is_at_work(RUN)
    shell = ShellComplete(main, {}, "spec-kitty-orchestrator", "_COMPLETE")
    before = ["logs", "--repo-root", str(done.root)]
    assert [each.value for each in shell.get_completions(before, "WP")] == ["WP01", "WP02"]
    assert [each.value for each in shell.get_completions([*before, "--mission"], "")] == [MISSION]


# In which form.


def test_raw_is_byte_for_byte(done: Project) -> None:
    log = done.root / ".kittify" / "logs" / RUN / "WP01-review-1.log"
    log.write_bytes(bytes(range(256)) * 2000)
    process = done.start("WP01", "--raw")
    assert process.communicate() == (log.read_bytes(), b"")
    assert process.returncode == 0


def test_the_prompt_is_what_the_agent_was_given(done: Project) -> None:
    assert done.logs("WP01", "--attempt", "2", "--prompt").output == "Do implementation-2.\n"
    assert "a prompt does not grow" in refused(done, "WP01", "--prompt", "--follow")


def test_an_agent_that_nobody_knows_any_more_is_shown_as_it_is(done: Project) -> None:
    folder = done.record(RUN, done.attempt(3, agent="mine:small"), done.ended(3))
    (folder / "WP01-implementation-3.log").write_text('{"type": "text"}\n')
    (done.root / ".kittify" / "orchestrator.yaml").write_text("wrong: [")
    assert 'said       {"type": "text"}\n' in done.logs("WP01").output


def test_a_custom_agent_is_read_as_the_settings_say(done: Project) -> None:
    folder = done.record(RUN, done.attempt(3, agent="mine:small"), done.ended(3))
    (folder / "WP01-implementation-3.log").write_text('{"text": "hello"}\n')
    custom = "{command: {implementation: [mine]}, output: jsonl, final_text: text}"
    (done.root / ".kittify" / "orchestrator.yaml").write_text(f"agents: {{custom: {{mine: {custom}}}}}")
    assert "said       hello\n" in done.logs("WP01").output


def in_a_terminal(project: Project, *args: str, **environ: str) -> str:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        project.command(*args),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", **environ},
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # how a terminal tells that nobody is on its other side
        pass
    os.close(ours)
    assert process.wait() == 0
    return shown.decode(errors="replace")


def test_nothing_of_an_agent_acts_on_a_terminal_and_only_words_are_coloured(done: Project) -> None:
    log = done.root / ".kittify" / "logs" / RUN / "WP01-review-1.log"
    evil = "\\u001b[2J\\u001b]0;owned\\u0007\\u009b31mI\\r\\u202e"
    log.write_bytes(CLAUDE.replace(b"I created", evil.encode()) + b"\x1b[?1049h\x9b\x07\n")
    shown = in_a_terminal(done, "WP01")
    assert "\x1b[36m\x1b[1mran        \x1b[0mBash:" in shown
    assert "said       \x1b[0mI\r\n" in shown
    plain = in_a_terminal(done, "WP01", NO_COLOR="1")
    assert "\x1b" not in plain
    assert not [char for char in plain if not char.isprintable() and char not in "\r\n"]
    assert in_a_terminal(done, "WP01", "--raw").count("\x1b[?1049h") == 1


# How it ends.


def read_until(stream: object, words: str) -> str:
    """What a program has printed when these words have come."""
    descriptor, heard, until = stream.fileno(), b"", time.monotonic() + PATIENCE  # type: ignore[attr-defined]
    while words.encode() not in heard:
        ready = select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]
        chunk = os.read(descriptor, 65536) if ready else b""
        assert chunk, f"{words!r} was not printed, but {heard!r}"
        heard += chunk
    return heard.decode()


@pytest.fixture
def live(project: Project) -> Project:
    """An agent at work on WP01, in a run that is this very process."""
    folder = project.record(RUN, project.attempt(1))
    project.is_at_work(RUN)
    (folder / "WP01-implementation-1.log").write_bytes(CLAUDE[: CLAUDE.index(b"I created") - 3])
    return project


def grow(project: Project, name: str, data: bytes) -> None:
    with (project.root / ".kittify" / "logs" / RUN / f"WP01-{name}.log").open("ab") as log:
        log.write(data)


def test_a_log_is_followed_as_it_grows_and_from_attempt_to_attempt(live: Project) -> None:
    process = live.start("WP01", "--follow")
    try:
        begun = read_until(process.stdout, "came back  (Bash completed with no output)\n")
        assert ", at work\n" in begun
        grow(live, "implementation-1", CLAUDE[CLAUDE.index(b"I created") - 3 :])
        assert read_until(process.stdout, FINAL).startswith("said       I created")
        live.record(RUN, live.ended(1))
        assert "\nsucceeded after " in read_until(process.stdout, " s\n\n")
        # The next attempt is announced before its log is there.
        live.record(RUN, live.attempt(1, "review", agent="augment"))
        read_until(process.stdout, "WP01 review 1: augment, since ")
        grow(live, "review-1", load("augment", "ok").stdout)
        read_until(process.stdout, FINAL)
        live.record(RUN, live.ended(1, "review"), LaneChanged("WP01", "approved"))
        rest, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert rest.decode().endswith(" s\n\n")
    assert (process.returncode, errors) == (0, b"")


def test_following_one_attempt_ends_with_it(live: Project) -> None:
    process = live.start("WP01", "--follow", "--attempt", "1")
    try:
        read_until(process.stdout, "came back")
        live.record(RUN, live.ended(1, outcome="stalled"), live.attempt(2))
        rest, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert "\nstalled after " in rest.decode()
    assert "implementation 2" not in rest.decode()
    assert (process.returncode, errors) == (0, b"")


def test_following_waits_for_the_first_attempt_and_ends_with_a_run_that_is_killed(project: Project) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    project.record(RUN)
    project.is_at_work(RUN, ProcessIdentity.of(sleeper.pid))
    process = project.start("WP01", "--follow", "--raw")
    try:
        folder = project.record(RUN, project.attempt(1))
        (folder / "WP01-implementation-1.log").write_bytes(b"so far")
        read_until(process.stdout, "so far")
        sleeper.kill()
        sleeper.wait()
        assert process.communicate(timeout=PATIENCE) == (b"", b"")
    finally:
        process.kill()
        sleeper.kill()
        sleeper.communicate()
    assert process.returncode == 0
    assert ", cut off with its run\n" in project.logs("WP01").output
    assert "Cut off with its run.\n" in project.logs("WP01", "--follow").output


def test_ctrl_c_leaves_it_without_a_word(live: Project) -> None:
    process = live.start("WP01", "--follow")
    try:
        read_until(process.stdout, "came back")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=PATIENCE)[1].strip() == b""
    finally:
        process.kill()
    assert process.returncode == 130


@pytest.mark.parametrize("form", [(), ("--raw",)])
def test_it_ends_when_its_reader_has_gone_away_though_nothing_more_comes(
    live: Project, form: tuple[str, ...]
) -> None:
    process = live.start("WP01", "--follow", *form)
    try:
        assert process.stdout is not None
        read_until(process.stdout, "opus")
        process.stdout.close()
        assert process.wait(PATIENCE) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.wait()
        process.stderr.close()  # type: ignore[union-attr]


TELLS_ITS_PEAK = """
import atexit, sys
from spec_kitty_orchestrator.cli.main import run
status = open("/proc/self/status")
atexit.register(lambda: print(*(line for line in status if "VmHWM" in line), file=sys.stderr))
run()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a program needed at most")
def test_a_huge_log_is_streamed(done: Project) -> None:
    """64 MiB of it, most of that in one line: to hold it all would take twice as much as it may."""
    event = b'{"type":"assistant","message":{"content":[{"type":"text","text":"%s"}]}}\n' % (b"x" * 4000)
    log = done.root / ".kittify" / "logs" / RUN / "WP01-review-1.log"
    with log.open("wb") as file:
        for _ in range(24):
            file.write(event * (1024 * 1024 // len(event)))
        for _ in range(40):
            file.write(b"y" * 1024 * 1024)
    command = [sys.executable, "-c", TELLS_ITS_PEAK, *done.command("WP01")[3:]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    said = ones = 0
    while chunk := process.stdout.read(1 << 20):
        said, ones = said + chunk.count(b"x"), ones + chunk.count(b"y")
    told = process.communicate(timeout=PATIENCE)[1].split()
    assert (process.returncode, told[0], told[-1]) == (0, b"VmHWM:", b"kB")
    assert said >= 24 * (1024 * 1024 // len(event)) * 4000
    assert ones >= 40 * 1024 * 1024
    assert int(told[1]) < 130 * 1024
