"""Command line and settings of srt (Anthropic's sandbox-runtime, 0.0.83) for an enclosure: pure functions.

It lets through to the domains that are named and to nobody else. On Linux it needs bwrap, socat and ripgrep.
For macOS this is written from its documentation and was never run there.
"""

from __future__ import annotations

import json
from pathlib import Path

from .enclosure import Enclosure

PROGRAM = "srt"
SETTINGS = "srt.json"
TEMPORARY = "tmp"
"""In the attempt's folder: the TMPDIR that srt names (0.0.83) is never made, and several CLIs die of that."""
LOOPBACK = ("localhost", "127.0.0.1")

_GO_TO = 'cd "$1" && shift && exec "$@"'
"""Started in the workspace, srt puts files of its own there, with which no `git add` succeeds (0.0.83)."""


def srt_prefix(program: str, enclosure: Enclosure) -> tuple[str, ...]:
    """What stands before an agent's own command line; it must be started in the attempt's folder.

    Args:
        program: srt's path.
    """
    # `--`, lest srt takes an option of the agent's for its own.
    start = (program, "-s", str(enclosure.folder / SETTINGS), "--")
    return (*start, "/bin/sh", "-c", _GO_TO, "sh", str(enclosure.workspace), "env", *_environment(enclosure))


def srt_settings(enclosure: Enclosure) -> str:
    """The JSON text of its settings file."""
    hidden = (*enclosure.hidden_folders, *enclosure.hidden_files)
    settings = {
        "network": {"allowedDomains": list(enclosure.domains), "deniedDomains": []},
        "filesystem": {
            "denyRead": _names(hidden),
            "allowRead": [],
            "allowWrite": _names((*enclosure.writable, enclosure.folder / TEMPORARY)),
            "denyWrite": _names((*enclosure.kept, *enclosure.barred)),
        },
    }
    return json.dumps(settings, indent=2) + "\n"


def _environment(enclosure: Enclosure) -> tuple[str, ...]:
    """Changes for `env`: all goes through srt's proxy, also to this machine, if that is allowed at all."""
    local = any(domain.partition(":")[0] in LOOPBACK for domain in enclosure.domains)
    unset = ("-u", "NO_PROXY", "-u", "no_proxy") if local else ()
    return (*unset, "NODE_USE_ENV_PROXY=1", f"TMPDIR={enclosure.folder / TEMPORARY}")


def _names(paths: tuple[Path, ...]) -> list[str]:
    return [str(path) for path in paths]
