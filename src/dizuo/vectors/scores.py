"""Scores: higher is nearer, always. From an engine's own number to ours, and the order of answers.

cosine is the cosine in [−1, 1]; dot the inner product; l2 minus the true distance (not squared).
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dizuo.vectors.points import Floats

__all__ = ["METRICS", "Metric", "from_cosine_distance", "from_squared_distance", "pairwise", "top_k"]

Metric: TypeAlias = Literal["cosine", "dot", "l2"]
METRICS: tuple[Metric, ...] = ("cosine", "dot", "l2")


def from_cosine_distance(distance: Any) -> NDArray[np.float64]:
    """Return scores from 1 − x, as Chroma, LanceDB, RediSearch and pgvector give cosine (and some give dot)."""
    return np.asarray(1.0 - np.asarray(distance, np.float64))


def from_squared_distance(distance: Any) -> NDArray[np.float64]:
    """Return scores from squared distances; rounding below zero counts as zero."""
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
    # Row by row, not as a matrix product: BLAS gives a row another last bit beside other rows, and equal vectors tie.
    scores = (right * left).sum(axis=1)
    if metric == "cosine":
        scores = scores / (np.sqrt(np.square(right).sum(axis=1)) * np.sqrt(np.square(left).sum()))
    return np.asarray(scores)


def top_k(scores: NDArray[np.float64], ids: list[str], k: int) -> list[int]:
    """Return the places of the k best scores, best first, ties by id."""
    if k < len(ids):
        edge = np.partition(scores, len(ids) - k)[len(ids) - k]
        chosen = np.flatnonzero(scores >= edge).tolist()
    else:
        chosen = list(range(len(ids)))
    chosen.sort(key=lambda place: (-scores[place], ids[place]))
    return chosen[:k]
