"""A condition over tags and numbers holds for what the filter matches."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dizuo.testing.vectors.samples import AWKWARD_NUMBERS, AWKWARD_TEXTS, filters, metadata, scalars
from dizuo.vectors import Filter, field
from dizuo.vectors.exact.tags_and_numbers import (
    AllOf,
    AnyOf,
    Condition,
    FlatMetadata,
    Has,
    Lacks,
    Number,
    flatten,
    flatten_filter,
)
from dizuo.vectors.filters.matching import matches


def holds(condition: Condition, flat: FlatMetadata) -> bool:
    """What an engine does with a condition."""
    match condition:
        case Has(tag):
            return tag in flat.tags
        case Lacks(tag):
            return tag not in flat.tags
        case Number(column, order, value):
            held = flat.numbers.get(column)
            if held is None:
                return False
            return {
                "<": held < value,
                "<=": held <= value,
                ">": held > value,
                ">=": held >= value,
                "==": held == value,
            }[order]
        case AllOf(parts):
            return all(holds(part, flat) for part in parts)
        case AnyOf(parts):
            return any(holds(part, flat) for part in parts)


@settings(max_examples=1500, deadline=None)
@given(metadata(), filters())
def test_the_condition_holds_for_what_the_filter_matches(record: dict[str, Any], where: Filter) -> None:
    flat = flatten(record)
    for one in (where, ~where):
        condition, exact = flatten_filter(one)
        found, right = holds(condition, flat), matches(one, record)
        assert found == right if exact else found or not right


@pytest.mark.parametrize("compare", ["__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__"])
def test_every_number_compares_exactly_with_every_other(compare: str) -> None:
    numbers = [*AWKWARD_NUMBERS, 2**53 - 1, 2**62 + 1, -(2**62) - 1, 9.2e18, True]
    for held in numbers:
        flat = flatten({"x": held})
        for bound in numbers[:-1]:
            where = getattr(field("x"), compare)(bound)
            condition, exact = flatten_filter(where)
            assert exact
            assert holds(condition, flat) == matches(where, {"x": held}), (held, compare, bound)


@settings(max_examples=1000, deadline=None)
@given(st.text(alphabet="ab\0é字🙂", max_size=9), st.text(alphabet="ab\0é字🙂", max_size=9))
def test_texts_compare_by_code_point_as_far_as_their_first_bytes_tell(held: str, bound: str) -> None:
    flat = flatten({"x": held})
    x = field("x")
    for where in (x < bound, x <= bound, x > bound, x >= bound, x.startswith(bound)):
        for one in (where, ~where):
            condition, exact = flatten_filter(one)
            found, right = holds(condition, flat), matches(one, {"x": held})
            assert found == right if exact else found or not right
            assert exact or len(bound.encode()) >= 23  # startswith asks for one byte more


@given(scalars(), metadata(), metadata())
def test_numbers_left_over_from_earlier_metadata_do_no_harm(
    bound: Any, old: dict[str, Any], new: dict[str, Any]
) -> None:
    fresh = flatten(new)
    merged = FlatMetadata(fresh.tags, flatten(old).numbers | fresh.numbers)
    for key in ("lang", "year"):
        tests = [field(key) == bound, field(key) != bound]
        if bound is not None and not isinstance(bound, bool):
            tests += [field(key) < bound, field(key) >= bound]
        for where in tests:
            for one in (where, ~where):
                condition, _ = flatten_filter(one)
                assert holds(condition, merged) == holds(condition, fresh)


def test_a_filter_beyond_a_texts_first_bytes_says_that_it_is_wider() -> None:
    assert flatten_filter(field("x") < "x" * 23)[1]
    assert not flatten_filter(field("x") < "x" * 24)[1]
    assert flatten_filter(field("x") == "x" * 300)[1]
    assert all(flatten_filter(field("x") == text)[1] for text in AWKWARD_TEXTS)
