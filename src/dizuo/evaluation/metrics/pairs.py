"""The share of pairs of which the better answer was preferred; a pair that is level counts a half."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dizuo.evaluation.metrics import Metric

__all__ = ["BETTER", "LEVEL", "METRIC", "WORSE", "choices", "pairs"]

BETTER, WORSE, LEVEL = "the better answer", "the worse answer", "level"


def pairs(answers: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return [n] 1 where the preferred answer is the right one, a half where both are level, else 0."""
    return np.array([1.0 if said in right else 0.5 * (said == LEVEL) for said, right in zip(answers, references)])


def choices(margins: NDArray[np.float64]) -> list[str]:
    """Return which answer of every pair was preferred.

    Args:
        margins: [n] by how much the better answer was preferred; 0 is level.
    """
    return [BETTER if margin > 0 else LEVEL if margin == 0 else WORSE for margin in margins]


METRIC = Metric(title="pairs ranked right", items=pairs, answers=("pair",))
