"""What the attempts of a run have cost: sums over what is remembered of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from ..report.totals import Total, Totals
from .records import AttemptRecord, WpRecord

EXACT_DIGITS = 6
"""Of a dollar: sums of binary fractions must not fall short of a limit by their last digit."""


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
    costs = [attempt.usage.cost_usd for attempt in ran]
    told = [cost for cost in costs if cost is not None]
    return Total(
        attempts=len(ran),
        input_tokens=_sum(attempt.usage.input_tokens for attempt in ran),
        output_tokens=_sum(attempt.usage.output_tokens for attempt in ran),
        cost_usd=round(math.fsum(told), EXACT_DIGITS) if told else None,
        untold=sum(attempt.outcome is not None and attempt.usage.cost_usd is None for attempt in ran),
    )


def _sum(told: Iterable[int | None]) -> int | None:
    figures = [each for each in told if each is not None]
    return sum(figures) if figures else None
