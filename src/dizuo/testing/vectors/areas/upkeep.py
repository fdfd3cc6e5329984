"""A store says what it is, and keeps itself in shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from dizuo.testing.vectors.comparing import assert_same_store
from dizuo.testing.vectors.opening import Connect, Opening
from dizuo.testing.vectors.samples import clusters
from dizuo.vectors import Point
from dizuo.vectors import connect as plain

__all__ = ["Upkeep"]


class Upkeep(Opening):
    """Info, optimize."""

    def test_a_store_says_what_it_is(self, connect: Connect, record_property: Callable[[str, Any], None]) -> None:
        store = connect(dim=6, metric="dot", namespace="here")
        store.upsert([Point(str(n), [1] * 6) for n in range(3)])
        store.namespace("there").upsert(Point("x", [2] * 6))
        info = store.info()
        able = asdict(info.capabilities)
        able |= {"operators": sorted(info.capabilities.operators), "metrics": list(info.capabilities.metrics)}
        record_property("engine", f"{info.engine.engine} {info.engine.version}")
        record_property("capabilities", able)
        assert (info.dim, info.metric, info.count, info.namespace) == (6, "dot", 3, "here")
        assert info.collection == store.collection
        assert info.namespaces == {"here": 3, "there": 1}
        assert info.engine.engine
        assert info.engine.version
        assert info.engine.index
        assert info.engine.indexed_rows <= 4

    def test_optimizing_changes_no_record(self, connect: Connect) -> None:
        store, oracle = connect(dim=8), plain("memory://", dim=8)
        table, queries = clusters(400, 8, seed=8)
        for both in (store, oracle):
            both.upsert([Point(f"o{n}", vector, {"n": n}, f"text {n}") for n, vector in enumerate(table)])
            both.upsert([Point(f"o{n}", vector, {"n": -n}, None) for n, vector in enumerate(table[:50])])
            both.delete(where="n >= 350")
        for _ in range(2):
            store.optimize()
            assert_same_store(store, oracle)
            right = oracle.search(queries[0], k=5, where="n > 100").ids
            assert store.search(queries[0], k=5, where="n > 100", exact=True).ids == right
        store.upsert(Point("after", np.asarray(queries[0])))
        assert store.search(queries[0], k=1).ids == ["after"]
