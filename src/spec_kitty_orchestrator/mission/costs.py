"""What the attempts of a run have cost: sums over what is remembered of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import asdict

from ..report.totals import Spent, Total, Totals
from .records import AttemptRecord, WpRecord


def totals_of(records: Mapping[str, WpRecord]) -> Totals:
    """What all attempts cost that are remembered, in all, by agent, and by work package, in their order."""
    by_work_package = {wp_id: total_of(record.attempts) for wp_id, record in records.items()}
    attempts = [attempt for record in records.values() for attempt in record.attempts]
    by_agent: dict[str, list[AttemptRecord]] = {}
    for attempt in attempts:
        by_agent.setdefault(attempt.agent, []).append(attempt)
    return Totals(
        total_of(attempts),
        {agent: total_of(theirs) for agent, theirs in sorted(by_agent.items())},
        {wp_id: total for wp_id, total in sorted(by_work_package.items()) if total.attempts},
    )


def total_of(attempts: Iterable[AttemptRecord]) -> Total:
    """What these cost. One whose program never ran is no attempt here."""
    ran = [attempt for attempt in attempts if attempt.keeper is not None]
    return Total.of(Spent(**asdict(attempt.usage), has_ended=attempt.outcome is not None) for attempt in ran)
