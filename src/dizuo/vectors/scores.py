"""Scores are always higher where vectors are nearer; here databases' own numbers become ours, and hits are ordered.

The score of `cosine` is the cosine in [−1, 1], that of `dot` is the inner product, and that of `l2` is minus the true
distance (not squared).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dizuo.vectors.points import Floats

__all__ = ["METRICS", "Metric", "from_cosine_distance", "from_squared_distance", "pairwise", "top_k"]

Metric: TypeAlias = Literal["cosine", "dot", "l2"]
METRICS: tuple[Metric, ...] = ("cosine", "dot", "l2")


def from_cosine_distance(distance: ArrayLike) -> NDArray[np.float64]:
    """Return scores x of distances 1 − x, as Chroma, LanceDB, RediSearch and pgvector give cosine (and some dot)."""
    return np.asarray(1.0 - np.asarray(distance, np.float64))


def from_squared_distance(distance: ArrayLike) -> NDArray[np.float64]:
    """Return scores of squared distances; what rounding brought below zero counts as zero."""
    return np.asarray(-np.sqrt(np.maximum(np.asarray(distance, np.float64), 0.0)))


def pairwise(query: Floats, vectors: Floats, metric: Metric) -> NDArray[np.float64]:
    """Return the exact scores [n] of one query [dim] against vectors [n, dim], computed in float64."""
    parts = [_scores(query, vectors[start : start + _ROWS], metric) for start in range(0, len(vectors), _ROWS)]
    return np.concatenate(parts) if parts else np.empty(0, np.float64)


_ROWS = 4096
"""Rows in float64 at a time: 12 MB at 384 numbers."""


def _scores(query: Floats, vectors: Floats, metric: Metric) -> NDArray[np.float64]:
    left, right = query.astype(np.float64), vectors.astype(np.float64)
    if metric == "l2":
        return np.asarray(-np.sqrt(np.square(right - left).sum(axis=1)))
    # Summed row by row and not as a matrix product: BLAS gives a row another last bit when other rows stand beside it,
    # but equal vectors must have equal scores.
    scores = (right * left).sum(axis=1)
    if metric == "cosine":
        scores = scores / (np.sqrt(np.square(right).sum(axis=1)) * np.sqrt(np.square(left).sum()))
    return np.asarray(scores)


def top_k(scores: NDArray[np.float64], ids: list[str], k: int) -> list[int]:
    """Return the rows of the k best scores, best first, ties by id."""
    if k < len(ids):
        edge = np.partition(scores, len(ids) - k)[len(ids) - k]
        chosen = np.flatnonzero(scores >= edge).tolist()
    else:
        chosen = list(range(len(ids)))
    chosen.sort(key=lambda row: (-scores[row], ids[row]))
    return chosen[:k]
