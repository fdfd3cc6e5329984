"""Parts of a filter are within the limits, apart from each other, and together what the filter means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dizuo.testing.vectors.areas.limits import alternating
from dizuo.testing.vectors.filter_trees import filter_trees, tree_points
from dizuo.testing.vectors.samples import filters, metadata
from dizuo.vectors import field
from dizuo.vectors.filters.fitting import NO_LIMITS, FilterLimits, count_conditions, depth, fit
from dizuo.vectors.filters.matching import matches
from dizuo.vectors.filters.normalising import normalise
from dizuo.vectors.filters.tree import And, Exists, Filter, In, Not, Or

X, Y = field("x"), field("y")
few = st.one_of(st.none(), st.integers(1, 6))
limits = st.builds(
    FilterLimits,
    depth=st.one_of(st.none(), st.integers(0, 4)),
    conditions=few,
    values=few,
    listed=st.one_of(st.none(), st.integers(1, 12)),
    lists=st.booleans(),
    text_order=st.integers(1, 3),
)


def check(where: Filter, rows: list[dict[str, Any]], most: FilterLimits) -> None:
    simple = normalise(where)
    parts = fit(simple, most)
    for part in parts:
        assert most.depth is None or depth(part.filter) <= most.depth
        assert most.conditions is None or count_conditions(part.filter, most) <= most.conditions
        assert most.values is None or max(lengths(part.filter), default=0) <= most.values
        assert most.listed is None or sum(lengths(part.filter)) <= most.listed
    for row in rows:
        right = matches(where, row)
        within = [part for part in parts if matches(part.filter, row)]
        assert len(within) <= 1, "two parts have the same record"
        if within and within[0].exact:
            assert right
        elif right:
            assert within, "no part has a record that matches"


def lengths(filter: Filter) -> list[int]:
    if isinstance(filter, And | Or):
        return [length for inner in filter.filters for length in lengths(inner)]
    if isinstance(filter, Not):
        return lengths(filter.filter)
    return [len(filter.values)] if isinstance(filter, In) else []


@settings(max_examples=400, deadline=None)
@given(filters(), st.lists(metadata(), min_size=1, max_size=4), limits)
def test_the_parts_of_a_filter_are_within_the_limits_and_mean_the_same_together(
    where: Filter, rows: list[dict[str, Any]], most: FilterLimits
) -> None:
    check(where, rows, most)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(filter_trees(200, seed=1)), limits)
def test_trees_of_six_levels_are_fitted_too(where: Filter, most: FilterLimits) -> None:
    check(where, [dict(point.metadata) for point in tree_points()], most)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=8, max_size=40), filters(), limits)
def test_long_lists_are_fitted_too(values: list[int], where: Filter, most: FilterLimits) -> None:
    rows = [{"x": n, "lang": "zh"} for n in range(0, 44, 3)] + [{"lang": "en"}, {"x": True, "year": 2020}]
    listed = X.in_(values)
    for one in (listed, ~listed, listed & where, listed | where, where & ~listed, (listed | where) & (X > 7)):
        check(one, rows, most)


def test_what_is_within_the_limits_is_one_part_itself() -> None:
    where = normalise((X == 1) & Y.in_([1, 2]))
    for most in (NO_LIMITS, FilterLimits(depth=1, conditions=2, values=2), FilterLimits(conditions=3, lists=False)):
        (part,) = fit(where, most)
        assert part.exact
        assert part.filter is where


def test_a_list_is_cut_into_parts_that_are_exact() -> None:
    where = normalise(X.in_(range(1000)) & (Y > 1))
    for most in (FilterLimits(values=100), FilterLimits(conditions=101, lists=False)):
        parts = fit(where, most)
        assert [len(part.filter.filters[0].values) for part in parts] == [100] * 10  # type: ignore[attr-defined]
        assert all(part.exact for part in parts)
    (part,) = fit(normalise(X.not_in(range(1000))), FilterLimits(values=100))
    assert part.exact
    assert len(part.filter.filters) == 10  # type: ignore[attr-defined]


def test_a_list_that_would_be_too_many_parts_becomes_the_existence_of_its_key() -> None:
    (part,) = fit(normalise(X.in_(range(1000)) & (Y > 1)), FilterLimits(conditions=2, lists=False))
    assert not part.exact
    assert {str(inner) for inner in part.filter.filters} == {"y > 1", str(Exists("x"))}  # type: ignore[attr-defined]


@pytest.mark.parametrize("levels", [16, 40, 200])
def test_many_levels_are_multiplied_out_and_stay_exact(levels: int) -> None:
    where = normalise(alternating(levels)[0])
    assert depth(where) > 12
    (part,) = fit(where, FilterLimits(depth=12, conditions=20_000))
    assert part.exact
    assert depth(part.filter) <= 12
