"""Paired tests: whether two systems differ, seen on the same items.

    mcnemar_exact               right and wrong
    paired_permutation          any score per item
    paired_permutation_figure   a figure of the whole set, such as macro F1

If two systems do not differ, their answers to an item could as well be exchanged. The tests exchange them, item by
item, and ask how often the difference is at least as large as the one seen. So they hold at any number of items, and
n items cannot show a p below 2/2ⁿ (`smallest_p`): five say nothing at the usual level.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dizuo.significance.intervals import FEW
from dizuo.significance.resampling import CHUNK, draws, finite, grouped, normal_quantile
from dizuo.significance.results import Comparison, Floats, Statistic

__all__ = ["mcnemar_exact", "paired_permutation", "paired_permutation_figure", "smallest_p"]

_ALL = 14
"""Up to so many items every one of the 2ⁿ exchanges is tried; beyond it some of them, drawn at random."""
_ALL_OF_A_FIGURE = 10
"""The same for a figure, which takes longer to compute."""


def smallest_p(n: int) -> float:
    """Return the smallest two-sided p that a paired test of n items can have: 2/2ⁿ."""
    return 2.0 ** (1 - n) if n > 0 else 1.0


def paired_permutation(
    a: ArrayLike,
    b: ArrayLike,
    *,
    clusters: Sequence[Hashable] | None = None,
    largest: float | None = 1.0,
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> Comparison:
    """Return the mean difference a − b over the same items, its interval, and a two-sided p-value.

    The p-value is that of the sign-flip test (Fisher, 1935, The Design of Experiments, section 21): the share of
    exchanges whose difference is at least as large as the one seen. The interval is made of the differences that this
    test does not reject, which are means of subsets of the items (Hartigan, 1969, JASA 64:1303). Both are exact up to
    14 items, and drawn at random beyond, with the exchange that was seen counted in.

    Args:
        a: one number per item of the first system.
        b: one number per item of the second, in the same order.
        clusters: a group per item; groups are then exchanged instead of items.
        largest: how far apart two scores of an item can be; this is the interval where items are too few for another.
            None: there is no limit; then it is Student's, and that of one item is its difference.
        confidence: coverage of the interval, in (0, 1).
        resamples: number of exchanges drawn.
        seed: the same seed gives the same result.

    Raises:
        ValueError: different numbers of items, none, or values that are not finite.
    """
    first, second = finite(a), finite(b)
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} and {len(second)} values are not of the same items")
    difference = first - second
    sums, sizes = grouped(difference, clusters)
    seen = float(difference.mean())
    low, high = _interval_of_subsets(sums, sizes, confidence, resamples, seed) or _few(difference, largest, confidence)
    p = _sign_flip(sums[sums != 0], resamples, seed)
    return Comparison(seen, min(low, seen), max(high, seen), p, len(difference), "paired permutation")


def paired_permutation_figure(
    figure: Statistic, n: int, *, confidence: float = 0.95, resamples: int = 5000, seed: int = 0
) -> Comparison:
    """Return the difference of two systems' figures over the same items, as `paired_permutation` does for means.

    The p-value exchanges the two systems' answers (approximate randomisation: Noreen, 1989; Yeh, 2000, COLING). The
    interval is that of a paired bootstrap; below 50 items it is widened, and where no test of so few items could find
    a difference it is everything from −1 to 1.

    Args:
        figure: from the places of items to their figure, which is 0 to 1. Place i is the first system's answer to item
            i, place n + i the second's.
        n: number of items that both have, at least 1.
        confidence: coverage of the interval, in (0, 1).
        resamples: number of exchanges, and of bootstrap samples.
        seed: the same seed gives the same result.

    Raises:
        ValueError: no items.
    """
    if n < 1:
        raise ValueError("a figure needs at least one item")
    every = np.arange(n)
    seen = figure(every) - figure(every + n)
    exchanged = np.array(
        [
            figure(np.where(mask, every + n, every)) - figure(np.where(mask, every, every + n))
            for block in _subsets(n, resamples, seed, all_up_to=_ALL_OF_A_FIGURE)
            for mask in block
        ]
    )
    p = _share(exchanged, seen, complete=n <= _ALL_OF_A_FIGURE)
    drawn = np.array([figure(rows) - figure(rows + n) for rows in draws(n, resamples, seed)])
    low, high = (float(x) for x in np.quantile(drawn, ((1 - confidence) / 2, (1 + confidence) / 2)))
    if smallest_p(n) > 1 - confidence:
        low, high = -1.0, 1.0
    elif n < FEW:
        # Student's factor for the spread that a bootstrap of few items misses, the rule of three for what none has.
        wider = math.sqrt(n / (n - 1)) * _student(n - 1, confidence) / normal_quantile(confidence)
        low = max(-1.0, seen + wider * (low - seen) - 3 / n)
        high = min(1.0, seen + wider * (high - seen) + 3 / n)
    return Comparison(seen, min(low, seen), max(high, seen), p, n, "paired permutation")


def _sign_flip(differences: Floats, resamples: int, seed: int) -> float:
    """Return p of differences that are not 0: those that are stay the same in every exchange."""
    if not len(differences):
        return 1.0
    total = float(differences.sum())
    flipped = np.concatenate(
        [total - 2 * (block @ differences) for block in _subsets(len(differences), resamples, seed)]
    )
    return _share(flipped, total, complete=len(differences) <= _ALL)


def _share(exchanged: Floats, seen: float, *, complete: bool) -> float:
    """Return how many exchanges differ at least as much as what was seen, which is one of them."""
    # Equal up to rounding counts as equal: a constant difference then has the smallest p, and no difference p = 1.
    extreme = int(np.count_nonzero(np.abs(exchanged) >= abs(seen) * (1 - 1e-9)))
    return extreme / len(exchanged) if complete else (1 + extreme) / (1 + len(exchanged))


def _interval_of_subsets(
    sums: Floats, sizes: Floats, confidence: float, resamples: int, seed: int
) -> tuple[float, float] | None:
    """Return the interval between two means of subsets, or None where there are too few of them."""
    means = []
    for block in _subsets(len(sums), resamples, seed + 1):
        counted = block @ sizes
        means.append((block @ sums)[counted > 0] / counted[counted > 0])
    ordered = np.sort(np.concatenate(means))
    place = math.floor((1 - confidence) / 2 * (len(ordered) + 1) + 1e-9)
    return (float(ordered[place - 1]), float(ordered[-place])) if place >= 1 else None


def _few(difference: Floats, largest: float | None, confidence: float) -> tuple[float, float]:
    if largest is not None:
        return -largest, largest
    mean, n = float(difference.mean()), len(difference)
    half = 0.0 if n < 2 else _student(n - 1, confidence) * float(difference.std(ddof=1)) / math.sqrt(n)
    return mean - half, mean + half


def _student(freedom: int, confidence: float) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + confidence) / 2, freedom))


def _subsets(n: int, count: int, seed: int, *, all_up_to: int = _ALL) -> Iterator[NDArray[np.float64]]:
    """Yield which of n items are in a subset, 1 or 0, [subsets, n]: all 2ⁿ, or `count` of them where these are many."""
    if n <= all_up_to:
        yield ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1).astype(np.float64)
        return
    random = np.random.default_rng(seed)
    step = max(1, CHUNK // n)
    for start in range(0, count, step):
        rows = min(step, count - start)
        bits = np.unpackbits(np.frombuffer(random.bytes(rows * (n // 8 + 1)), np.uint8).reshape(rows, -1), axis=1)
        yield bits[:, :n].astype(np.float64)


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
