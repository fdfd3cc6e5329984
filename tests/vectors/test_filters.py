"""Filters: what they mean, how they are written, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dizuo.errors import VectorError
from dizuo.testing.vectors.samples import filters, metadata
from dizuo.vectors import field, parse_where
from dizuo.vectors.filters.matching import matches
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


@given(filters(), metadata())
def test_the_text_of_a_filter_means_the_filter(where: Filter, row: dict[str, Any]) -> None:
    again = parse_where(str(where))
    assert matches(again, row) == matches(where, row)
    assert keys(again) == keys(where)
    assert str(again) == str(where)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('lang == "zh" and year >= 2020', (LANG == "zh") & (YEAR >= 2020)),
        ("lang = 'zh' or not year < 3.5", (LANG == "zh") | ~(YEAR < 3.5)),
        ("a.b-c != -1e3", field("a.b-c") != -1000.0),
        ("`a b` == true", field("a b") == True),  # noqa: E712
        ('`say "hi"` == null', field('say "hi"') == None),  # noqa: E711
        ("lang in ['a', \"b\"] and lang not in ()", LANG.in_(["a", "b"]) & LANG.not_in([])),
        ("tags contains 'it\\'s' and not exists(year)", TAGS.contains("it's") & ~YEAR.exists()),
        ("lang startswith '数据'", LANG.startswith("数据")),
        ("LANG == 1 OR (year > 1 AND year < 3)", (field("LANG") == 1) | ((YEAR > 1) & (YEAR < 3))),
        ("标题 == '\\u4e2d'", field("标题") == "中"),
        ('lang == "say \\"hi\\""', LANG == 'say "hi"'),
        ("lang == 'say \"hi\"'", LANG == 'say "hi"'),
    ],
)
def test_people_write_filters_in_many_ways(source: str, expected: Filter) -> None:
    assert parse_where(source) == expected


@pytest.mark.parametrize(
    ("source", "message", "place"),
    [
        ("", "it is empty", 0),
        ("lang ==", "a value is missing", 7),
        ("lang == zh", "a value is expected", 8),
        ("== 'zh'", "a key is expected", 0),
        ("(lang == 'zh'", "`)` is missing", 13),
        ("lang == 'zh' year > 1", "it should end here", 13),
        ("lang ~ 'zh'", "this is no part of a filter", 5),
        ("lang like 'zh'", "a comparison is expected", 5),
        ("lang in 'zh'", "a list is expected", 8),
        ("lang in ['zh' 'en']", "`,` or `]` is expected", 14),
        ("year < true", "is ordered against True", 5),
        ("lang startswith 3", "startswith takes text", 16),
        ("lang == 'a\\q'", "an escape that JSON does not know", 8),
        ("year == 99999999999999999999", "does not fit in 64 bits", 5),
    ],
)
def test_a_filter_that_cannot_be_read_is_refused_at_its_place(source: str, message: str, place: int) -> None:
    with pytest.raises(VectorError) as caught:
        parse_where(source)
    assert message in caught.value.message
    assert caught.value.details[1].index("^") == place


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


@given(st.text(min_size=1))
def test_any_key_has_a_text_form(key: str) -> None:
    assert parse_where(str(field(key).exists())) == field(key).exists()
