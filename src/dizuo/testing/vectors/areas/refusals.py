"""What must not be stored is refused before it is sent, by name; what disagrees with the collection too."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest

from dizuo.errors import VectorError
from dizuo.testing.vectors.opening import Connect, Opening, lacking, new_collection
from dizuo.vectors import Point, Refused

__all__ = ["Refusals"]

BAD_VECTORS: dict[str, tuple[Any, str]] = {
    "short": ([1.0], "1 numbers, not 2"),
    "long": ([1.0, 2.0, 3.0], "3 numbers, not 2"),
    "nan": ([1.0, float("nan")], "NaN at place 1"),
    "inf": ([float("-inf"), 1.0], "infinite at place 0"),
    "overflow": ([1e39, 1.0], "infinite at place 0"),
    "giant": ([1e20, 1e20], "square"),
    "text": (["a", "b"], "not a list of numbers"),
    "scalar": (1.0, "shape"),
    "nothing": (None, "not a list of numbers"),
    "empty": ([], "0 numbers, not 2"),
}
BAD_METADATA: dict[str, tuple[Any, str]] = {
    "nan": ({"x": float("nan")}, "metadata.x is nan"),
    "deep inf": ({"x": [{"y": float("inf")}]}, "metadata.x[0].y is inf"),
    "big": ({"x": 2**63}, "does not fit in 64 bits"),
    "date": ({"x": datetime.date(2020, 1, 1)}, "is a date"),
    "numpy": ({"x": np.float32(1)}, "is a float32"),
    "bytes": ({"x": b"a"}, "is a bytes"),
    "set": ({"x": {1}}, "is a set"),
    "key": ({1: "x"}, "keys are non-empty text"),
    "empty key": ({"": "x"}, "keys are non-empty text"),
    "surrogate": ({"x": "\ud800"}, "half a surrogate pair"),
    "no mapping": (["x"], "not a mapping"),
}
BAD_IDS: list[tuple[Any, str]] = [
    ("", "empty"),
    (1, "not text"),
    (None, "not text"),
    ("a\0b", "NUL"),
    ("x" * 513, "513 bytes"),
    ("\udfff", "surrogate"),
]


class Refusals(Opening):
    """Wrong vectors and values."""

    def test_vectors_that_are_none_are_refused_by_id(self, connect: Connect) -> None:
        store = connect(dim=2)
        for id, (vector, reason) in BAD_VECTORS.items():
            with pytest.raises(Refused) as caught:
                store.upsert([Point("good", [1, 1]), Point(id, vector)])
            assert list(caught.value.rows) == [id]
            assert reason in caught.value.rows[id]
        assert store.count() == 0

    def test_a_zero_vector_is_refused_under_cosine_only(self, connect: Connect) -> None:
        store = connect(dim=2, metric="cosine")
        for zero in ([0, 0], [-0.0, 0.0], [1e-40, 0.0]):
            with pytest.raises(Refused, match="wrong"):
                store.upsert(Point("zero", zero))
        with pytest.raises(VectorError, match="no direction"):
            store.search([0, 0])
        for metric in ("l2", "dot"):
            other = connect(dim=2, metric=metric)
            other.upsert([Point("zero", [0, 0]), Point("one", [1, 0])])
            assert {hit.id: hit.score for hit in other.search([0, 0], exact=True)} == {
                "zero": 0.0,
                "one": -1.0 if metric == "l2" else 0.0,
            }

    def test_metadata_that_cannot_come_back_is_refused_by_place(self, connect: Connect) -> None:
        store = connect(dim=2)
        for id, (metadata, reason) in BAD_METADATA.items():
            with pytest.raises(Refused) as caught:
                store.upsert(Point(id, [1, 1], metadata))
            assert reason in caught.value.rows[id]
            if id != "no mapping":
                store.upsert(Point("there", [1, 1], {"n": 1}))
                with pytest.raises(Refused):
                    store.update_metadata({"there": metadata})
        assert [point.metadata for point in store.points()] == [{"n": 1}]

    def test_ids_that_nobody_can_hold_are_refused(self, connect: Connect) -> None:
        store = connect(dim=2)
        for id, reason in BAD_IDS:
            with pytest.raises(Refused) as caught:
                store.upsert(Point(id, [1, 1]))
            assert reason in next(iter(caught.value.rows.values()))
        assert store.count() == 0
        assert store.fetch(["", "a\0b", "x" * 513]) == []
        assert store.delete(["", "a\0b", "x" * 513]) == 0

    def test_a_query_of_the_wrong_kind_is_refused(self, connect: Connect) -> None:
        store = connect(dim=2)
        store.upsert(Point("a", [1, 1]))
        bad: list[Any] = [[1], [1, 2, 3], [1, float("nan")], [1, float("inf")], ["a", "b"], [[1, 2]], 5]
        for query in bad:
            with pytest.raises((VectorError, TypeError)):
                store.search(query)
        with pytest.raises(VectorError, match="number of answers"):
            store.search([1, 1], k=-1)
        assert store.search([1, 1]).ids == ["a"]

    def test_a_collection_is_not_opened_as_another(self, connect: Connect) -> None:
        name = new_collection()
        store = connect(dim=3, metric="l2", collection=name)
        store.upsert(Point("a", [1, 2, 3]))
        lacking(store, "persistent")
        with pytest.raises(VectorError, match="holds vectors of 3 numbers, not 4"):
            connect(dim=4, collection=name)
        with pytest.raises(VectorError, match="metric 'l2', not 'cosine'"):
            connect(dim=3, metric="cosine", collection=name)
        again = connect(dim=None, collection=name)
        assert (again.dim, again.metric, again.count()) == (3, "l2", 1)

    def test_a_collection_that_is_not_there_is_not_made_by_accident(self, connect: Connect) -> None:
        with pytest.raises(VectorError, match="there is no collection"):
            connect(dim=None)
        with pytest.raises(VectorError, match="there is no collection"):
            connect(dim=3, create=False)
