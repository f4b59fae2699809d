"""How much hangs on each work package: the longest chain of those that wait for it. Decides the order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping


def chain_lengths(wanted: Collection[str], dependencies: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """How many work packages must be done one after the other from each one on, itself included.

    Args:
        wanted: those that are to be done, and are not done yet; only they count.
        dependencies: what each depends on; may name others.

    Returns:
        the length for each of `wanted`. Those that wait for each other can never start: neither they nor what
        waits for them is counted, and theirs is 0.
    """
    needs = {wp_id: {*dependencies.get(wp_id, ())}.intersection(wanted) for wp_id in wanted}
    dependents: dict[str, list[str]] = {wp_id: [] for wp_id in needs}
    for wp_id, others in needs.items():
        for other in others:
            dependents[other].append(wp_id)
    waits = Counter({wp_id: len(others) for wp_id, others in needs.items()})
    in_order = [wp_id for wp_id in needs if not waits[wp_id]]
    for wp_id in in_order:  # it grows while it is read
        waits.subtract(dependents[wp_id])
        in_order += [each for each in dependents[wp_id] if not waits[each]]
    lengths = dict.fromkeys(needs, 0)
    for wp_id in reversed(in_order):
        lengths[wp_id] = 1 + max((lengths[each] for each in dependents[wp_id]), default=0)
    return lengths
