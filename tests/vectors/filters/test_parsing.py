"""The text form of filters is read as it is written, and faults are shown at their place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dizuo.errors import VectorError
from dizuo.testing.vectors.samples import filters, metadata
from dizuo.vectors import field, parse_where
from dizuo.vectors.filters.matching import matches
from dizuo.vectors.filters.tree import Filter, keys

YEAR, LANG, TAGS = field("year"), field("lang"), field("tags")


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


@given(st.text(min_size=1))
def test_any_key_has_a_text_form(key: str) -> None:
    assert parse_where(str(field(key).exists())) == field(key).exists()
