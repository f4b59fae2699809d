"""What a host said to the cases, and all that can be told from it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from attrs import field, mutable

from spec_kitty_orchestrator.host.errors import Completed

from .audit import SHAPE, Breach, additions, audit, envelope_of
from .case import Case
from .cases import CASES


@mutable
class Recording:
    """What a host said to each case, as far as the journey went.

    Attributes:
        said: by the case's name.
        stopped: why it ended early; empty when it did not.
        mishaps: breaches that were seen outside the replies: in the workspace, or while making the project.
        root, mission: the project's root and the mission's slug.
    """

    said: dict[str, Completed] = field(factory=dict)
    stopped: str = ""
    mishaps: list[Breach] = field(factory=list)
    root: Path = Path()
    mission: str = ""

    def breaches(self) -> list[Breach]:
        """All of them, each once, in the order of the journey."""
        found = [breach for case in self.reached() for breach in audit(case, self.said[case.name])]
        return list(dict.fromkeys([*found, *self.mishaps, *self._repeated()]))

    def additions(self) -> list[str]:
        """Keys that the contract does not know."""
        found = (text for case in self.reached() for text in additions(case, self.said[case.name]))
        return list(dict.fromkeys(found))

    @property
    def is_whole(self) -> bool:
        """Nothing more will come."""
        return bool(self.stopped) or len(self.said) == len(CASES)

    def reached(self) -> list[Case]:
        """The cases that were put."""
        return [case for case in CASES if case.name in self.said]

    def _repeated(self) -> Iterable[Breach]:
        seen: set[str] = set()
        for case in self.reached():
            envelope = envelope_of(self.said[case.name])
            if envelope is not None and envelope.correlation_id in seen:
                yield Breach(case.command, SHAPE, "correlation_id: the same as in an earlier reply")
            seen.add(envelope.correlation_id if envelope else "")
