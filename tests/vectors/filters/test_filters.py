"""Filters: what they mean and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dizuo.errors import VectorError
from dizuo.testing.vectors.samples import KEYS, filters, metadata, scalars
from dizuo.vectors import field
from dizuo.vectors.filters.matching import matcher, matches
from dizuo.vectors.filters.tree import And, Filter, Not, Or, keys, negations_inside, operators

YEAR, LANG, TAGS = field("year"), field("lang"), field("tags")


@pytest.mark.parametrize(
    ("where", "metadata", "expected"),
    [
        (LANG == "zh", {"lang": "zh"}, True),
        (LANG == "zh", {}, False),
        (LANG != "zh", {}, True),
        (LANG != "zh", {"lang": None}, True),
        (LANG == None, {"lang": None}, True),  # noqa: E711
        (LANG == None, {}, False),  # noqa: E711
        (YEAR == 1, {"year": True}, False),
        (YEAR == True, {"year": 1}, False),  # noqa: E712
        (YEAR == True, {"year": True}, True),  # noqa: E712
        (YEAR == 1, {"year": 1.0}, True),
        (YEAR >= 1.5, {"year": 2}, True),
        (YEAR < 5, {"year": "4"}, False),
        (YEAR < 5, {}, False),
        (~(YEAR < 5), {}, True),
        (YEAR < 5, {"year": True}, False),
        (YEAR == 2**53 + 1, {"year": 2**53}, False),
        (YEAR > 2**53, {"year": 2**53 + 1}, True),
        (LANG < "b", {"lang": "a"}, True),
        (LANG < "a", {"lang": "Z"}, True),
        (LANG.in_([]), {"lang": "zh"}, False),
        (LANG.not_in([]), {"lang": "zh"}, True),
        (LANG.in_(["zh", 1]), {"lang": 1.0}, True),
        (LANG.not_in(["zh"]), {}, True),
        (LANG.exists(), {"lang": None}, True),
        (LANG.exists(), {}, False),
        (TAGS.contains("a"), {"tags": ["b", "a"]}, True),
        (TAGS.contains("a"), {"tags": "a"}, False),
        (TAGS.contains(1), {"tags": [True]}, False),
        (TAGS.contains(1), {"tags": [1.0]}, True),
        (TAGS.contains(None), {"tags": [None]}, True),
        (TAGS.contains("a"), {}, False),
        (LANG.startswith("z"), {"lang": "zh"}, True),
        (LANG.startswith("Z"), {"lang": "zh"}, False),
        (LANG.startswith(""), {"lang": 1}, False),
        (LANG.startswith("%"), {"lang": "zh"}, False),
    ],
)  # fmt: skip
def test_filters_have_two_valued_logic(where: Filter, metadata: dict[str, Any], expected: bool) -> None:
    assert matches(where, metadata) is expected
    assert matches(~where, metadata) is not expected


@given(filters(), metadata(), st.lists(scalars(), min_size=9, max_size=20), st.sampled_from(KEYS))
def test_a_matcher_says_what_matches_says(where: Filter, row: dict[str, Any], values: list[Any], key: str) -> None:
    listed = field(key).in_(values)
    for one in (where, listed, ~listed, where | ~listed, where & listed):
        assert matcher(one)(row) == matches(one, row)
        assert matcher(one)({**row, key: values[0]}) == matches(one, {**row, key: values[0]})


@given(filters(), metadata())
def test_negations_move_inside_without_changing_the_meaning(where: Filter, row: dict[str, Any]) -> None:
    inside = negations_inside(where)
    assert matches(inside, row) == matches(where, row)

    def check(filter: Filter) -> None:
        if isinstance(filter, And | Or):
            for one in filter.filters:
                check(one)
        elif isinstance(filter, Not):
            assert not isinstance(filter.filter, And | Or | Not)

    check(inside)


def test_a_filter_has_no_truth_value() -> None:
    with pytest.raises(VectorError, match="no truth value"):
        print(LANG == "zh" and YEAR > 1)
    with pytest.raises(VectorError, match="combine filters with &"):
        print(2020 <= YEAR <= 2024)


@pytest.mark.parametrize(
    "make",
    [
        lambda: YEAR < None,
        lambda: YEAR >= True,
        lambda: float("nan") == YEAR,
        lambda: YEAR == 2**63,
        lambda: LANG == ["zh"],
        lambda: LANG.in_("zh"),
        lambda: LANG.startswith(1),
        lambda: LANG == "\ud800",
        lambda: (LANG == "zh") & "year > 1",
        lambda: field(""),
    ],
)
def test_what_cannot_be_compared_is_refused(make: Any) -> None:
    with pytest.raises(VectorError):
        make()


def test_a_filter_names_its_keys_and_operators() -> None:
    where = (LANG == "zh") & (YEAR.in_([1]) | ~TAGS.contains("x"))
    assert keys(where) == {"lang", "year", "tags"}
    assert operators(where) == {"==", "in", "contains"}
    assert keys(None) == operators(None) == frozenset()
