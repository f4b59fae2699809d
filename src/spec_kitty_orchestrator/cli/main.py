"""The command line: the group, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

import click

from .. import __version__
from ..errors import ExitCode, UsageError, find_known
from .output import error_facts, is_json_asked, say_json, stdout_is_gone

COMMANDS = {
    "orchestrate": "orchestrate:orchestrate_command",
    "resume": "resume:resume_command",
    "retry": "retry:retry_command",
    "status": "status:status_command",
    "logs": "logs:logs_command",
    "report": "report:report_command",
    "pause": "pause:pause_command",
    "unpause": "unpause:unpause_command",
    "stop": "stop:stop_command",
    "abort": "abort:abort_command",
    "init": "init:init_command",
    "config": "config:config_command",
    "doctor": "doctor:doctor_command",
    "agents": "agents:agents_command",
    "completion": "completion:completion_command",
    "demo": "demo:demo_command",
    "conformance": "conformance:conformance_command",
}
"""Name → module and function; the modules import nothing heavy until they are run."""

PROGRAM = "spec-kitty-orchestrator"
STDERR = 2

EXIT_CODES = "\b\nExit codes:\n" + "\n".join(f"  {code.value:>3}  {code.meaning}" for code in ExitCode)


class LazyGroup(click.Group):
    """Loads a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, function = COMMANDS[cmd_name].split(":")
        command = getattr(importlib.import_module(f"spec_kitty_orchestrator.cli.{module}"), function)
        assert isinstance(command, click.Command)
        return command

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """As in every group; here help and version are shown."""
        with _reader_may_leave():
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        with _reader_may_leave():
            return super().invoke(ctx)


class ReaderLeft(Exception):
    """Whoever read stdout has gone away: they have seen enough, which is no failure."""


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """Tells a reader that left from all else that breaks a pipe. click and rich would exit with 1 for either.

    Raises ReaderLeft.
    """
    try:
        yield
    except BrokenPipeError as broken:
        raise (ReaderLeft() if stdout_is_gone() else RuntimeError("a pipe broke")) from broken
    except SystemExit as ended:  # of rich, which has let go of stdout
        if isinstance(ended.__context__, BrokenPipeError):
            raise ReaderLeft from ended
        raise


@click.group(cls=LazyGroup, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=PROGRAM)
def main() -> None:
    """Have coding agents implement and review every work package of a spec-kitty mission."""


def run() -> NoReturn:
    """The program. Never shows a traceback; always ends with one of the documented exit codes."""
    last_words, message = _nothing, ""
    try:
        _interruptible(True)
        _fill_closed_streams()
        _show_every_character()
        _refuse_windows()
        _hear_signals()
        code = main.main(prog_name=PROGRAM, standalone_mode=False)
    except click.ClickException as problem:
        code, message, last_words = ExitCode.USAGE, problem.format_message(), problem.show
    except (click.Abort, KeyboardInterrupt):
        code, message = ExitCode.INTERRUPTED, "interrupted"
    except ReaderLeft:
        code = ExitCode.ACCEPTED
    except Exception as problem:  # noqa: BLE001 - the program's boundary: every error becomes a line
        code, message = _explain(problem)
        last_words = partial(_say_error, message)
    _leave(int(code or 0), partial(_tell_failure, code, message, last_words))


def _nothing() -> None:
    pass


def _say_error(message: str) -> None:
    click.echo(f"error: {message}", err=True)


def _tell_failure(code: ExitCode, message: str, last_words: Callable[[], object]) -> None:
    """On stderr for people; and whoever asked for JSON is given an object, as if all had gone well."""
    if message and is_json_asked(sys.argv[1:]):
        say_json(error_facts(code, message))
    last_words()


def _interruptible(really: bool) -> None:
    """Whether Ctrl-C raises KeyboardInterrupt, unless whoever started us has it ignored (a shell's `&`)."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler if really else signal.SIG_IGN)


def _fill_closed_streams() -> None:
    """A closed stream (`>&-`) becomes /dev/null, lest the next file that is opened take its place."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(STDERR, "w", closefd=False)


def _show_every_character() -> None:
    """What a terminal or a file has no character for (LANG=C, latin-1) is shown as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _refuse_windows() -> None:
    if sys.platform == "win32":
        raise UsageError("Windows is not supported", remedy="use Linux, macOS, or the Linux subsystem")


def _hear_signals() -> None:
    """Whoever started us may have had signals blocked, or its children's ends ignored: both are inherited."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _explain(problem: Exception) -> tuple[ExitCode, str]:
    """The exit code for it, and what is to be said."""
    known = find_known(problem)
    if known is not None:
        return known.exit_code, str(known)
    line = f"internal error: {problem!r}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="spec-kitty-orchestrator-", suffix=".txt", delete=False
        ) as file:
            traceback.print_exception(type(problem), problem, problem.__traceback__, file=file)
    except OSError:  # the disk is full, or no descriptor is to be had: what the problem may have been
        return ExitCode.INTERNAL, f"{line} (please report it)"
    return ExitCode.INTERNAL, f"{line} (please report it, with {file.name})"


def _leave(code: int, last_words: Callable[[], object]) -> NoReturn:
    """Exits. A reader that went away (`| head`, a closed terminal) or does not read changes nothing."""
    _interruptible(False)
    from ..report.outlet import LAST_WORDS_SECONDS, heard_or_not, within

    def speak() -> None:
        heard_or_not(last_words)
        _flush()

    if not within(LAST_WORDS_SECONDS, speak):
        os._exit(code)  # else the interpreter would wait for the reader, to flush once more
    if code == ExitCode.INTERRUPTED:
        os._exit(code)  # else it may end itself by SIGINT: it remembers a Ctrl-C in some imports
    sys.exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
