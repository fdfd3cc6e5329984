"""Scores become a ranking: best first, equal scores in the order of ids."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["best", "best_rows"]


def best(scores: Mapping[str, float], k: int) -> list[tuple[str, float]]:
    """Return (id, score) of the k best."""
    return heapq.nsmallest(max(0, k), scores.items(), key=lambda item: (-item[1], item[0]))


def best_rows(scores: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    """Return the rows of the k best scores and of all that tie with the last of these, in any order."""
    if k >= len(scores):
        return np.arange(len(scores))
    return np.flatnonzero(scores >= np.partition(scores, len(scores) - k)[len(scores) - k])
