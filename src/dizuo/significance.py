"""How sure a score is, and whether two scores differ: intervals, paired tests, power. numpy only.

    intervals      wilson (a share), bootstrap_mean, bootstrap_statistic (a ratio of sums),
                   bootstrap_figure (a figure of the whole set, such as macro F1)
    paired tests   mcnemar_exact (right and wrong), paired_bootstrap (anything else), paired_bootstrap_figure
    power          paired_power, minimum_detectable_effect

Two systems on the same items are compared item by item; overlapping intervals are no test. Items that come in groups
(one document, one user) are drawn as groups: pass `clusters`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Comparison",
    "Interval",
    "Statistic",
    "bootstrap_figure",
    "bootstrap_mean",
    "bootstrap_statistic",
    "mcnemar_exact",
    "minimum_detectable_effect",
    "paired_bootstrap",
    "paired_bootstrap_figure",
    "paired_power",
    "wilson",
]

Floats: TypeAlias = NDArray[np.float64]
Statistic: TypeAlias = Callable[[NDArray[np.intp]], float]
"""From the places of drawn items, which may repeat, to a figure of those items."""
_GROUPS = 500
"""Parts that are left out in turn to measure how a figure's variance changes with its value."""
_CHUNK = 1 << 22
"""Drawn indices held at once."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and what it may plausibly be."""

    estimate: float
    low: float
    high: float
    n: int
    """Items it was estimated from."""
    method: str
    """`wilson`, `bca` or `percentile`."""


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


def wilson(successes: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Return the score interval of a proportion (Wilson, 1927, JASA 22:209, without continuity correction).

    Args:
        successes: 0 to n.
        n: number of trials, at least 1.
        confidence: coverage aimed at, in (0, 1).

    Raises:
        ValueError: counts that are no proportion.

    >>> wilson(81, 263)  # doctest: +ELLIPSIS
    Interval(estimate=0.307..., low=0.255..., high=0.366..., n=263, method='wilson')
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no proportion")
    z = _z(confidence)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At 0 and n the bounds are exactly 0 and 1; rounding would leave 1e-17.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(share, low, high, n, "wilson")


def bootstrap_mean(
    values: ArrayLike,
    *,
    clusters: Sequence[Hashable] | None = None,
    method: Literal["bca", "percentile"] = "bca",
    confidence: float = 0.95,
    resamples: int = 5000,
    seed: int = 0,
) -> Interval:
    """Return the interval of a mean by resampling items, or whole clusters of items.

    Args:
        values: one finite number per item.
        clusters: a group per item; groups are then drawn instead of items.
        method: `bca`, bias-corrected and accelerated (Efron, 1987, JASA 82:171), or `percentile`.
        confidence: coverage aimed at, in (0, 1).
        resamples: number of bootstrap samples.
        seed: the same seed gives the same interval.

    Raises:
        ValueError: no items, or values that are not finite.
    """
    data = _finite(values)
    sums, sizes = _grouped(data, clusters)
    return bootstrap_statistic(
        np.column_stack((sums, sizes)),
        method=method,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
        n=len(data),
    )


def bootstrap_statistic(
    totals: ArrayLike,
    *,
    method: Literal["bca", "percentile"] = "bca",
    confidence: float = 0.95,
    resamples: int = 5000,
    seed: int = 0,
    n: int | None = None,
) -> Interval:
    """Return the interval of a ratio of sums, Σ numerator ÷ Σ denominator: a token-weighted mean, a cluster mean.

    Args:
        totals: numerator and denominator of every unit that is drawn, shape [units, 2].
        method: `bca` or `percentile`.
        confidence: coverage aimed at, in (0, 1).
        resamples: number of bootstrap samples.
        seed: the same seed gives the same interval.
        n: items to report; the number of units when None.

    Raises:
        ValueError: no units, or numbers that are not finite.
    """
    table = np.asarray(totals, np.float64)
    if table.ndim != 2 or table.shape[1] != 2 or len(table) == 0 or not np.isfinite(table).all():
        raise ValueError("totals must be finite numbers of shape [units, 2], with at least one unit")
    estimate = float(table[:, 0].sum() / table[:, 1].sum())
    count = len(table) if n is None else n
    drawn = _resampled(table, resamples, seed)
    tail = (1 - confidence) / 2
    quantiles = _bca_quantiles(_jackknife(table), drawn, estimate, tail) if method == "bca" else (tail, 1 - tail)
    low, high = (float(value) for value in np.quantile(drawn, quantiles))
    return Interval(estimate, min(low, estimate), max(high, estimate), count, method)


def bootstrap_figure(
    figure: Statistic,
    n: int,
    *,
    method: Literal["bca", "percentile"] = "bca",
    confidence: float = 0.95,
    resamples: int = 5000,
    seed: int = 0,
) -> Interval:
    """Return the interval of a figure that only a whole set has, by drawing items and computing it anew.

    Args:
        figure: from the places of drawn items, 0 to n − 1, to the figure of those items.
        n: number of items, at least 1.
        method: `bca`, with the acceleration from leaving out up to 500 parts in turn, or `percentile`.
        confidence: coverage aimed at, in (0, 1).
        resamples: number of bootstrap samples.
        seed: the same seed gives the same interval.

    Raises:
        ValueError: no items.
    """
    if n < 1:
        raise ValueError("a figure needs at least one item")
    every = np.arange(n)
    estimate = figure(every)
    drawn = np.array([figure(rows) for rows in _draws(n, resamples, seed)])
    tail = (1 - confidence) / 2
    quantiles = (tail, 1 - tail)
    if method == "bca" and n > 2:
        parts = np.array_split(every, min(n, _GROUPS))
        left_out = np.array([figure(np.concatenate((every[: part[0]], every[part[-1] + 1 :]))) for part in parts])
        quantiles = _bca_quantiles(left_out, drawn, estimate, tail)
    low, high = (float(value) for value in np.quantile(drawn, quantiles))
    return Interval(estimate, min(low, estimate), max(high, estimate), n, method)


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    *,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    resamples: int = 5000,
    seed: int = 0,
) -> Comparison:
    """Return the mean difference a − b over the same items, its interval, and a two-sided p-value.

    The p-value is the share of resamples, shifted so that "no difference" is true, that differ at least as much as
    what was seen (Efron & Tibshirani, 1993, An Introduction to the Bootstrap, section 16.4), never below 1/(B + 1).

    Args:
        a: one number per item of the first system.
        b: one number per item of the second, in the same order.
        clusters: a group per item; groups are then drawn instead of items.
        confidence: coverage of the interval, in (0, 1).
        resamples: number of bootstrap samples.
        seed: the same seed gives the same result.

    Raises:
        ValueError: different numbers of items, none, or values that are not finite.
    """
    first, second = _finite(a), _finite(b)
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} and {len(second)} values are not of the same items")
    difference = first - second
    table = np.column_stack(_grouped(difference, clusters))
    drawn = _resampled(table, resamples, seed)
    return _comparison(float(difference.mean()), drawn, len(difference), confidence)


def paired_bootstrap_figure(
    a: Statistic, b: Statistic, n: int, *, confidence: float = 0.95, resamples: int = 5000, seed: int = 0
) -> Comparison:
    """Return the difference of two systems' figures over the same items, as `paired_bootstrap` does for means.

    Args:
        a: from the places of drawn items to the figure of the first system.
        b: the same of the second, over the same items.
        n: number of items that both have, at least 1.
        confidence: coverage of the interval, in (0, 1).
        resamples: number of bootstrap samples.
        seed: the same seed gives the same result.

    Raises:
        ValueError: no items.
    """
    if n < 1:
        raise ValueError("a figure needs at least one item")
    every = np.arange(n)
    drawn = np.array([a(rows) - b(rows) for rows in _draws(n, resamples, seed)])
    return _comparison(a(every) - b(every), drawn, n, confidence)


def _comparison(seen: float, drawn: Floats, n: int, confidence: float) -> Comparison:
    """Return what the differences of the bootstrap samples say of the one that was seen."""
    low, high = (float(x) for x in np.quantile(drawn, ((1 - confidence) / 2, (1 + confidence) / 2)))
    # Equal up to rounding counts as equal: a constant difference is then p = 1/(B + 1), no difference p = 1.
    extreme = np.abs(drawn - seen) >= abs(seen) * (1 - 1e-12)
    p = (1 + int(extreme.sum())) / (len(drawn) + 1)
    return Comparison(seen, low, high, min(1.0, p), n, "paired bootstrap")


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Return the two-sided exact p-value that two classifiers are equally often right (McNemar, 1947).

    Args:
        only_a: items that only the first has right.
        only_b: items that only the second has right. Items both have right or wrong say nothing.

    >>> round(mcnemar_exact(1, 7), 4)
    0.0703
    """
    if only_a < 0 or only_b < 0:
        raise ValueError("counts cannot be negative")
    n, k = only_a + only_b, min(only_a, only_b)
    # Exact integers: 2^-n underflows in floats from n = 1,075 on, and C(n, i) overflows.
    term = total = 1
    for i in range(1, k + 1):
        term = term * (n - i + 1) // i
        total += term
    return min(1.0, 2 * total / (1 << n))


def paired_power(effect: float, *, n: int, discordant: float, alpha: float = 0.05) -> float:
    """Return the chance that McNemar's test sees a true difference of two paired proportions.

    Connor, 1987, Biometrics 43:207: z_power = (√n·|δ| − z_{α/2}·√ψ) / √(ψ − δ²).

    Args:
        effect: true difference δ of the proportions.
        n: number of items.
        discordant: share ψ of items that exactly one of the two has right; at least |δ|.
        alpha: two-sided level.
    """
    size = abs(effect)
    if not 0 < discordant <= 1 or size > discordant:
        raise ValueError(f"a difference of {effect} needs at least that share of discordant items, not {discordant}")
    spread = math.sqrt(max(discordant - size * size, 1e-300))
    z = (math.sqrt(n) * size - _z(1 - alpha) * math.sqrt(discordant)) / spread
    return NormalDist().cdf(z)


def minimum_detectable_effect(n: int, *, discordant: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the smallest true difference that a paired test on n items would see with the given power.

    Args:
        n: number of items.
        discordant: share of items that exactly one of the two systems has right, such as the share that was seen.
        power: chance to see it.
        alpha: two-sided level.

    Returns:
        a difference in (0, discordant]; `discordant` itself when even that is not seen often enough.
    """
    low, high = 0.0, discordant
    if paired_power(high, n=n, discordant=discordant, alpha=alpha) < power:
        return discordant
    for _ in range(60):
        middle = (low + high) / 2
        if paired_power(middle, n=n, discordant=discordant, alpha=alpha) < power:
            low = middle
        else:
            high = middle
    return high


def _z(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _finite(values: ArrayLike) -> Floats:
    data = np.asarray(values, np.float64).ravel()
    if len(data) == 0 or not np.isfinite(data).all():
        raise ValueError("values must be finite, and at least one")
    return data


def _grouped(data: Floats, clusters: Sequence[Hashable] | None) -> tuple[Floats, Floats]:
    """Return sum and size of every cluster; an item is its own cluster when there are none."""
    if clusters is None:
        return data, np.ones_like(data)
    if len(clusters) != len(data):
        raise ValueError(f"{len(clusters)} clusters for {len(data)} values")
    numbers: dict[Hashable, int] = {}
    index = np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters])
    return np.bincount(index, data).astype(np.float64), np.bincount(index).astype(np.float64)


def _resampled(table: Floats, resamples: int, seed: int) -> Floats:
    """Return [resamples] the ratio of sums of every bootstrap sample."""
    parts = []
    for draw in _draws_in_chunks(len(table), resamples, seed):
        sums = table[draw].sum(axis=1)
        parts.append(sums[:, 0] / sums[:, 1])
    return np.concatenate(parts)


def _draws(units: int, resamples: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """Yield the [units] places of every bootstrap sample."""
    for chunk in _draws_in_chunks(units, resamples, seed):
        yield from chunk


def _draws_in_chunks(units: int, resamples: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """Yield the places of many bootstrap samples at once, [samples, units]."""
    random = np.random.default_rng(seed)
    step = max(1, _CHUNK // units)
    for start in range(0, resamples, step):
        yield random.integers(0, units, size=(min(step, resamples - start), units))


def _jackknife(table: Floats) -> Floats | None:
    """Return [units] the ratio of sums without each of the units, or None where it cannot be had without one."""
    left = table.sum(axis=0) - table
    return left[:, 0] / left[:, 1] if (left[:, 1] > 0).all() else None


def _bca_quantiles(left_out: Floats | None, drawn: Floats, estimate: float, tail: float) -> tuple[float, float]:
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
