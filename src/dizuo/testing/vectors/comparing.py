"""Comparing a store's answers with the oracle's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dizuo.vectors import Filter, Hit, Hits, Point, VectorStore
from dizuo.vectors.lexical.fusion import RRF

__all__ = [
    "TOLERANCE",
    "assert_same_answer",
    "assert_same_fusion",
    "assert_same_hits",
    "assert_same_points",
    "assert_same_store",
    "close",
    "strict",
]

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
    assert len(hits) == min(k, len(everything)), f"{len(hits)} hits of {min(k, len(everything))} for {where}"
    assert_same_answer(hits, everything, where=where)
    return hits


def assert_same_answer(hits: Sequence[Hit], expected: Sequence[Hit], *, where: Filter | None = None) -> None:
    """Assert hits that are the first of the expected ones, with their scores, in their order but for near-ties.

    Args:
        hits: a store's.
        expected: the oracle's, deep enough to have what ties with the last of the hits.
        where: what was asked, for the messages.
    """
    scores = {hit.id: hit.score for hit in expected}
    assert len({hit.id for hit in hits}) == len(hits), "an id came twice"
    assert len(hits) <= len(expected), f"{len(hits)} hits, and {len(expected)} match {where}"
    for hit, best in zip(hits, expected, strict=False):
        assert hit.id in scores, f"{hit.id!r} is none of the {len(expected)} best that match {where}"
        assert close(hit.score, scores[hit.id]), f"{hit.id!r} has {hit.score}, and {scores[hit.id]} is right"
        assert close(hit.score, best.score), f"{hit.id!r} ({hit.score}) stands where {best.id!r} ({best.score}) should"
    order = [(-hit.score, hit.id) for hit in hits]
    assert order == sorted(order), "hits are not sorted by score, then id"


def assert_same_fusion(hits: Sequence[Hit], legs: Mapping[str, Sequence[Hit]], *, depth: int) -> None:
    """Assert the best of a hybrid search: what fusing the oracle's legs gives, but for near-ties within a leg.

    Near-ties may stand in any order, so every id has a least and a greatest rank in each leg, and with these a least
    and a greatest fused score. A hit's score lies between its two, and nothing is left out that is better for certain.

    Args:
        hits: a store's, best first.
        legs: by name the oracle's answers, deeper than `depth` by what ties with the last one fused.
        depth: answers of each leg that are fused.
    """
    least: dict[str, float] = {}
    greatest: dict[str, float] = {}
    for leg in legs.values():
        for index, hit in enumerate(leg):
            first = next(n for n in range(index + 1) if close(leg[n].score, hit.score))
            last = next(n for n in range(len(leg) - 1, index - 1, -1) if close(leg[n].score, hit.score))
            for bound, rank in ((greatest, first + 1), (least, last + 1)):
                bound[hit.id] = bound.get(hit.id, 0.0) + (1.0 / (RRF + rank) if rank <= depth else 0.0)
    for hit in hits:
        low, high = least.get(hit.id, 0.0), greatest.get(hit.id, 0.0)
        assert low - 1e-12 <= hit.score <= high + 1e-12, f"{hit.id!r} has {hit.score}, not {low} to {high}"
        for name, part in hit.parts.items():
            right = next(answer.score for answer in legs[name] if answer.id == hit.id)
            assert close(part.score, right), f"{hit.id!r} has {part.score} in {name}, and {right} is right"
    order = [(-hit.score, hit.id) for hit in hits]
    assert order == sorted(order), "hits are not sorted by score, then id"
    present = {hit.id for hit in hits}
    missing = {id: score for id, score in least.items() if id not in present and score > hits[-1].score + 1e-12}
    assert not missing, f"better than {hits[-1].id!r} ({hits[-1].score}) and left out: {missing}"


def assert_same_store(store: VectorStore, oracle: VectorStore) -> None:
    """Assert that a namespace holds what the oracle's holds."""
    assert store.count() == oracle.count()
    assert_same_points(store.points(), oracle.points())
