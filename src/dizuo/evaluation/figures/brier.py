"""Brier score of probabilities over labels (Brier, 1950): squared distance from the truth, 0 (best) to 2."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["TITLE", "value"]

TITLE = "Brier score"


def value(probabilities: NDArray[np.float64], truth: Sequence[int]) -> float:
    """Return the mean of Σ (p − truth)² over the labels.

    Args:
        probabilities: [n, L], rows sum to 1.
        truth: [n] the place of the expected label; -1 where it is none of them.
    """
    target = np.zeros_like(probabilities)
    for row, place in enumerate(truth):
        if place >= 0:
            target[row, place] = 1.0
    missing = np.array([place < 0 for place in truth], np.float64)
    return float((((probabilities - target) ** 2).sum(axis=1) + missing).mean())
