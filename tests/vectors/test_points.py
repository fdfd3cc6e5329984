"""Blocks hold columns together; metadata comes back from its JSON text as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dizuo.vectors.points import Block, decode, decode_all, encode


def test_a_block_keeps_its_columns_together() -> None:
    table = np.arange(12, dtype=np.float32).reshape(6, 2)
    lists = Block(list("abcdef"), table, [{"n": n} for n in range(6)], ["x", None] * 3)
    arrow = Block(lists.ids_arrow, table, lists.metadata_arrow, lists.documents_arrow)
    for block in (lists, arrow):
        for part in (block.take([4, 1]), block.slice(1, 3), block.slice(5, 9)):
            for id, vector, metadata, document in zip(
                part.ids, part.vectors, part.metadata, part.documents, strict=True
            ):
                n = "abcdef".index(id)
                assert (vector.tolist(), metadata) == ([2 * n, 2 * n + 1], {"n": n})
                assert document == ("x" if n % 2 == 0 else None)
        assert block.row_bytes().tolist() == [8 + 1 + 7 + (n % 2 == 0) for n in range(6)]
        assert block.vectors_arrow.to_pylist() == table.tolist()
    assert lists.num_ids() == arrow.num_ids() == 6


JSON = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.none(),
    st.booleans(),
)


@given(st.dictionaries(st.text(min_size=1), JSON))
def test_json_text_keeps_types(metadata: dict[str, Any]) -> None:
    again = decode(encode(metadata))
    assert repr(again) == repr(metadata)


@pytest.mark.parametrize(
    "texts",
    [
        ['{"a":1', '"b":2}', "{},{}"],
        ['{"a":"}', '{"}', "{},null,{}"],
        ['{"a":[1', "2]}"],
        ["{}", ""],
        ["{}{}"],
        ["{},{}", "{}"],
    ],
)
def test_broken_texts_make_no_whole_one_together(texts: list[str]) -> None:
    assert decode_all(texts) is None
    assert decode_all(["{}", ' {"a": [1, null]} ', "[]"]) == [{}, {"a": [1, None]}, []]
    assert decode_all([]) == []
