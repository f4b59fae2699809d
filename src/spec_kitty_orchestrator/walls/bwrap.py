"""The command line of bubblewrap (0.8.0) for an enclosure: a pure function.

Inside, the whole file system is read-only but for what is writable; /tmp, /run and /dev are new and private;
no other process is seen, or can be signalled. The network stays open, and with it abstract Unix sockets.
"""

from __future__ import annotations

from collections.abc import Iterator

from .enclosure import PRIVATE, Enclosure

PROGRAM = "bwrap"
EMPTY = "empty"
"""An empty regular file in the attempt's folder, which takes the place of a file that is hidden, or that may
not be made. /dev/null would not do: git takes a device for a broken file."""

DEAF = ("/bin/sh", "-c", 'trap "" TERM INT HUP; exec "$@"', "sh")
"""A keeper asks every process to end, and bwrap, which would obey at once, takes all inside with it: it is
made to ignore that, and the agent hears it again (`HEARING`), so that it has its grace."""
HEARING = ("env", "--default-signal=TERM,INT,HUP")
"""Of GNU coreutils 8.31 and later."""

NAMESPACES = (
    # Root without --cap-drop ALL is in no sandbox: it could remount everything.
    *("--unshare-user", "--cap-drop", "ALL", "--unshare-pid", "--unshare-ipc"),
    *("--die-with-parent", "--new-session"),
)
KERNEL = tuple(
    f"/proc/{name}" for name in ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi", "mtrr")
)
"""Root owns what is in them, which is all that it takes to write there: a core pattern is a program that the
kernel runs outside of all namespaces. bwrap itself protects only those whose folder looks writable."""
SOCKETS = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "SSH_AUTH_SOCK")
"""Variables that lead to sockets of whoever is outside."""


def bwrap_prefix(program: str, enclosure: Enclosure) -> tuple[str, ...]:
    """What stands before an agent's own command line.

    Args:
        program: bwrap's path.
    """
    return (
        *DEAF,
        program,
        *NAMESPACES,
        *_files(enclosure),
        "--chdir",
        str(enclosure.workspace),
        "--",
        *HEARING,
    )


def _files(enclosure: Enclosure) -> Iterator[str]:
    """What is mounted, in order: later ones lie over earlier ones."""
    empty = str(enclosure.folder / EMPTY)
    yield from ("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc")
    for path in KERNEL:
        yield from ("--ro-bind-try", path, path)
    for path in map(str, PRIVATE):
        yield from ("--tmpfs", path)
    for path in map(str, enclosure.shown):
        yield from ("--ro-bind", path, path)
    for path in map(str, enclosure.writable):
        yield from ("--bind", path, path)
    for path in map(str, enclosure.kept):
        yield from ("--ro-bind", path, path)
    for path in map(str, enclosure.barred):  # what is left of it outside is an empty file
        yield from ("--ro-bind", empty, path)
    for path in map(str, enclosure.hidden_folders):
        yield from ("--tmpfs", path, "--remount-ro", path)
    for path in map(str, enclosure.hidden_files):
        yield from ("--ro-bind", empty, path)
    for name in SOCKETS:
        yield from ("--unsetenv", name)
    yield from ("--setenv", "TMPDIR", str(PRIVATE[0]))
