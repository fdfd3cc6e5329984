"""Upserts replace, updates spare the vector, deletes count, and nothing at all is fine everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dizuo.testing.vectors.comparing import assert_same_hits, assert_same_points, assert_same_store
from dizuo.testing.vectors.opening import Connect, Opening
from dizuo.testing.vectors.samples import AWKWARD_IDS, filters, metadata, points, vectors
from dizuo.vectors import Filter, Point, VectorStore
from dizuo.vectors import connect as plain
from dizuo.vectors.filters.tree import operators

__all__ = ["Writing"]


class Writing(Opening):
    """Upsert, update, delete."""

    def test_an_upsert_replaces_the_whole_record(self, connect: Connect) -> None:
        store = connect(dim=2)
        store.upsert(Point("a", [1, 0], {"old": 1, "both": [1]}, "old text"))
        store.upsert(Point("a", [0, 1], {"both": {"new": True}}))
        assert_same_points(store.fetch("a"), [Point("a", [0, 1], {"both": {"new": True}}, None)])
        assert store.count() == 1
        assert store.count("exists old") == 0
        assert store.search([0, 1])[0].score > 0.99

    def test_within_one_call_the_last_duplicate_wins(self, connect: Connect) -> None:
        store = connect(dim=2)
        result = store.upsert([Point("a", [1, 0], {"n": 1}), Point("b", [1, 1]), Point("a", [0, 1], {"n": 2}, "last")])
        assert result.rows == store.count() == 2
        assert_same_points(store.fetch(["a", "b"]), [Point("a", [0, 1], {"n": 2}, "last"), Point("b", [1, 1])])

    def test_changing_metadata_leaves_vector_and_document_alone(self, connect: Connect) -> None:
        store = connect(dim=3)
        vector = np.array([0.1, 1 / 3, -7e-5], np.float32)
        store.upsert([Point("a", vector, {"keep": 1, "change": 1}, "text"), Point("b", [1, 2, 3], {"keep": 1})])
        assert store.update_metadata({"a": {"change": [2], "new": None}, "missing": {"x": 1}}) == 1
        expected = Point("a", vector, {"keep": 1, "change": [2], "new": None}, "text")
        assert_same_points(store.fetch("a"), [expected])
        assert store.update_metadata({"a": {"only": "this"}}, replace=True) == 1
        assert_same_points(store.fetch("a"), [Point("a", vector, {"only": "this"}, "text")])
        assert_same_points(store.fetch("b"), [Point("b", [1, 2, 3], {"keep": 1})])
        assert store.search([1, 0, 0], where='only == "this"').ids == ["a"]
        assert store.search([1, 0, 0], where="exists change") == []
        assert store.count() == 2
        assert store.fetch("missing") == []

    def test_delete_returns_the_number_really_removed(self, connect: Connect) -> None:
        store = connect(dim=2)
        store.upsert([Point(str(n), [1, n], {"n": n}) for n in range(10)])
        assert store.delete(["0", "1", "1", "nobody"]) == 2
        assert store.delete("0") == 0
        assert store.delete(where="n < 4") == 2
        assert store.delete(where="n < 4") == 0
        assert store.count() == 6
        assert sorted(store.search([1, 0], k=20).ids) == ["4", "5", "6", "7", "8", "9"]
        assert store.clear() == 6
        assert store.clear() == 0
        assert store.count() == 0
        store.upsert(Point("0", [1, 1]))
        assert store.search([1, 1]).ids == ["0"]

    def test_empty_calls_are_fine(self, connect: Connect) -> None:
        store = connect(dim=2)
        for _ in range(2):
            assert store.upsert([]).rows == 0
            assert store.upsert(iter(())).rows == 0
            assert store.delete([]) == 0
            assert store.update_metadata({}) == 0
            assert store.fetch([]) == []
            assert store.search_many(np.empty((0, 2))) == []
            assert store.search([1, 0], k=0) == []
            assert store.search([1, 0], where="x in []") == []
            assert store.get("nobody") is None
            assert store.delete(where="x == 1") == 0
            assert list(store.points("x == 1")) == []
            store.refresh()
            store.upsert(Point("a", [1, 0]))  # and the same again where something is there
        assert store.search([1, 0]).ids == ["a"]

    def test_an_empty_collection_answers(self, connect: Connect) -> None:
        store = connect(dim=2)
        assert store.search([1, 0]) == []
        assert store.search([1, 0], where="x == 1", exact=True) == []
        assert store.count() == 0
        assert list(store.scan()) == []
        assert store.clear() == 0
        assert store.namespaces() == {}
        store.optimize()

    def test_records_come_in_the_order_asked(self, connect: Connect) -> None:
        store = connect(dim=2)
        store.upsert([Point(id, [1, 1]) for id in AWKWARD_IDS])
        wanted = AWKWARD_IDS[::-1]
        assert [point.id for point in store.fetch([*wanted, "nobody", wanted[0]])] == wanted

    def test_generated_operations_leave_what_the_oracle_has(self, connect: Connect) -> None:
        store = connect(dim=3)
        able = store.capabilities.operators
        ids = st.sampled_from(AWKWARD_IDS)
        filter = filters().filter(lambda where: operators(where) <= able)
        operation = st.one_of(
            st.tuples(st.just("upsert"), points(3, max_size=6)),
            st.tuples(st.just("delete"), st.lists(ids, max_size=4)),
            st.tuples(st.just("delete_where"), filter),
            st.tuples(st.just("update"), st.dictionaries(ids, metadata(), max_size=3)),
            st.tuples(st.just("replace"), st.dictionaries(ids, metadata(), max_size=3)),
            st.tuples(st.just("search"), st.tuples(vectors(3), st.one_of(st.none(), filter))),
        )

        @settings(max_examples=self.examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(points(3), st.lists(operation, max_size=6))
        def check(first: list[Point], operations: list[tuple[str, Any]]) -> None:
            oracle = plain("memory://", dim=3)
            store.clear()
            assert store.upsert(first).rows == oracle.upsert(first).rows
            for name, argument in operations:
                if name == "search":
                    query, where = argument
                    assert_same_hits(store, oracle, query, k=5, where=where)
                else:
                    assert _apply(store, name, argument) == _apply(oracle, name, argument), name
            assert_same_store(store, oracle)

        check()


def _apply(store: VectorStore, name: str, argument: Any) -> int:
    if name == "upsert":
        return store.upsert(argument).rows
    if name == "delete":
        return store.delete(argument)
    if name == "delete_where":
        chosen: Filter = argument
        return store.delete(where=chosen)
    return store.update_metadata(argument, replace=name == "replace")
