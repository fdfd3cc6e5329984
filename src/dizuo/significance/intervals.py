"""Intervals: what a score may plausibly be.

    proportion            a share of items: Wilson's interval, Clopper and Pearson's where items are few
    bounded_mean          a mean of scores between two bounds, such as chrF
    bounded_figure        a figure of a whole set between 0 and 1, such as macro F1
    bootstrap_mean        any mean, also of clusters of items; bootstrap_statistic: a ratio of sums
    bootstrap_figure      any figure of a whole set

Below `FEW` items a bootstrap sees too little of a skewed distribution: at ten items whose scores are mostly equal it
covers the true mean in 20 to 70 of 100 cases instead of 95. There the intervals hold for any distribution between the
bounds, however wide that makes them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from dizuo.significance.resampling import (
    bca_quantiles,
    draws,
    finite,
    grouped,
    jackknife,
    normal_quantile,
    resampled,
)
from dizuo.significance.results import Interval, Statistic

__all__ = [
    "FEW",
    "bootstrap_figure",
    "bootstrap_mean",
    "bootstrap_statistic",
    "bounded_figure",
    "bounded_mean",
    "proportion",
    "wilson",
]

FEW = 50
"""Below so many items, intervals hold for any distribution of scores."""
_GROUPS = 500
"""Parts that are left out in turn to measure how a figure's variance changes with its value."""


def proportion(successes: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Return the interval of a share of items: `wilson` from 50 items on.

    Below it is that of Clopper and Pearson (1934, Biometrika 26:404), which covers at least as often as it says.

    Args:
        successes: 0 to n.
        n: number of items, at least 1.
        confidence: coverage aimed at, in (0, 1).

    Raises:
        ValueError: counts that are no proportion.
    """
    if n >= FEW or n < 1 or not 0 <= successes <= n:
        return wilson(successes, n, confidence=confidence)
    low, high = _clopper_pearson(successes, n, confidence)
    return Interval(successes / n, low, high, n, "clopper-pearson")


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
    z = normal_quantile(confidence)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At 0 and n the bounds are exactly 0 and 1; rounding would leave 1e-17.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(share, low, high, n, "wilson")


def bounded_mean(values: ArrayLike, *, lower: float = 0.0, upper: float = 1.0, confidence: float = 0.95) -> Interval:
    """Return the interval of a mean of scores that lie between two bounds.

    From `FEW` items on it is Wilson's interval with the dispersion that the scores have: it is made of all means μ with
    n(x̄ − μ)² ≤ t²·φ·μ(1 − μ), scores scaled to 0…1, φ = s²/(x̄(1 − x̄)) + 1/(2n), at most 1 (a quasi-binomial model:
    McCullagh & Nelder, 1989, Generalized Linear Models, section 4.5). Unlike a bootstrap's it leans away from the
    bounds, and has a width where all scores are equal.

    Below that it is Clopper and Pearson's interval with Σx successes, which need not be a whole number. Giving each
    item a coin that shows 1 with the probability of its score keeps the mean and adds variance, so that an interval
    for coins is wide enough for the scores.

    Args:
        values: one number per item.
        lower: the least that a score can be.
        upper: the most.
        confidence: coverage aimed at, in (0, 1).

    Raises:
        ValueError: no items, or a value that is not finite or outside the bounds.
    """
    data = finite(values)
    n, span = len(data), upper - lower
    scaled = (data - lower) / span
    if scaled.min() < -1e-9 or scaled.max() > 1 + 1e-9:
        raise ValueError(f"scores must be between {lower:g} and {upper:g}")
    scaled = scaled.clip(0.0, 1.0)  # what rounding left
    mean = float(scaled.mean())
    if n < FEW:
        (low, high), method = _clopper_pearson(n * mean, n, confidence), "conservative"
    else:
        (low, high), method = _score_interval(mean, float(scaled.var(ddof=1)), n, confidence), "score"
    estimate = float(data.mean())
    return Interval(estimate, min(lower + span * low, estimate), max(lower + span * high, estimate), n, method)


def _score_interval(mean: float, variance: float, n: int, confidence: float) -> tuple[float, float]:
    from scipy.stats import t

    most = mean * (1 - mean)
    dispersion = min(1.0, variance / most + 0.5 / n) if most > 0 else 1.0
    q = float(t.ppf((1 + confidence) / 2, n - 1)) ** 2 * dispersion / n
    centre, half = (mean + q / 2) / (1 + q), math.sqrt(q * most + q * q / 4) / (1 + q)
    return max(0.0, centre - half), min(1.0, centre + half)


def _clopper_pearson(successes: float, n: int, confidence: float) -> tuple[float, float]:
    """Return the bounds for a number of successes that need not be whole."""
    from scipy.stats import beta

    tail = (1 - confidence) / 2
    low = 0.0 if successes <= 0 else float(beta.ppf(tail, successes, n - successes + 1))
    high = 1.0 if successes >= n else float(beta.ppf(1 - tail, successes + 1, n - successes))
    return low, high


def bounded_figure(
    figure: Statistic, n: int, *, confidence: float = 0.95, resamples: int = 5000, seed: int = 0
) -> Interval:
    """Return the interval of a figure between 0 and 1 that only a whole set has: `bootstrap_figure`'s, by BCa.

    Below `FEW` items it is widened to what `bounded_mean` says of as many items with such a mean.

    Args:
        figure: from the places of drawn items, 0 to n − 1, to the figure of those items.
        n: number of items, at least 1.
        confidence: coverage aimed at, in (0, 1).
        resamples: number of bootstrap samples.
        seed: the same seed gives the same interval.

    Raises:
        ValueError: no items.
    """
    found = bootstrap_figure(figure, n, confidence=confidence, resamples=resamples, seed=seed)
    if n >= FEW:
        return found
    low, high = _clopper_pearson(n * found.estimate, n, confidence)
    return Interval(found.estimate, min(low, found.low), max(high, found.high), n, "conservative")


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
    data = finite(values)
    sums, sizes = grouped(data, clusters)
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
    drawn = resampled(table, resamples, seed)
    tail = (1 - confidence) / 2
    quantiles = bca_quantiles(jackknife(table), drawn, estimate, tail) if method == "bca" else (tail, 1 - tail)
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
    drawn = np.array([figure(rows) for rows in draws(n, resamples, seed)])
    tail = (1 - confidence) / 2
    quantiles = (tail, 1 - tail)
    if method == "bca" and n > 2:
        parts = np.array_split(every, min(n, _GROUPS))
        left_out = np.array([figure(np.concatenate((every[: part[0]], every[part[-1] + 1 :]))) for part in parts])
        quantiles = bca_quantiles(left_out, drawn, estimate, tail)
    low, high = (float(value) for value in np.quantile(drawn, quantiles))
    return Interval(estimate, min(low, estimate), max(high, estimate), n, method)
