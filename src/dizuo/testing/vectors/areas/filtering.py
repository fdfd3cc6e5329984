"""Filters mean on this engine what `dizuo.vectors.filters.matching.matches` says, and are never ignored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from dizuo.testing.vectors.filter_trees import WORD, filter_trees, tree_points
from dizuo.testing.vectors.opening import Connect, Opening
from dizuo.testing.vectors.samples import AWKWARD_NUMBERS, AWKWARD_TEXTS, KEYS, filters, metadata
from dizuo.vectors import Filter, Point, VectorStore, field
from dizuo.vectors.filters.matching import matches
from dizuo.vectors.filters.tree import operators

__all__ = ["Filters"]

ROWS: list[dict[str, Any]] = [
    {},
    {"x": None},
    {"x": True},
    {"x": False},
    {"x": "true"},
    {"x": "1"},
    {"x": []},
    {"x": {}},
    {"x": {"y": 1}},
    {"x": ["a", "b"]},
    {"x": ["ab"]},
    {"x": [1, True, None, "1", 1.5]},
    {"x": [["a"]]},
    {"y": 1},
    *({"x": value} for value in AWKWARD_NUMBERS),
    *({"x": value} for value in AWKWARD_TEXTS),
]


class Filters(Opening):
    """Every filter means the same."""

    def test_every_operator_on_every_kind_of_value(self, connect: Connect) -> None:
        store = self.with_rows(connect)
        x = field("x")
        literals: list[Any] = [None, True, False, *AWKWARD_NUMBERS, *AWKWARD_TEXTS, "a", "b", "ab"]
        wrong = []
        for literal in literals:
            tests = [x == literal, x != literal, x.contains(literal)]
            if literal is not None and not isinstance(literal, bool):
                tests += [x < literal, x <= literal, x > literal, x >= literal]
            if isinstance(literal, str):
                tests.append(x.startswith(literal))
            wrong += [fault for where in tests if (fault := self.fault(store, ROWS, where))]
        assert not wrong, "\n".join(wrong)

    def test_lists_of_values_and_existence(self, connect: Connect) -> None:
        store = self.with_rows(connect)
        x = field("x")
        tests = [
            x.in_([]), x.not_in([]), x.in_(["1", 1, None]), x.not_in(["1", 1, None]), x.in_([True, "true"]), x.exists(),
            x.in_(AWKWARD_TEXTS), x.not_in(AWKWARD_NUMBERS), x.in_([2**53, 2.0**53]), field("y").exists(),
            field("z").exists(), field("z") != 1, field("z") == None, field("z").not_in([1]),  # noqa: E711
        ]  # fmt: skip
        wrong = [
            fault for where in tests for condition in (where, ~where) if (fault := self.fault(store, ROWS, condition))
        ]
        assert not wrong, "\n".join(wrong)

    def test_keys_are_taken_literally(self, connect: Connect) -> None:
        store = connect(dim=2)
        rows: list[dict[str, Any]] = [
            {key: key} for key in [*KEYS, "a.b", "a", "x[0]", "x'y", "%", "*", "id", "vector", "_id", "document"]
        ]
        rows += [{"a": {"b": "a.b"}}, {"x": ["x[0]"]}]
        store.upsert([Point(f"r{n:03}", [1, n], row) for n, row in enumerate(rows)])
        tests = [test for row in rows for key in row for test in (field(key) == key, field(key).exists())]
        wrong = [fault for where in tests if (fault := self.fault(store, rows, where))]
        assert not wrong, "\n".join(wrong)

    def test_generated_filters_on_generated_records(self, connect: Connect) -> None:
        store = connect(dim=2)
        able = store.capabilities.operators

        @settings(max_examples=4 * self.examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(_rows(), filters())
        def check(rows: list[dict[str, Any]], where: Filter) -> None:
            if operators(where) <= able:
                store.clear()
                store.upsert([Point(f"r{n:03}", [1, n], row) for n, row in enumerate(rows)])
                for condition in (where, ~where):
                    assert self.fault(store, rows, condition) is None

        check()

    def test_generated_trees_mean_the_same_for_count_search_scan_and_words(self, connect: Connect) -> None:
        points = tree_points()
        store = connect(dim=3)
        store.upsert(points)
        wrong: list[str] = []
        for number, where in enumerate(filter_trees(self.trees)):
            if operators(where) <= store.capabilities.operators:
                wrong += [f"tree {number}: {fault}" for fault in self.tree_faults(store, points, where)]
        assert not wrong, "\n".join([f"{len(wrong)} wrong answers to {self.trees} trees", *wrong[:10]])

    def tree_faults(self, store: VectorStore, points: list[Point], where: Filter) -> Iterator[str]:
        """Yield how the answers to a filter differ from what it means."""
        right = {point.id for point in points if matches(where, point.metadata)}
        whole, query = len(points) + 1, [1.0] * store.dim
        if (count := store.count(where)) != len(right):
            yield f"count where {where}: {count}, and {len(right)} is right"
        found = {
            "exact search": store.search(query, k=whole, where=where, exact=True).ids,
            "search": store.search(query, k=whole, where=where).ids,
            "scan": [id for block in store.scan(where, columns=[], rows=10) for id in block.ids],
        }
        if store.capabilities.lexical != "none":
            found["words"] = store.words(WORD, k=whole, where=where).ids
        with_word = {point.id for point in points if point.document is not None}
        for name, ids in found.items():
            expected = sorted(right & with_word if name == "words" else right)
            if sorted(ids) != expected:
                yield f"{name} where {where}: {sorted(ids)}, and {expected} is right"
        for exact in (False, True):
            few = store.search(query, k=5, where=where, exact=exact).ids
            if len(few) != min(5, len(right)) or not {*few} <= right:
                yield f"search for 5 (exact={exact}) where {where}: {few}, of {sorted(right)}"

    def test_generated_trees_delete_what_they_mean(self, connect: Connect) -> None:
        points = tree_points()
        by_id = {point.id: point for point in points}
        store = connect(dim=3, namespace="thrown away")
        store.upsert(points)
        for number, where in enumerate(filter_trees(self.trees)):
            if operators(where) <= store.capabilities.operators:
                right = {point.id for point in points if matches(where, point.metadata)}
                assert store.delete(where=where) == len(right), f"tree {number}: {where}"
                left = {id for block in store.scan(columns=[]) for id in block.ids}
                assert left == by_id.keys() - right, f"tree {number}: {where}"
                store.upsert([by_id[id] for id in sorted(right)])

    def test_a_filter_that_holds_an_attack_is_only_text(self, connect: Connect) -> None:
        store = self.with_rows(connect)
        for text in (
            "' OR '1'='1",
            '" OR 1=1 --',
            "x) OR (1=1",
            "\\' OR 1=1",
            "*",
            "%' --",
            "{$ne: 1}",
            "x'; DROP TABLE y",
        ):
            for where in (field("x") == text, field(text) == "zh", field("x").startswith(text)):
                assert store.search([1, 0], where=where) == []
        assert store.count() == len(ROWS)

    def with_rows(self, connect: Connect) -> VectorStore:
        """Return a store with one record for each of ROWS, of which operators it lacks are skipped."""
        store = connect(dim=2)
        store.upsert([Point(f"r{n:03}", [1, n], row) for n, row in enumerate(ROWS)])
        return store

    def fault(self, store: VectorStore, rows: list[dict[str, Any]], where: Filter) -> str | None:
        """Return how count or search differ from what the filter means, or None."""
        lacking = operators(where) - store.capabilities.operators
        if lacking:
            from dizuo.vectors import Unsupported

            with pytest.raises(Unsupported):
                store.count(where)
            return None
        right = [f"r{n:03}" for n, row in enumerate(rows) if matches(where, row)]
        hits = sorted(store.search([1, 1], k=len(rows) + 1, where=where, exact=True).ids)
        if hits != right:
            extra, missing = (sorted(set(a) - set(b)) for a, b in ((hits, right), (right, hits)))
            shown = [
                f"{name} {[rows[int(id[1:])] for id in ids]}" for name, ids in (("extra", extra), ("missing", missing))
            ]
            return f"search where {where}: {', '.join(shown)}"
        count = store.count(where)
        return None if count == len(right) else f"count where {where}: {count}, and {len(right)} is right"


def _rows() -> Any:
    from hypothesis import strategies as st

    return st.lists(metadata(), max_size=8)
