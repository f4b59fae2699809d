"""What attempts have cost, as values, and how that is said: of a run, an agent, a work package."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from attrs import field, frozen

EXACT_DIGITS = 6
"""Of a dollar: sums of binary fractions must not fall short of a limit by their last digit."""


@frozen
class Spent:
    """What one attempt has told of its cost; None for what it has not."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    has_ended: bool = True


@frozen
class Total:
    """What some attempts have cost, as far as their agents told it.

    Attributes:
        attempts: that were started, those at work among them.
        input_tokens, output_tokens, cost_usd: None when no attempt told any.
        untold: how many of them have ended, or were cut short, without telling what they cost.
    """

    attempts: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    untold: int = 0

    @classmethod
    def of(cls, spent: Iterable[Spent]) -> Total:
        """The sum of what some attempts have cost."""
        all_spent = [*spent]
        costs = [each.cost_usd for each in all_spent if each.cost_usd is not None]
        return cls(
            attempts=len(all_spent),
            input_tokens=_sum(each.input_tokens for each in all_spent),
            output_tokens=_sum(each.output_tokens for each in all_spent),
            cost_usd=round(math.fsum(costs), EXACT_DIGITS) if costs else None,
            untold=sum(each.has_ended and each.cost_usd is None for each in all_spent),
        )

    @property
    def cost(self) -> str:
        """`4.21 USD`, `at least 4.21 USD`, or that nothing was told."""
        if self.cost_usd is None:
            return "cost not told" if self.untold else ""
        return f"{'at least ' if self.untold else ''}{dollars(self.cost_usd)} USD"

    @property
    def tokens(self) -> str:
        """`1,203 tokens in, 45 out`; empty when nothing was told."""
        if self.input_tokens is None and self.output_tokens is None:
            return ""
        return f"{self.input_tokens or 0:,} tokens in, {self.output_tokens or 0:,} out"

    @property
    def line(self) -> str:
        """All of it, for a person."""
        attempts = f"{self.attempts} attempt{'' if self.attempts == 1 else 's'}"
        return ", ".join(part for part in (attempts, self.tokens, self.cost) if part)


NOTHING = Total()


@frozen
class Totals:
    """What a run has cost over all its starts, and of that each agent and each work package, by its id."""

    run: Total = NOTHING
    by_agent: Mapping[str, Total] = field(factory=dict)
    by_work_package: Mapping[str, Total] = field(factory=dict)

    def lines(self) -> Iterator[str]:
        """The whole, then each agent's part of it; nothing when no agent told anything."""
        if not (self.run.tokens or self.run.cost_usd is not None):
            return
        yield f"spent: {self.run.line}"
        if len(self.by_agent) > 1:
            yield from (f"  {agent}: {total.line}" for agent, total in self.by_agent.items())


def _sum(told: Iterable[int | None]) -> int | None:
    figures = [each for each in told if each is not None]
    return sum(figures) if figures else None


def dollars(amount: float) -> str:
    """An amount of US dollars, in cents, or more exactly where cents say too little."""
    return f"{amount:.2f}" if amount >= 1 or round(amount, 2) == amount else f"{amount:.4f}"
