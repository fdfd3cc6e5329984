"""What every raw client does that dizuo's own cost is measured beside: the same as dizuo, in fewer steps.

Shapes: N rows, D dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pytest

from dizuo.vectors.benchmarking.raw import RAW, RawTable
from dizuo.vectors.points import Block
from dizuo.vectors.writing.arrow import to_record_batch

__all__ = ["RawClientSuite"]

DIM = 8


class RawClientSuite:
    """Subclass it with the client's `name` and a fixture `url`, the address of a database."""

    name: str
    """The name of its file, or of its entry point: the scheme of the URLs."""

    @pytest.fixture
    def table(self, url: str) -> Iterator[RawTable]:
        """Return an empty table, which is removed at the end."""
        table = RAW.load(self.name).open(url, DIM, f"raw-{uuid4().hex[:8]}")
        table.recreate()
        yield table
        table.close()

    def test_it_is_found_by_its_name(self, url: str) -> None:
        assert self.name in RAW.names()
        assert RAW.load(self.name).name == self.name
        assert url.partition("://")[0] == self.name

    def test_a_new_table_is_empty(self, table: RawTable) -> None:
        assert len(table.search(make_vectors(1)[0])) == 0

    def test_a_search_brings_the_ten_nearest_rows_whole(self, table: RawTable) -> None:
        vectors_ND = make_vectors(50)
        table.upsert(make_batch(range(50), vectors_ND))
        lengths_N = np.linalg.norm(vectors_ND, axis=1)
        for query_D in make_vectors(5, seed=1):
            cosines_N = vectors_ND @ query_D / (lengths_N * np.linalg.norm(query_D))
            nearest = np.argsort(-cosines_N)[:10]
            rows = table.search(query_D)
            assert [id for id, *_ in rows] == [f"row-{n}" for n in nearest]
            assert [cosine for _, cosine, *_ in rows] == pytest.approx(cosines_N[nearest].tolist(), abs=1e-5)
            assert [metadata for *_, metadata, _ in rows] == [{"n": int(n), "lang": "zh"} for n in nearest]
            assert [document for *_, document in rows] == [f"数据 {n}" for n in nearest]

    def test_a_row_of_the_same_id_is_replaced(self, table: RawTable) -> None:
        vectors_ND = make_vectors(5)
        table.upsert(make_batch(range(5), vectors_ND))
        table.upsert(make_batch(range(3, 8), -make_vectors(5)))
        rows = table.search(-vectors_ND[0])
        assert len(rows) == 8
        assert rows[0][0] == "row-3"
        assert rows[0][1] == pytest.approx(1, abs=1e-5)

    def test_words_find_all_that_was_written(self, table: RawTable) -> None:
        table.recreate(words=True)
        table.upsert(make_batch(range(5), make_vectors(5)))
        assert set(table.search_words("数据")) == {f"row-{n}" for n in range(5)}
        assert table.search_words("4") == ["row-4"]
        table.upsert(make_batch(range(4, 8), make_vectors(4)))
        assert set(table.search_words("数据")) == {f"row-{n}" for n in range(8)}
        assert set(table.search_words("7 4")) == {"row-7", "row-4"}

    def test_making_it_anew_empties_it(self, table: RawTable) -> None:
        table.upsert(make_batch(range(5), make_vectors(5)))
        table.recreate()
        assert len(table.search(make_vectors(1)[0])) == 0


def make_vectors(count: int, *, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return [N, D] random vectors."""
    return np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)


def make_batch(numbers: range, vectors_ND: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> pa.Table:
    """Return rows as the Arrow table that both sides are given."""
    metadata = [{"n": number, "lang": "zh"} for number in numbers]
    ids, documents = [f"row-{number}" for number in numbers], [f"数据 {number}" for number in numbers]
    return pa.Table.from_batches([to_record_batch(Block(ids, vectors_ND, metadata, documents))])
