"""Batches that Arrow reads as a whole: what it accepts is what the slow way accepts, value for value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dizuo.testing.vectors.samples import AWKWARD_NUMBERS, AWKWARD_TEXTS, KEYS
from dizuo.vectors.exact.sort_keys import sort_keys_json
from dizuo.vectors.writing.checking import metadata_fault

pa = pytest.importorskip("pyarrow")

from dizuo.vectors.writing.metadata_columns import FEW, read_columns, sort_key_column  # noqa: E402

GOOD = '{"a": 1, "b": "x"}'


def rows_of(texts: list[str]) -> list[dict[str, Any]] | None:
    """Return the records if the slow way finds nothing to refuse."""
    try:
        rows = [json.loads(text) for text in texts]
    except ValueError:
        return None
    return None if any(metadata_fault(row) for row in rows) else rows


def test_rows_of_one_shape_are_read_and_shadowed_as_one_by_one() -> None:
    rows = [{"lang": ("zh", "en", "德")[n % 3], "year": 1990 + n, "share": n / 7, "ok": n % 2 == 0} for n in range(200)]
    columns = read_columns(pa.array([json.dumps(row, ensure_ascii=False) for row in rows]).slice(3, 150))
    assert columns is not None
    assert {key: column.to_pylist() for key, column in columns.items()} == {
        key: [row[key] for row in rows[3:153]] for key in rows[0]
    }
    assert sort_key_column(columns).to_pylist() == sort_keys_json(rows[3:153])


VALUES = st.one_of(
    st.sampled_from([*AWKWARD_NUMBERS, *AWKWARD_TEXTS, None, True, [1], {"a": 1}, 10.5]), st.text(max_size=3)
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_what_is_read_as_a_whole_is_what_is_read_one_by_one(data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.sampled_from([*KEYS, ""]), min_size=1, max_size=3, unique=True))
    kinds = [
        data.draw(st.sampled_from([VALUES, st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=4)]))
        for _ in keys
    ]
    shapes = [dict(zip(keys, (data.draw(kind) for kind in kinds), strict=True)) for _ in range(6)]
    texts = [json.dumps(shapes[n % 6], ensure_ascii=data.draw(st.booleans()) if n == 0 else False) for n in range(FEW)]
    try:
        columns = read_columns(pa.array(texts, pa.string()))
    except UnicodeEncodeError:  # half a surrogate pair is no Arrow text
        return
    if columns is not None:
        rows = rows_of(texts)
        assert rows is not None
        assert sort_key_column(columns).to_pylist() == sort_keys_json(rows)


OTHER = [
    "", "{}", "[]", "1", "null", '{"a": 1}', '{"a": 1, "b": null}', '{"a": 1, "b": "x", "c": 1}', '{"a": 1, "b": 2}',
    '{"a": true, "b": "x"}', '{"a": 9223372036854775808, "b": "x"}', '{"a": NaN, "b": "x"}', '{"a": 1e400, "b": "x"}',
    '{"a": 1, "b": "\\ud800"}', '{"a": 1, "b": "x"', '{"a": 1 "b": "x"}', '{"a": 1, "b": "x"}{"a": 1, "b": "x"}',
    '{"a": 1, "b": "x"}, 1', ' {"a": 1, "b": "x"}', '{"a": [1], "b": "x"}', '{"a": 1,\n "b": "x"}',
    "{'a': 1, 'b': 'x'}", '{"a": 01, "b": "x"}', '{"a": 1, "b": "x",}', '{"": 1, "b": "x"}',
]  # fmt: skip


@pytest.mark.parametrize("text", OTHER)
def test_one_record_of_another_shape_sends_the_batch_the_slow_way(text: str) -> None:
    for place in (0, 5, FEW):
        texts = [GOOD] * FEW
        texts.insert(place, text)
        columns = read_columns(pa.array(texts))
        assert columns is None, place
    assert read_columns(pa.array([GOOD] * FEW)) is not None
    # A broken text may hide in one that is too long.
    assert read_columns(pa.array([GOOD + GOOD, "", *[GOOD] * FEW])) is None


DOUBTFUL = [
    '{"a": 1, "b": "x", "a": 2}', '{"a": 1, "b": "x\x01"}', '{"a": 1, "b": "\x7f\u2028"}', '{"a": 1.0, "b": "x"}',
    '{"a": 1e3, "b": "x"}', '{"a": -0.0, "b": "x"}', '{"a": 5e-324, "b": "2020-01-01"}', '{"b": "x", "a": 1}',
]  # fmt: skip


@pytest.mark.parametrize("text", DOUBTFUL)
def test_doubtful_texts_are_read_as_python_reads_them_or_not_at_all(text: str) -> None:
    for place in (0, FEW):
        texts = [GOOD] * FEW
        texts.insert(place, text)
        columns = read_columns(pa.array(texts))
        if columns is not None:
            rows = rows_of(texts)
            assert rows is not None
            held = zip(*(column.to_pylist() for column in columns.values()), strict=True)
            assert [dict(zip(columns, row, strict=True)) for row in held] == rows
            found = [json.loads(sort_keys) for sort_keys in sort_key_column(columns).to_pylist()]
            assert found == [json.loads(sort_keys or "{}") for sort_keys in sort_keys_json(rows)]
