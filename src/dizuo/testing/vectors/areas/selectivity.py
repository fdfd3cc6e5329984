"""k means k, at any selectivity, and the engine does the ranking."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import pytest

from dizuo.testing.vectors.opening import Connect, Opening, lacking
from dizuo.testing.vectors.samples import clusters
from dizuo.vectors import VectorStore
from dizuo.vectors import connect as plain
from dizuo.vectors.points import Block, Floats

__all__ = ["Selectivity"]

DIM = 32
SHARES = {"all": None, "10 %": "bucket < 100", "1 %": "bucket < 10", "0.1 %": "bucket == 7"}
RECALL = 0.95
Note = Callable[[str, object], None]


class Selectivity(Opening):
    """k means k."""

    @pytest.mark.slow
    def test_k_rows_come_back_at_any_selectivity(self, connect: Connect, record_property: Note) -> None:
        store, oracle, queries = self.with_clusters(connect)
        store.optimize()
        self.compare(store, oracle, queries)
        record_property("p50 automatic", _median(store, queries))

    @pytest.mark.slow
    def test_k_rows_come_back_from_an_index_too(self, connect: Connect, record_property: Note) -> None:
        store, oracle, queries = self.with_clusters(connect, forced=True)
        lacking(store, "index")
        store.optimize(force_index=True)
        engine = store.info().engine
        assert engine.index != "none"
        assert engine.indexed_rows == self.rows, f"the index covers {engine.indexed_rows:,} rows of {self.rows:,}"
        assert store.search(queries[0]).path == "index"
        self.compare(store, oracle, queries)
        record_property("p50 index", _median(store, queries))
        # What is written after the index was built is found too.
        extra = queries[:1] * np.float32(1.0001)
        store.upsert(Block(["new"], extra, ['{"bucket":7}'], [None]))
        assert "new" in store.search(queries[0], k=10).ids
        assert "new" in store.search(queries[0], k=10, where="bucket == 7").ids
        store.delete("new")
        assert "new" not in store.search(queries[0], k=10).ids

    def compare(self, store: VectorStore, oracle: VectorStore, queries: Floats) -> None:
        """Assert counts, recall and fetched rows over all selectivities, and a filter that avoids the neighbourhood."""
        k = 10
        for share, where in SHARES.items():
            right = [hits.ids for hits in oracle.search_many(queries, k, where=where)]
            answers = store.search_many(queries, k, where=where)
            recalls = [len({*a.ids} & {*b}) / len(b) for a, b in zip(answers, right, strict=True)]
            assert [len(hits) for hits in answers] == [len(ids) for ids in right], f"k rows at {share}"
            assert float(np.mean(recalls)) >= RECALL, f"recall {np.mean(recalls):.3f} at {share}"
            for hits in answers:
                assert hits.fetched <= 10 * k, f"{hits.fetched} rows were fetched for {k} at {share} ({hits.path})"
            exact = store.search_many(queries[:3], k, where=where, exact=True)
            assert [hits.ids for hits in exact] == right[:3], f"exact=True at {share}"
            assert {hits.path for hits in exact} == {"exact"}
        # More asked for than match: all of them come.
        few = oracle.count("bucket == 7")
        assert len(store.search(queries[0], k=3 * few, where="bucket == 7")) == few
        # All that match lie far from the query: what a filter after the index never finds.
        far = oracle.search(-queries[0], k=40)
        store.update_metadata({id: {"far": True} for id in far.ids})
        oracle.update_metadata({id: {"far": True} for id in far.ids})
        for query in (queries[0], queries[1]):
            right_ids = oracle.search(query, k, where="far == true").ids
            ids = store.search(query, k, where="far == true").ids
            assert len(ids) == k
            assert len({*ids} & {*right_ids}) >= RECALL * k - 0.5

    def with_clusters(self, connect: Connect, *, forced: bool = False) -> tuple[VectorStore, VectorStore, Floats]:
        """Return a store and the oracle with the same clustered vectors and a number `bucket` from 0 to 999."""
        table, queries = clusters(self.rows, DIM, seed=3)
        buckets = np.random.default_rng(4).permutation(self.rows) % 1000
        ids = [f"p{n}" for n in range(self.rows)]
        block = Block(ids, table, [f'{{"bucket":{bucket}}}' for bucket in buckets.tolist()], [None] * self.rows)
        store, oracle = connect(dim=DIM), plain("memory://", dim=DIM)
        if not (forced and not store.capabilities.index):
            store.upsert(block)
            oracle.upsert(block)
        return store, oracle, queries


def _median(store: VectorStore, queries: Floats) -> str:
    """Return the median time of an unfiltered search and of one at 1 %, with its path, as text for the table."""
    medians = []
    for where in (None, SHARES["1 %"]):
        times = []
        for query in queries:
            began = time.perf_counter()
            hits = store.search(query, 10, where=where)
            times.append(time.perf_counter() - began)
        medians.append(f"{1000 * statistics.median(times):.1f} ms {hits.path}")
    return ", ".join(medians)
