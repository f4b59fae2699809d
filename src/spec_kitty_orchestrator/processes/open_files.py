"""How many files may be open: as many as the system lets us, and for what we start as many as before."""

from __future__ import annotations

import resource
from contextlib import suppress

BEFORE = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
"""The limit that we were started with. Some programs do something for each descriptor that they may have."""
PER_AGENT = 9
"""One at work holds 6 of ours (streams, orders, reports, its keeper, its log), one that starts 3 more."""
PER_FAR_AGENT = 10
"""More of one elsewhere: its lifeline, and at its end the command that makes sure of it."""
BESIDE_AGENTS = 64
"""For everything else: our own files, calls at the host beside the agents."""
ALWAYS_ALLOWED = 10240
"""What macOS grants where its limit is called endless."""


def raise_open_files() -> None:
    """Raise this process's limit to the highest that it may have."""
    highest = most_open_files()
    for soft in (highest, ALWAYS_ALLOWED):
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, highest))
            return


def most_open_files() -> int:
    """To how many the limit can be raised; -1 for no limit at all."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def open_files_for(agents: int, *, is_far: bool = False) -> int:
    """How many a run needs that has so many agents at work at once."""
    return BESIDE_AGENTS + (PER_AGENT + PER_FAR_AGENT * is_far) * agents
