"""The simplest form of a filter means the same, and is simple."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from dizuo.errors import VectorError
from dizuo.testing.vectors.filter_trees import filter_trees, tree_points
from dizuo.testing.vectors.samples import filters, metadata
from dizuo.vectors import field
from dizuo.vectors.filters.matching import matches
from dizuo.vectors.filters.normalising import DEEPEST, FALSE, TRUE, check_depth, normalise
from dizuo.vectors.filters.parsing import parse
from dizuo.vectors.filters.tree import And, Compare, Filter, In, Not, Or, operators

X, Y = field("x"), field("y")


@settings(max_examples=300, deadline=None)
@given(filters(), metadata())
def test_the_simplest_form_means_the_same(where: Filter, row: dict[str, Any]) -> None:
    for lists in (True, False):
        simple = normalise(where, lists=lists)
        assert matches(simple, row) == matches(where, row)
        assert normalise(simple, lists=lists) == simple
        check_simple(simple)
        if not lists:
            assert operators(simple) <= operators(where) | {"=="}  # from !=


def test_generated_trees_mean_the_same_in_the_simplest_form() -> None:
    rows = [point.metadata for point in tree_points()]
    for where in filter_trees(500):
        simple = normalise(where)
        assert [matches(simple, row) for row in rows] == [matches(where, row) for row in rows]
        check_simple(simple)


def check_simple(filter: Filter, outer: type[And] | type[Or] | None = None) -> None:
    """Assert that And and Or alternate, that Not stands around single conditions, and that no truth value is left."""
    if isinstance(filter, And | Or):
        assert type(filter) is not outer
        assert len(filter.filters) > 1 or (not filter.filters and outer is None)
        for inner in filter.filters:
            check_simple(inner, type(filter))
    elif isinstance(filter, Not):
        assert not isinstance(filter.filter, And | Or | Not)
        assert filter.filter != In("x", ())


@pytest.mark.parametrize(
    ("where", "simple"),
    [
        ((X == 1) | (X == 2) | X.in_([2, 3]), In("x", (1, 2, 3))),
        ((X == 1) | ((X == True) | (X == 1.0)), In("x", (1, True))),  # noqa: E712
        ((X != 1) & X.not_in([2]) & (Y == 1), And((Not(In("x", (1, 2))), Compare("y", "==", 1)))),
        (~((X == 1) | (X == 2)), Not(In("x", (1, 2)))),
        ((X == 1) & (X == 1), Compare("x", "==", 1)),
        ((X == 1) & (X == True), And((Compare("x", "==", 1), Compare("x", "==", True)))),  # noqa: E712
        (~~(X < 1), Compare("x", "<", 1)),
        (X.in_([]) | (Y == 1), Compare("y", "==", 1)),
        (X.in_([]) & (Y == 1), FALSE),
        (X.not_in([]) & (Y == 1), Compare("y", "==", 1)),
        (X.not_in([]) | (Y == 1), TRUE),
        (X.in_([7, 7.0]), Compare("x", "==", 7)),
        (parse("x == 1 or (x == 2 or (y == 1 or x == 3))"), Or((In("x", (1, 2, 3)), Compare("y", "==", 1)))),
        (And((And(()), Or((Or(()),)))), FALSE),
    ],
    ids=str,
)
def test_what_the_simplest_form_is(where: Filter, simple: Filter) -> None:
    assert repr(normalise(where)) == repr(simple)  # Python says that 1 equals True


def test_levels_are_counted_whatever_they_are() -> None:
    where: Filter = X == 1
    for n in range(DEEPEST):
        where = (where & (n == Y)) if n % 2 else (where | (n == Y))
    check_depth(where)
    for row in ({"x": 1, "y": DEEPEST - 1}, {"y": DEEPEST - 2}, {}):
        assert matches(normalise(where), row) == matches(where, row)
    assert parse(str(where)) == where
    for deeper in (~where, where | (Y == 1)):
        with pytest.raises(VectorError, match=r"nests 201 levels deep, and 200 is the most"):
            check_depth(deeper)


@pytest.mark.parametrize("text", ["(" * 300 + "x == 1" + ")" * 300, "not " * 300 + "x == 1", "(" * 100_000])
def test_a_text_that_nests_too_deep_is_refused_before_pythons_stack_ends(text: str) -> None:
    with pytest.raises(VectorError, match="levels deep"):
        parse(text)
