"""Points, blocks and Arrow columns become checked blocks; bad rows are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dizuo.errors import VectorError
from dizuo.vectors import Refused, connect
from dizuo.vectors.points import Block
from dizuo.vectors.writing.sources import read_blocks


def test_small_arrow_batches_are_put_together_and_large_ones_cut() -> None:
    schema = pa.schema([("id", pa.string()), ("vector", pa.list_(pa.float32(), 2))])
    batches = [pa.record_batch({"id": [str(n)], "vector": [[1.0, n]]}, schema=schema) for n in range(20)]
    parts = [len(block) for block, _ in read_blocks(iter(batches), dim=2, metric="l2", rows=8, size=10**6)]
    assert parts == [8, 8, 4]
    whole = pa.Table.from_batches(batches).combine_chunks()
    assert [len(block) for block, _ in read_blocks(whole, dim=2, metric="l2", rows=8, size=10**6)] == [8, 8, 4]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["a"], "vector": [[1.0, 2.0]], "year": [1]}, "these Arrow columns are not those of points"),
        ({"id": ["a"]}, "these Arrow columns are not those of points"),
        ({"id": [1], "vector": [[1.0, 2.0]]}, "not string"),
        ({"id": ["a"], "vector": ["x"]}, "not a list of float32"),
        ({"id": ["a"], "vector": [[1.0, 2.0]], "metadata": [1]}, "not JSON text or a struct"),
    ],
)
def test_arrow_columns_of_another_kind_are_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(VectorError, match=message):
        connect("memory://", dim=2).upsert(pa.table(columns))


def test_bad_rows_in_arrow_columns_are_named() -> None:
    columns = {
        "id": ["ok", "", None, "nul\0", "short", "null", "nan", "json", "list", "big"],
        "vector": [[1.0, 2.0]] * 4 + [[1.0], None, [1.0, float("nan")]] + [[1.0, 2.0]] * 3,
        "metadata": ["{}"] * 7 + ["{", "[]", '{"n": 99999999999999999999}'],
    }
    result = connect("memory://", dim=2).upsert(pa.table(columns), errors="collect")
    assert result.rows == 1
    assert result.failed == {
        "": "the id is empty",
        "None": "the id is null",
        "nul\0": "the id has a NUL character",
        "short": "the vector has 1 numbers, not 2",
        "null": "the vector is not a list of numbers",
        "nan": "the vector has NaN at place 1",
        "json": result.failed["json"],
        "list": "the metadata is a list, not a mapping",
        "big": "metadata.n is 99999999999999999999, which does not fit in 64 bits",
    }
    assert "not JSON" in result.failed["json"]


def test_blocks_of_a_users_own_are_checked_too() -> None:
    ones = np.ones((6, 2), np.float32)
    texts = ["{}", "{", "[]", '{"n": 1e999}', "{}", "{}"]
    block = Block(["ok", "json", "list", "inf", "nul\0", "half"], ones, texts, [None] * 5 + ["\ud800"])
    store = connect("memory://", dim=2)
    result = store.upsert(block, errors="collect")
    assert result.rows == store.count() == 1
    assert set(result.failed) == {"json", "list", "inf", "nul\0", "half"}
    assert store.upsert([Block(["bare"], ones[:1]), Block(["dict"], ones[:1], [{"n": 1}])]).rows == 2
    assert [point.metadata for point in store.fetch(["bare", "dict"])] == [{}, {"n": 1}]
    with pytest.raises(Refused, match="does not fit"):
        store.upsert(Block(["wide"], np.ones((1, 3), np.float32)))
