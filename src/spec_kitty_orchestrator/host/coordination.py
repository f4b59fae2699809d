"""Missions with a coordination branch, which one host cannot accept: how that is seen, what is said of it."""

from __future__ import annotations

import re

from .contract.payloads import MissionState

MEASURED_CONTRACT = "1.5.0"
"""That of spec-kitty-cli 3.2.7, where this was measured.

For a mission of topology `coord` (what `specify` makes without `--topology`) or `lanes_with_coord`,
accept-mission looks for `meta.json` in the mission's coordination worktree, where it is only after the
merge, and breaks down, every time. For as long, the `mission_type` in mission-state is empty; it never is
with `lanes`.
"""

_CRASH = re.compile(r"FileNotFoundError:Nometa\.jsonin.+-coord/")
"""Its last words, without the blanks: it wraps its lines."""


def shortcoming(contract: str, mission: MissionState) -> str:
    """What a host of this contract cannot do for a mission, in words; nothing if it can do all."""
    if contract != MEASURED_CONTRACT or mission.mission_type:
        return ""
    return (
        f"this host (contract {contract}) cannot accept mission {mission.mission_slug}: accept-mission "
        "breaks down on a mission with a coordination branch (topology coord, which is the default, or "
        "lanes_with_coord) until it is merged; when all is done, the run ends with exit 1 and the command to "
        "merge. Missions planned with `specify --topology lanes` can be accepted"
    )


def can_only_crash(command: str, words: str) -> bool:
    """Whether a host that broke down with these words will do so however often it is asked."""
    return command == "accept-mission" and _CRASH.search("".join(words.split())) is not None
