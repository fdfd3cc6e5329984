"""Whether stated confidence is what comes true: reliability bins and the calibration error (Naeini et al., 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dizuo.evaluation.figures import AnsweredSet, Figure
from dizuo.evaluation.reporting.parts import Bin
from dizuo.significance import wilson

__all__ = ["FIGURE", "calibration_error", "reliability_bins"]

NUM_BINS = 10


def calibration_error(confidences: NDArray[np.float64], right: Sequence[float]) -> float:
    """Return Σ over bins of (share of items) · |mean confidence − share right|, 0 (best) to 1."""
    bins = reliability_bins(confidences, right)
    n = sum(part.n for part in bins)
    return float(sum(part.n * abs(part.confidence - part.accuracy) for part in bins) / n) if n else 0.0


def reliability_bins(
    confidences: NDArray[np.float64], right: Sequence[float], *, num_bins: int = NUM_BINS
) -> list[Bin]:
    """Return the filled ones of equally wide bins of confidence.

    Args:
        confidences: [n] probability of the answer that was given.
        right: [n] 1 where it was right, else 0.
        num_bins: bins over 0 to 1; a confidence of exactly 1 is in the last.
    """
    truth = np.asarray(right, np.float64)
    bin_numbers = np.minimum((confidences * num_bins).astype(int), num_bins - 1)
    bins = []
    for number in range(num_bins):
        mine = bin_numbers == number
        n = int(mine.sum())
        if not n:
            continue
        interval = wilson(round(float(truth[mine].sum())), n)
        bins.append(
            Bin(
                low=number / num_bins,
                high=(number + 1) / num_bins,
                n=n,
                confidence=float(confidences[mine].mean()),
                accuracy=float(truth[mine].mean()),
                accuracy_low=interval.low,
                accuracy_high=interval.high,
            )
        )
    return bins


def _value(answered: AnsweredSet) -> float:
    assert answered.probabilities is not None
    return calibration_error(answered.probabilities.max(axis=1), answered.values.tolist())


FIGURE = Figure(title="calibration error", value=_value, answers=("label",), needs=("probabilities",))
