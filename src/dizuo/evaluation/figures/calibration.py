"""Whether stated confidence is what comes true: reliability bins and the calibration error (Naeini et al., 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dizuo.significance import wilson

__all__ = ["TITLE", "bins", "value"]

TITLE = "expected calibration error"
NUM_BINS = 10


def value(confidences: NDArray[np.float64], right: Sequence[float]) -> float:
    """Return Σ over bins of (share of items) · |mean confidence − share right|, 0 (best) to 1."""
    found = bins(confidences, right)
    n = sum(part["n"] for part in found)
    return float(sum(part["n"] * abs(part["confidence"] - part["accuracy"]) for part in found) / n) if n else 0.0


def bins(confidences: NDArray[np.float64], right: Sequence[float], *, num_bins: int = NUM_BINS) -> list[dict[str, Any]]:
    """Return the filled ones of equally wide bins of confidence.

    Args:
        confidences: [n] probability of the answer that was given.
        right: [n] 1 where it was right, else 0.
        num_bins: bins over 0 to 1; a confidence of exactly 1 is in the last.

    Returns:
        per bin `low`, `high`, `n`, mean `confidence`, `accuracy`, its 95 % interval `accuracy_low`, `accuracy_high`.
    """
    truth = np.asarray(right, np.float64)
    place = np.minimum((confidences * num_bins).astype(int), num_bins - 1)
    out = []
    for number in range(num_bins):
        mine = place == number
        n = int(mine.sum())
        if not n:
            continue
        interval = wilson(round(float(truth[mine].sum())), n)
        out.append(
            {
                "low": number / num_bins,
                "high": (number + 1) / num_bins,
                "n": n,
                "confidence": float(confidences[mine].mean()),
                "accuracy": float(truth[mine].mean()),
                "accuracy_low": interval.low,
                "accuracy_high": interval.high,
            }
        )
    return out
