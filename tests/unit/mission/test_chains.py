"""How long the chain is that each work package begins."""

from __future__ import annotations

from itertools import pairwise, permutations

from hypothesis import given
from hypothesis import strategies as st

from spec_kitty_orchestrator.mission.chains import chain_lengths

NAMES = [f"WP{number:02}" for number in range(1, 7)]
Dependencies = dict[str, tuple[str, ...]]
GRAPHS = st.fixed_dictionaries(dict.fromkeys(NAMES, st.lists(st.sampled_from(NAMES), max_size=2).map(tuple)))
"""Whatever people write: circles, a work package that waits for itself, the same one named twice."""


def can_be_done(wanted: set[str], dependencies: Dependencies) -> set[str]:
    """Those that would be done at last if everything that can start is done, again and again."""
    done: set[str] = set()
    while new := {each for each in wanted - done if {*dependencies[each]} & wanted <= done}:
        done |= new
    return done


def longest_from(first: str, members: set[str], dependencies: Dependencies) -> int:
    """By trying all sequences in which each one waits for the one before it."""
    others = sorted(members - {first})
    return max(
        1 + count
        for count in range(len(others) + 1)
        for rest in permutations(others, count)
        if all(one in dependencies[next_] for one, next_ in pairwise((first, *rest)))
    )


@given(GRAPHS, st.sets(st.sampled_from(NAMES), max_size=5))
def test_the_length_is_that_of_the_longest_chain_that_can_be_done(
    dependencies: Dependencies, wanted: set[str]
) -> None:
    can = can_be_done(wanted, dependencies)
    lengths = {each: longest_from(each, can, dependencies) if each in can else 0 for each in wanted}
    assert chain_lengths(wanted, dependencies) == lengths


@given(GRAPHS)
def test_longer_chains_first_is_an_order_of_all_with_dependencies_before_dependents(
    dependencies: Dependencies,
) -> None:
    lengths = chain_lengths(NAMES, dependencies)
    order = sorted(NAMES, key=lambda name: -lengths[name])
    assert sorted(order) == NAMES
    for wp_id, others in dependencies.items():
        for other in others:
            assert not lengths[wp_id] or lengths[other] > lengths[wp_id]


def test_what_is_done_or_not_in_the_mission_is_in_no_chain() -> None:
    dependencies: Dependencies = {"WP01": (), "WP02": ("WP01",), "WP03": ("WP02", "WP99"), "WP04": ("WP03",)}
    assert chain_lengths(["WP01", "WP03", "WP04"], dependencies) == {"WP01": 1, "WP03": 2, "WP04": 1}


def test_those_that_wait_for_each_other_hold_nothing_up_and_do_not_hang() -> None:
    dependencies: Dependencies = {
        "WP01": (),
        "WP02": ("WP01", "WP03"),
        "WP03": ("WP02",),
        "WP04": ("WP03",),
        "WP05": ("WP01",),
    }
    lengths = chain_lengths(dependencies, dependencies)
    assert lengths == {"WP01": 2, "WP02": 0, "WP03": 0, "WP04": 0, "WP05": 1}


def test_a_long_chain_needs_no_deep_stack() -> None:
    names = [f"WP{number:04}" for number in range(5000)]
    dependencies: Dependencies = {one: (other,) for other, one in pairwise(names)}
    assert chain_lengths(names, dependencies)["WP0000"] == 5000
