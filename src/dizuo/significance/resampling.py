"""Drawing items with replacement, and what the intervals and tests have in common."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dizuo.significance.results import Floats

__all__ = [
    "CHUNK",
    "bca_quantiles",
    "draws",
    "draws_in_chunks",
    "finite",
    "grouped",
    "jackknife",
    "normal_quantile",
    "resampled",
]

CHUNK = 1 << 22
"""Drawn places held at once."""


def normal_quantile(confidence: float) -> float:
    """Return z so that a standard normal lies within ±z with that probability."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def finite(values: ArrayLike) -> Floats:
    """Return values as float64, [n], refusing none and those that are not finite."""
    data = np.asarray(values, np.float64).ravel()
    if len(data) == 0 or not np.isfinite(data).all():
        raise ValueError("values must be finite, and at least one")
    return data


def grouped(data: Floats, clusters: Sequence[Hashable] | None) -> tuple[Floats, Floats]:
    """Return sum and size of every cluster; an item is its own cluster when there are none."""
    if clusters is None:
        return data, np.ones_like(data)
    if len(clusters) != len(data):
        raise ValueError(f"{len(clusters)} clusters for {len(data)} values")
    numbers: dict[Hashable, int] = {}
    index = np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters])
    return np.bincount(index, data).astype(np.float64), np.bincount(index).astype(np.float64)


def resampled(table: Floats, resamples: int, seed: int) -> Floats:
    """Return [resamples] the ratio of sums of every bootstrap sample."""
    parts = []
    for draw in draws_in_chunks(len(table), resamples, seed):
        sums = table[draw].sum(axis=1)
        parts.append(sums[:, 0] / sums[:, 1])
    return np.concatenate(parts)


def draws(units: int, resamples: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """Yield the [units] places of every bootstrap sample."""
    for chunk in draws_in_chunks(units, resamples, seed):
        yield from chunk


def draws_in_chunks(units: int, resamples: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """Yield the places of many bootstrap samples at once, [samples, units]."""
    random = np.random.default_rng(seed)
    step = max(1, CHUNK // units)
    for start in range(0, resamples, step):
        yield random.integers(0, units, size=(min(step, resamples - start), units))


def jackknife(table: Floats) -> Floats | None:
    """Return [units] the ratio of sums without each of the units, or None where it cannot be had without one."""
    left = table.sum(axis=0) - table
    return left[:, 0] / left[:, 1] if (left[:, 1] > 0).all() else None


def bca_quantiles(left_out: Floats | None, drawn: Floats, estimate: float, tail: float) -> tuple[float, float]:
    """Return the two quantiles of the bootstrap distribution that correct its bias and skew.

    Args:
        left_out: the estimate without each of the units.
        drawn: the estimate of every bootstrap sample.
        estimate: of all units.
        tail: what is cut off on either side.
    """
    normal = NormalDist()
    below = (np.count_nonzero(drawn < estimate) + np.count_nonzero(drawn <= estimate)) / (2 * len(drawn))
    if not 0 < below < 1 or left_out is None or len(left_out) < 3:
        return tail, 1 - tail
    bias = normal.inv_cdf(below)
    deviation = left_out.mean() - left_out
    scale = float((deviation**2).sum()) ** 1.5
    acceleration = float((deviation**3).sum()) / (6 * scale) if scale > 0 else 0.0

    def corrected(quantile: float) -> float:
        z = bias + normal.inv_cdf(quantile)
        return normal.cdf(bias + z / (1 - acceleration * z))

    return corrected(tail), corrected(1 - tail)
