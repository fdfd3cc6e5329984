"""What an interval and a comparison are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Comparison", "Floats", "Interval", "Statistic"]

Floats: TypeAlias = NDArray[np.float64]
Statistic: TypeAlias = Callable[[NDArray[np.intp]], float]
"""From the places of drawn items, which may repeat, to a figure of those items."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and what it may plausibly be."""

    estimate: float
    low: float
    high: float
    n: int
    """Items it was estimated from."""
    method: str
    """`wilson`, `score`, `exact`, `bca` or `percentile`: see `intervals.py`."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on the same items."""

    difference: float
    """Mean of a − b."""
    low: float
    high: float
    p: float
    """Two-sided p-value of "no difference"."""
    n: int
    method: str
