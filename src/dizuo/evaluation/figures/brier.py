"""Brier score of probabilities over labels (Brier, 1950): squared distance from the truth, 0 (best) to 2."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dizuo.evaluation.figures import AnsweredSet, Figure

__all__ = ["FIGURE", "brier_score"]


def brier_score(probabilities: NDArray[np.float64], truth: Sequence[int]) -> float:
    """Return the mean of Σ (p − truth)² over the labels.

    Args:
        probabilities: [n, L], rows sum to 1.
        truth: [n] the place of the expected label; -1 where it is none of them.
    """
    target = np.zeros_like(probabilities)
    for row, label in enumerate(truth):
        if label >= 0:
            target[row, label] = 1.0
    missing = np.array([label < 0 for label in truth], np.float64)
    return float((((probabilities - target) ** 2).sum(axis=1) + missing).mean())


def _value(answered: AnsweredSet) -> float:
    assert answered.probabilities is not None
    truth = [answered.labels.index(label) if label in answered.labels else -1 for label in answered.expected]
    return brier_score(answered.probabilities, truth)


FIGURE = Figure(title="Brier score", value=_value, answers=("label",), needs=("probabilities",))
