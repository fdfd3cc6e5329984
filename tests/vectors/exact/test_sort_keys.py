"""Sort keys compare as the values do."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dizuo.vectors.exact.sort_keys import element_key, key_range, sort_key, sort_keys, sort_keys_json
from dizuo.vectors.filters.matching import equal

NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [2**53, 2**53 + 1, 2.0**53, -(2**53) - 1, 2**63 - 1, 2.0**63, -(2**63), 0, -0.0, 5e-324, 1e16, 1e22]
    ),
)


@given(NUMBERS, NUMBERS)
def test_sortable_numbers_compare_as_numbers_do(left: float, right: float) -> None:
    assert (sort_key(left) < sort_key(right)) == (left < right)
    assert (sort_key(left) == sort_key(right)) == (left == right)


@given(st.one_of(NUMBERS, st.text(), st.booleans(), st.none()), st.one_of(NUMBERS, st.text(), st.booleans(), st.none()))
def test_sortable_values_are_equal_where_filters_say_so(left: Any, right: Any) -> None:
    assert (sort_key(left) == sort_key(right)) == equal(left, right)
    assert (element_key(right) in sort_key([left, "x\x1f\x1e0"])) == (equal(left, right) or equal("x\x1f\x1e0", right))
    rows = [{"k": left, 'say "hi"': right, "l": [left, right]}, {}, {"k": right, "m": {}}]
    texts = sort_keys_json(rows)
    assert [None if text is None else json.loads(text) for text in texts] == [sort_keys(row) or None for row in rows]


@given(st.text(), st.text())
def test_the_bounds_of_a_prefix_hold_what_begins_with_it(prefix: str, text: str) -> None:
    from dizuo.vectors.filters.tree import StartsWith

    low, high = key_range(StartsWith("k", prefix))
    for value in (text, prefix + text):
        inside = low.encode() <= sort_key(value).encode() < high.encode("utf-8", "surrogatepass")
        assert inside == value.startswith(prefix)
