"""An agent that misbehaves as told: `agents.py MODE [exit]`; standard library only.

It says `ready` when its misbehaviour is in place, and then stays for ever or, told so, exits with success.
Whatever it does, it ends itself after ten minutes, lest a failed test take the machine with it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

END = time.monotonic() + 600
FINAL = "FINAL RESULT"


def say(text: str) -> None:
    print(text, flush=True)


def stay() -> None:
    while time.monotonic() < END:
        time.sleep(1)


def ignore_signals() -> None:
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)


def obey() -> None:
    """Ends on SIGTERM, as most programs do."""


def ignore() -> None:
    ignore_signals()


def grandchild() -> None:
    """In a session of its own, orphaned, deaf."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            ignore_signals()
            stay()
        os._exit(0)
    os.wait()


def nameless_grandchild() -> None:
    """The same, and with an empty environment: only its command line tells the test whose it is.

    The tests' own mark is among the words, so that a run that fails to mark its agents cannot hide them.
    """
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    marks = [os.environ.get(name, "") for name in ("SPEC_KITTY_ORCHESTRATOR_RUN", "ARENA_OF_THE_TESTS")]
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve(sys.executable, [sys.executable, "-S", "-c", program, *marks], {})
        os._exit(0)
    os.wait()


def server() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    subprocess.Popen(
        [sys.executable, "-S", "-c", "import socket; s = socket.socket(fileno=0)\nwhile True: s.accept()"],
        stdin=listener,
        start_new_session=True,
    )


def stopped_grandchild() -> None:
    if os.fork() == 0:
        os.setsid()
        os.kill(os.getpid(), signal.SIGSTOP)
        stay()
        os._exit(0)


def fork_loop() -> None:
    """Always new ones; how many live at once is bounded for the machine's sake, how many follow is not."""
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while time.monotonic() < END:
            if os.fork() == 0:
                ignore_signals()
                time.sleep(0.2)
                if os.fork():
                    os._exit(0)
                time.sleep(1)
                os._exit(0)
            time.sleep(0.005)
        os._exit(0)


def run_away() -> None:
    """A chain: each link leaves for a session of its own, forks the next and is gone."""
    if os.fork() == 0:
        ignore_signals()
        while time.monotonic() < END:
            os.setsid()
            if os.fork():
                os._exit(0)
        os._exit(0)


def print_for_ever() -> None:
    say("ready")
    while time.monotonic() < END:
        os.write(1, b"x" * 65536)


def talk() -> None:
    """Fifty lines a second; leaves in its folder when it heard SIGTERM, by the clock of all processes."""

    def hear(*_: object) -> None:
        with open("heard", "w") as file:
            file.write(str(time.monotonic()))
        os._exit(143)

    signal.signal(signal.SIGTERM, hear)
    say("ready")
    while time.monotonic() < END:
        say("word " * 40)
        time.sleep(0.02)


def print_much() -> None:
    """256 MiB in lines of 1 KiB, every other 64 MiB without any line end."""
    say("ready")
    for mebibyte in range(256):
        end = b"x" if mebibyte % 128 >= 64 else b"\n"
        sys.stdout.buffer.write((b"x" * 1023 + end) * 1024)
    sys.exit(0)


def close_output() -> None:
    say("ready")
    os.close(1)
    os.close(2)


def leave_pipe() -> None:
    """Exits while a grandchild holds its output."""
    grandchild()
    say("ready")
    sys.exit(0)


def final_then_stay() -> None:
    say(FINAL)
    ignore_signals()


def die() -> None:
    say("ready")
    os.kill(os.getpid(), signal.SIGKILL)


def exit_137() -> None:
    say("ready")
    sys.exit(137)


def stop_itself() -> None:
    say("ready")
    os.kill(os.getpid(), signal.SIGSTOP)


def open_terminal() -> None:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
        say("has a terminal")
    except OSError:
        say("has no terminal")


def another_user() -> None:
    """Leaves a child that runs as nobody, as a setuid program would: root alone can end it."""
    if os.fork() == 0:
        os.setsid()
        os.setgid(65534)
        os.setuid(65534)
        ignore_signals()
        stay()
        os._exit(0)


def kill_keeper() -> None:
    grandchild()
    nameless_grandchild()
    os.kill(os.getppid(), signal.SIGKILL)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    if sys.argv[1] != "close_output":
        say("ready")
    if sys.argv[2:] != ["exit"]:
        stay()
