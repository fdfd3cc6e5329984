"""Comparing a store's answers with the oracle's."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from dizuo.vectors import Filter, Hits, Point, VectorStore

__all__ = ["TOLERANCE", "assert_same_hits", "assert_same_points", "assert_same_store", "close", "strict"]

TOLERANCE = 1e-5
"""Between two scores: absolute below 1, relative above."""


def close(left: float, right: float) -> bool:
    """Return whether two scores are equal as far as float32 arithmetic promises."""
    return math.isfinite(left) and abs(left - right) <= TOLERANCE * max(1.0, abs(left), abs(right))


def strict(value: Any) -> Any:
    """Return a form of JSON values in which 1, 1.0 and True differ, and 0.0 and -0.0 too."""
    if isinstance(value, dict):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    return (type(value).__name__, repr(value))


def assert_same_points(found: Iterable[Point], expected: Iterable[Point]) -> None:
    """Assert equal records in any order, bit for bit."""
    left, right = {point.id: point for point in found}, {point.id: point for point in expected}
    assert sorted(left) == sorted(right)
    for id, point in left.items():
        other = right[id]
        ours, theirs = np.asarray(point.vector, np.float32), np.asarray(other.vector, np.float32)
        assert ours.tobytes() == theirs.tobytes(), f"the vector of {id!r} came back changed"
        assert strict(point.metadata) == strict(other.metadata), f"the metadata of {id!r} came back changed"
        assert point.document == other.document, f"the document of {id!r} came back changed"


def assert_same_hits(
    store: VectorStore, oracle: VectorStore, query: Any, *, k: int, where: Filter | None = None, exact: bool = True
) -> Hits:
    """Assert that a search gives the oracle's answer: as many, with its scores, in its order but for near-ties."""
    hits = store.search(query, k=k, where=where, exact=exact)
    everything = oracle.search(query, k=10_000, where=where)
    scores = {hit.id: hit.score for hit in everything}
    assert len(hits) == min(k, len(everything)), f"{len(hits)} hits of {min(k, len(everything))} for {where}"
    assert len(set(hits.ids)) == len(hits), "an id came twice"
    for hit, best in zip(hits, everything, strict=False):
        assert hit.id in scores, f"{hit.id!r} does not match {where}"
        assert close(hit.score, scores[hit.id]), f"{hit.id!r} has {hit.score}, and {scores[hit.id]} is right"
        assert close(hit.score, best.score), f"{hit.id!r} ({hit.score}) stands where {best.id!r} ({best.score}) should"
    order = [(-hit.score, hit.id) for hit in hits]
    assert order == sorted(order), "hits are not sorted by score, then id"
    return hits


def assert_same_store(store: VectorStore, oracle: VectorStore) -> None:
    """Assert that a namespace holds what the oracle's holds."""
    assert store.count() == oracle.count()
    assert_same_points(store.points(), oracle.points())
