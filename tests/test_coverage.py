"""Intervals cover what they estimate as often as they say, and tests find nothing where nothing is: by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dizuo.significance import (
    bootstrap_mean,
    bounded_mean,
    paired_permutation,
    paired_permutation_figure,
    proportion,
    smallest_p,
)

CELLS = [50, 60, 75, 100, 150, 200, 300, 400, 500, 700, 1000, 1500, 2000, 3000]


@pytest.fixture(scope="module")
def coverage_of_proportions() -> dict[tuple[int, float], float]:
    """The exact coverage, a sum over all counts, of every n and p."""
    from scipy.stats import binom

    cells = {}
    for n in CELLS:
        counts = np.arange(n + 1)
        found = [proportion(int(k), n) for k in counts]
        low, high = np.array([one.low for one in found]), np.array([one.high for one in found])
        for p in np.arange(0.5, 0.9701, 0.01):
            cells[n, float(p)] = float(binom.pmf(counts, n, p)[(low <= p) & (p <= high)].sum())
    return cells


def test_every_proportion_is_covered_as_often_as_said(coverage_of_proportions: dict[tuple[int, float], float]) -> None:
    coverage = np.array(list(coverage_of_proportions.values()))
    assert len(coverage) == len(CELLS) * 48
    assert coverage.min() >= 0.92
    assert coverage.max() <= 0.98
    assert 0.945 <= coverage.mean() <= 0.955


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 20, 35, 49])
def test_a_proportion_of_few_items_is_covered_at_least_as_often_as_said(n: int) -> None:
    from scipy.stats import binom, binomtest

    counts = np.arange(n + 1)
    found = [proportion(int(k), n) for k in counts]
    theirs = binomtest(n // 2, n).proportion_ci(method="exact")
    assert (found[n // 2].low, found[n // 2].high) == pytest.approx((theirs.low, theirs.high))
    assert {one.method for one in found} == {"clopper-pearson"}
    for p in np.linspace(0, 1, 101):
        inside = np.array([one.low <= p + 1e-12 and p - 1e-12 <= one.high for one in found])
        assert binom.pmf(counts, n, p)[inside].sum() >= 0.95 - 1e-9


def _scores() -> dict[str, tuple[object, float]]:
    """Scores between 0 and 1 as metrics give them: how they are drawn, and their true mean."""

    def beta(a: float, b: float) -> tuple[object, float]:
        return (lambda random, size: random.beta(a, b, size)), a / (a + b)

    def partly(share: float, value: float, a: float, b: float) -> tuple[object, float]:
        def draw(random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
            return np.where(random.random(size) < share, value, random.beta(a, b, size))

        return draw, share * value + (1 - share) * a / (a + b)

    steps, shares = [0, 0.4, 0.5, 2 / 3, 0.8, 1], [0.3, 0.1, 0.1, 0.15, 0.1, 0.25]
    return {
        "chrF": beta(2, 5),
        "chrF, narrow": beta(8, 10),
        "chrF, high": beta(8, 1),
        "chrF, low": beta(0.5, 8),
        "even": beta(1, 1),
        "all or nothing": beta(0.1, 0.1),
        "U": beta(0.5, 0.5),
        "a third right": partly(0.3, 1.0, 2, 4),
        "mostly right": partly(0.8, 1.0, 2, 4),
        "nearly all right": partly(0.9, 1.0, 2, 4),
        "half nothing": partly(0.5, 0.0, 4, 2),
        "mostly nothing": partly(0.9, 0.0, 4, 2),
        "token F1": (lambda random, size: random.choice(steps, p=shares, size=size), float(np.dot(steps, shares))),
    }


SCORES = _scores()
RARE = {
    f"{value:g}, rarely {rare:g} ({share:.0%})": (
        (lambda random, size, v=value, r=rare, s=share: np.where(random.random(size) < s, r, v)),
        (1 - share) * value + share * rare,
    )
    for value in (0.3, 0.5, 0.9)
    for rare in (0.0, 1.0)
    for share in (0.02, 0.05, 0.1, 0.2)
}


def _coverage(draw: object, mean: float, n: int, rounds: int) -> float:
    random = np.random.default_rng(n)
    hits = 0
    for row in draw(random, (rounds, n)):  # type: ignore[operator]
        found = bounded_mean(row)
        hits += found.low <= mean + 1e-12 and mean - 1e-12 <= found.high
    return hits / rounds


@pytest.mark.parametrize("n", [50, 120, 400])
@pytest.mark.parametrize("scores", SCORES)
def test_the_interval_of_bounded_scores_covers_their_mean_as_often_as_said(scores: str, n: int) -> None:
    coverage = _coverage(*SCORES[scores], n, 2000)
    spare = 2 * math.sqrt(0.95 * 0.05 / 2000)  # what 2,000 rounds leave to chance
    assert 0.93 - spare <= coverage <= 0.98 + spare


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 20, 35, 49])
@pytest.mark.parametrize("scores", [*SCORES, *RARE])
def test_the_interval_of_few_bounded_scores_covers_their_mean_whatever_they_are(scores: str, n: int) -> None:
    coverage = _coverage(*{**SCORES, **RARE}[scores], n, 400)
    assert coverage >= 0.94


def test_a_bootstrap_of_few_scores_does_not_cover_their_mean() -> None:
    # Why there is another interval below 50 items: at 10, BCa says 95 % and means 66 % or less.
    random = np.random.default_rng(0)
    draw, mean = RARE["0.5, rarely 0 (5%)"]
    found = [bootstrap_mean(row, resamples=200) for row in draw(random, (300, 10))]
    assert np.mean([one.low <= mean <= one.high for one in found]) < 0.7


def test_an_interval_of_differences_covers_the_true_one() -> None:
    random = np.random.default_rng(21)
    for n in (6, 10, 14, 25, 49, 100):
        hits = 0
        for turn in range(400):
            hard = random.beta(2, 2, n)
            a = np.clip(hard + random.normal(0.03, 0.1, n), 0, 1)
            b = np.clip(hard + random.normal(0.03, 0.1, n), 0, 1)
            found = paired_permutation(a, b, resamples=999, seed=turn)
            hits += found.low <= 0 <= found.high
        assert hits / 400 >= 0.92, n


# Tests where there is no difference.

NULLS = {
    "normal": lambda random, size: random.normal(size=size),
    "chrF": lambda random, size: random.beta(2, 4, size),
    "mostly right": lambda random, size: np.where(random.random(size) < 0.8, 1.0, random.beta(2, 4, size)),
    "right or wrong": lambda random, size: (random.random(size) < 0.7).astype(float),
}


@pytest.mark.parametrize("n", [2, 5, 6, 8, 14, 15, 40, 150])
@pytest.mark.parametrize("null", NULLS)
def test_a_paired_test_rarely_finds_a_difference_where_there_is_none(null: str, n: int) -> None:
    random, rounds = np.random.default_rng(10 + n), 1200
    draw = NULLS[null]
    ps = np.array(
        [paired_permutation(draw(random, n), draw(random, n), resamples=199, seed=turn).p for turn in range(rounds)]
    )
    # 5.5 % and what 1,200 rounds leave to chance: three standard errors.
    assert (ps <= 0.05).mean() <= 0.055 + 3 * math.sqrt(0.05 * 0.95 / rounds)
    assert ps.min() >= smallest_p(n) * (1 - 1e-12)
    if null == "normal" and n >= 14:
        assert (ps <= 0.05).mean() >= 0.03  # it is a test, and does not merely refuse


@pytest.mark.parametrize("n", [5, 8, 40])
def test_a_figure_of_the_set_rarely_differs_where_there_is_no_difference(n: int) -> None:
    random, rounds, found = np.random.default_rng(n), 150, 0
    for turn in range(rounds):
        values = random.random(2 * n)
        test = paired_permutation_figure(
            lambda rows, values=values: float(np.median(values[rows])), n, resamples=99, seed=turn
        )
        found += test.p <= 0.05
    assert found / rounds <= 0.055 + 3 * math.sqrt(0.05 * 0.95 / rounds)
