"""An exact search over a stream of rows finds what one over all of them finds."""

from __future__ import annotations

import numpy as np
import pytest

from dizuo.vectors import field
from dizuo.vectors.exact.scan import find_nearest
from dizuo.vectors.points import Block, encode


def test_the_nearest_of_a_stream_are_those_of_the_whole() -> None:
    random = np.random.default_rng(0)
    table, queries = random.standard_normal((500, 6), np.float32), random.standard_normal((3, 6), np.float32)
    ids = [f"i{n}" for n in range(500)]
    texts = [encode({"n": n}) for n in range(500)]
    whole = Block(ids, table, texts, [None] * 500)
    parts = [whole.slice(start, start + 64) for start in range(0, 500, 64)]
    columns = frozenset({"metadata", "vectors"})
    for where in (None, field("n") < 77):
        split = find_nearest(parts, queries, k=9, metric="l2", columns=columns, where=where)
        for query, found in zip(queries, split, strict=True):
            scores = -np.sqrt(((table.astype(np.float64) - query) ** 2).sum(1))[: 500 if where is None else 77]
            assert found.rows.ids == [ids[n] for n in np.argsort(-scores)[:9]]
            assert found.scores == pytest.approx(np.sort(scores)[::-1][:9], abs=1e-9)
            assert (found.fetched, found.path) == (500, "exact")
            for id, row, vector in zip(found.rows.ids, found.rows.metadata, found.rows.vectors, strict=True):
                assert id == f"i{row['n']}"
                assert vector.tobytes() == table[row["n"]].tobytes()
