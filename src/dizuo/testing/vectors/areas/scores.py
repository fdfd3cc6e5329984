"""Scores are higher where nearer, equal the oracle's, and tie by id."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dizuo.testing.vectors.comparing import assert_same_hits
from dizuo.testing.vectors.opening import Connect, Opening
from dizuo.testing.vectors.samples import clusters, points, vectors
from dizuo.vectors import Point
from dizuo.vectors.scores import METRICS, Metric

__all__ = ["Scores"]


class Scores(Opening):
    """Scores equal the oracle's, ties by id."""

    @pytest.mark.parametrize("metric", METRICS)
    def test_scores_and_order_equal_the_oracles(self, connect: Connect, metric: Metric) -> None:
        table, queries = clusters(300, 24, seed=1)
        store, oracle = self.both(connect, 24, metric)
        rows = [Point(f"p{n:03}", vector, {"n": n}, f"text {n}") for n, vector in enumerate(table)]
        store.upsert(rows)
        oracle.upsert(rows)
        for query in queries[:6]:
            for exact in (True, False):
                hits = assert_same_hits(store, oracle, query, k=10, exact=exact)
                assert [hit.metadata["n"] for hit in hits] == [int(hit.id[1:]) for hit in hits]
                assert [hit.document for hit in hits] == [f"text {int(hit.id[1:])}" for hit in hits]
        assert assert_same_hits(store, oracle, queries[0], k=1000).path == "exact"

    @pytest.mark.parametrize("metric", METRICS)
    def test_scores_of_generated_vectors_equal_the_oracles(self, connect: Connect, metric: Metric) -> None:
        store, oracle = self.both(connect, 5, metric)

        @settings(max_examples=self.examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(points(5), vectors(5), st.integers(1, 15))
        def check(rows: list[Point], query: list[float], k: int) -> None:
            store.clear()
            oracle.clear()
            store.upsert(rows)
            oracle.upsert(rows)
            assert_same_hits(store, oracle, query, k=k)

        check()

    def test_a_score_is_what_its_metric_says(self, connect: Connect) -> None:
        expected = {"cosine": [1.0, 0.6, -1.0], "dot": [2.0, 12.0, -3.0], "l2": [-1.0, -8.5440037, -4.0]}
        rows = [Point("same way", [2, 0]), Point("aside", [12, -16]), Point("back", [-3, 0])]
        # Of each against the query (1, 0): |(2,0)-(1,0)| = 1; (12,-16)·(1,0) = 12, over 20; and so on.
        expected["l2"][1] = -float(np.hypot(11, 16))
        for metric, scores in expected.items():
            store = connect(dim=2, metric=metric)
            store.upsert(rows)
            by_id = {hit.id: hit.score for hit in store.search([1, 0], exact=True)}
            for row, score in zip(rows, scores, strict=True):
                assert by_id[row.id] == pytest.approx(score, rel=1e-5), (metric, row.id)

    def test_equal_scores_come_in_the_order_of_ids_also_at_the_cut(self, connect: Connect) -> None:
        store = connect(dim=3)
        ids = ["b", "a", "Z", "é", "10", "9", "数", "c", "d", "e", "🙂", "\uffee"]
        store.upsert([Point(id, [1, 2, 3], {"n": n}) for n, id in enumerate(ids)])
        store.upsert([Point("far", [-1, -2, -3])])
        right = sorted(ids)
        for k in (1, 2, 5, len(ids)):
            assert store.search([1, 1, 1], k=k, exact=True).ids == right[:k]
        assert store.search([1, 1, 1], k=3, where="n < 4", exact=True).ids == sorted(ids[:4])[:3]

    @pytest.mark.parametrize("metric", METRICS)
    def test_the_vector_of_a_hit_comes_on_request_and_unchanged(self, connect: Connect, metric: Metric) -> None:
        store = connect(dim=4, metric=metric)
        vector = np.array([0.1, -7.25, 3e-5, 100], np.float32)
        store.upsert(Point("a", vector))
        assert store.search(vector)[0].vector is None
        hit = store.search(vector, vectors=True)[0]
        assert hit.vector is not None
        assert hit.vector.dtype == np.float32
        assert hit.vector.tobytes() == vector.tobytes()

    def test_several_queries_are_answered_as_one_by_one(self, connect: Connect) -> None:
        table, queries = clusters(120, 12, seed=2)
        store = connect(dim=12)
        store.upsert([Point(str(n), vector, {"even": n % 2 == 0}) for n, vector in enumerate(table)])
        together = store.search_many(queries, 7, where="even == true", exact=True)
        assert len(together) == len(queries)
        for query, hits in zip(queries, together, strict=True):
            alone = store.search(query, 7, where="even == true", exact=True)
            assert hits.ids == alone.ids
            assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in alone], abs=1e-6)

    def both(self, connect: Connect, dim: int, metric: Metric) -> tuple:  # type: ignore[type-arg]
        """Return a store under test and the oracle."""
        from dizuo.vectors import connect as plain

        return connect(dim=dim, metric=metric), plain("memory://", dim=dim, metric=metric)
