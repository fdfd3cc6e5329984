"""What goes in comes out bit for bit, by fetch, scan and search."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dizuo.testing.vectors.comparing import assert_same_points, strict
from dizuo.testing.vectors.opening import Connect, Opening
from dizuo.testing.vectors.samples import AWKWARD_IDS, AWKWARD_METADATA, AWKWARD_TEXTS
from dizuo.vectors import Point

__all__ = ["RoundTrips"]


class RoundTrips(Opening):
    """Bit for bit."""

    def test_metadata_comes_back_as_it_went_in(self, connect: Connect) -> None:
        store = connect(dim=2)
        rows = [Point(f"m{n}", [1, n], metadata) for n, metadata in enumerate(AWKWARD_METADATA)]
        store.upsert(rows)
        assert_same_points(store.points(), rows)
        assert_same_points(store.fetch([row.id for row in rows]), rows)
        by_id = {hit.id: hit.metadata for hit in store.search([1, 0], k=100)}
        assert {id: strict(row) for id, row in by_id.items()} == {row.id: strict(row.metadata) for row in rows}

    def test_metadata_that_was_updated_comes_back_as_it_went_in(self, connect: Connect) -> None:
        store = connect(dim=2)
        rows = [Point(f"m{n}", [1, n], metadata, "text") for n, metadata in enumerate(AWKWARD_METADATA)]
        store.upsert([Point(row.id, row.vector, {"before": 1}, row.document) for row in rows])
        assert store.update_metadata({row.id: row.metadata for row in rows}, replace=True) == len(rows)
        assert_same_points(store.points(), rows)

    def test_ids_come_back_as_they_went_in(self, connect: Connect) -> None:
        store = connect(dim=2)
        rows = [Point(id, [1, n], {"n": n}, id) for n, id in enumerate(AWKWARD_IDS)]
        assert store.upsert(rows).rows == len(rows)
        assert store.count() == len(rows)
        assert_same_points(store.fetch(AWKWARD_IDS), rows)
        assert sorted(store.search([1, 0], k=100).ids) == sorted(AWKWARD_IDS)
        for id in AWKWARD_IDS:
            assert [point.id for point in store.fetch(id)] == [id]
            assert store.update_metadata({id: {"seen": id}}) == 1
        assert store.delete(AWKWARD_IDS[::2]) == len(AWKWARD_IDS[::2])
        assert sorted(point.id for point in store.points()) == sorted(AWKWARD_IDS[1::2])

    def test_documents_come_back_as_they_went_in(self, connect: Connect) -> None:
        store = connect(dim=2)
        texts = [None, *AWKWARD_TEXTS, "line\nline\r\n", "字" * 20_000, "word " * 5000]
        rows = [Point(f"d{n}", [1, n], {}, text) for n, text in enumerate(texts)]
        store.upsert(rows)
        assert_same_points(store.points(), rows)
        by_id = {hit.id: hit.document for hit in store.search([1, 0], k=100)}
        assert by_id == {row.id: row.document for row in rows}

    def test_vectors_come_back_to_the_last_bit(self, connect: Connect) -> None:
        numbers = [0.1, 1 / 3, -0.0, 0.0, 1e-45, 1.1754944e-38, 1e18, -1e18, 16777217, 1e-20, np.pi, 65504, 65520.5]
        for metric in ("l2", "cosine", "dot"):
            store = connect(dim=len(numbers), metric=metric)
            random = np.random.default_rng(5).standard_normal((20, len(numbers))).astype(np.float32)
            table = np.vstack([np.array([numbers, numbers[::-1]], np.float32), random * np.float32(1e-3), random])
            rows = [Point(f"v{n}", vector) for n, vector in enumerate(table)]
            store.upsert(rows)
            assert_same_points(store.points(), rows)
            assert_same_points(store.fetch([row.id for row in rows]), rows)
            for hit in store.search(table[5], k=50, vectors=True):
                assert hit.vector is not None
                assert hit.vector.tobytes() == table[int(hit.id[1:])].tobytes()

    def test_generated_json_comes_back_as_it_went_in(self, connect: Connect) -> None:
        store = connect(dim=2)
        text = st.text(max_size=20)
        number = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
        keys = st.text(min_size=1, max_size=8)
        json = st.recursive(
            st.one_of(st.none(), st.booleans(), number, text),
            lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner)),
            max_leaves=12,
        )
        rows = st.lists(
            st.tuples(st.dictionaries(st.text(min_size=1, max_size=12), json, max_size=5), st.one_of(st.none(), text)),
            min_size=1,
            max_size=6,
        )

        @settings(max_examples=2 * self.examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(rows)
        def check(drawn: list[tuple[dict[str, Any], str | None]]) -> None:
            store.clear()
            put = [Point(f"g{n}", [1, n], metadata, document) for n, (metadata, document) in enumerate(drawn)]
            store.upsert(put)
            assert_same_points(store.points(), put)

        check()
