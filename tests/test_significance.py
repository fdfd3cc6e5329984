"""Intervals and paired tests against published figures, other implementations, and simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pytest

from dizuo.significance import (
    FEW,
    bootstrap_figure,
    bootstrap_mean,
    bootstrap_statistic,
    bounded_figure,
    bounded_mean,
    mcnemar_exact,
    minimum_detectable_effect,
    paired_permutation,
    paired_permutation_figure,
    paired_power,
    smallest_p,
    wilson,
)
from dizuo.significance.resampling import bca_quantiles


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_that_of_newcombes_table(successes: int, n: int, low: float, high: float) -> None:
    # Newcombe, 1998, Statistics in Medicine 17:857, table I, method 3.
    found = wilson(successes, n)
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


def test_wilsons_interval_ends_exactly_at_nothing_and_at_everything() -> None:
    assert wilson(0, 20).low == 0.0
    assert wilson(20, 20).high == 1.0
    assert wilson(20, 20).low == pytest.approx(1 - 0.1611, abs=5e-5)


def test_a_wider_confidence_gives_a_wider_interval() -> None:
    assert wilson(8, 10, confidence=0.99).low < wilson(8, 10).low < wilson(8, 10, confidence=0.8).low


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_counts_that_are_no_proportion_are_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="no proportion"):
        wilson(successes, n)


def test_wilson_covers_a_high_share_of_few_items_where_walds_interval_does_not() -> None:
    # n = 100, p = .97: Wald covers about 80 % instead of 95.
    random = np.random.default_rng(1)
    counts = random.binomial(100, 0.97, size=4000)
    found = [wilson(int(k), 100) for k in counts]
    covered = np.mean([one.low <= 0.97 <= one.high for one in found])
    shares = counts / 100
    half = 1.959964 * np.sqrt(shares * (1 - shares) / 100)
    wald = np.mean((shares - half <= 0.97) & (shares + half >= 0.97))
    assert 0.92 < covered < 0.98
    assert wald < 0.86


@pytest.mark.parametrize(("b", "c", "p"), [(1, 7, 0.0703125), (0, 5, 0.0625), (3, 3, 1.0), (0, 0, 1.0)])
def test_mcnemar_is_the_exact_binomial(b: int, c: int, p: float) -> None:
    # 1 and 7: Fagerland, Lydersen & Laake, 2013, BMC Med Res Methodol 13:91: exact conditional p = .070.
    assert mcnemar_exact(b, c) == pytest.approx(p, rel=1e-9)
    assert mcnemar_exact(c, b) == mcnemar_exact(b, c)


def test_mcnemar_agrees_with_scipy_also_where_floats_underflow() -> None:
    from scipy.stats import binomtest

    for b, c in [(2, 9), (40, 61), (700, 800), (1000, 1100), (3, 900)]:
        assert mcnemar_exact(b, c) == pytest.approx(binomtest(min(b, c), b + c, 0.5).pvalue, rel=1e-6, abs=1e-250)


def test_mcnemar_finds_no_difference_rarely_where_there_is_none() -> None:
    random = np.random.default_rng(2)
    ps = [mcnemar_exact(int(k), 30 - int(k)) for k in random.binomial(30, 0.5, size=3000)]
    assert np.mean(np.array(ps) < 0.05) <= 0.05


def test_the_bootstrap_intervals_are_scipys() -> None:
    from scipy.stats import bootstrap

    data = np.random.default_rng(3).exponential(size=40)
    for method, name in (("bca", "BCa"), ("percentile", "percentile")):
        ours = bootstrap_mean(data, method=method, resamples=20_000, seed=1)  # type: ignore[arg-type]
        theirs = bootstrap((data,), np.mean, method=name, n_resamples=20_000, rng=2).confidence_interval
        width = theirs.high - theirs.low
        assert ours.low == pytest.approx(theirs.low, abs=0.04 * width)
        assert ours.high == pytest.approx(theirs.high, abs=0.04 * width)


def test_an_estimate_that_most_samples_fall_short_of_has_scipys_interval() -> None:
    """The standard deviation of a sample is biased, so that the correction for it moves the interval by much."""
    from scipy.stats import bootstrap

    data = np.random.default_rng(6).exponential(size=60)
    ours = bootstrap_figure(lambda rows: float(data[rows].std()), 60, resamples=2000, method="bca", seed=1)
    theirs = bootstrap((data,), np.std, method="BCa", n_resamples=5000, rng=2).confidence_interval
    plain = bootstrap_figure(lambda rows: float(data[rows].std()), 60, resamples=2000, method="percentile", seed=1)
    width = theirs.high - theirs.low
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.06 * width)
    assert plain.high < ours.high - 0.1 * width


@pytest.mark.parametrize("left_out", [(-1.0, 0.0, 1.0), (0.0, 0.0, 0.0, 9.0), (5.0, 1.0, 5.0, 5.5, 5.0)], ids=str)
@pytest.mark.parametrize(
    ("drawn", "estimate", "below"),
    [
        (range(1000), 199.5, 0.2),
        (range(1000), 499.5, 0.5),
        (range(1000), 700.5, 0.701),
        ((0, 1, 1, 1, 1, 1), 1.0, 7 / 12),
    ],
    ids=["few below", "half below", "most below", "level ones count half"],
)
def test_bca_gives_efrons_quantiles(
    drawn: Sequence[int], estimate: float, below: float, left_out: tuple[float, ...]
) -> None:
    """Efron & Tibshirani 1993, An Introduction to the Bootstrap, section 14.3, with the jackknife's acceleration."""
    z, deviation = NormalDist().inv_cdf, [sum(left_out) / len(left_out) - value for value in left_out]
    acceleration = sum(d**3 for d in deviation) / (6 * sum(d * d for d in deviation) ** 1.5)
    expected = []
    for tail in (0.025, 0.975):
        moved = z(below) + z(tail)
        expected.append(NormalDist().cdf(z(below) + moved / (1 - acceleration * moved)))
    found = bca_quantiles(np.array(left_out), np.array(drawn, float), estimate, 0.025)
    assert found == pytest.approx(expected, abs=1e-12)


def test_bca_leans_towards_the_long_tail_and_the_percentile_interval_less() -> None:
    data = np.random.default_rng(4).exponential(size=30) ** 2
    plain, corrected = bootstrap_mean(data, method="percentile"), bootstrap_mean(data, method="bca")
    assert corrected.high > plain.high
    assert corrected.low > plain.low


def test_clusters_of_equal_items_widen_the_interval_to_that_of_the_clusters() -> None:
    groups = np.random.default_rng(5).normal(size=60)
    values = np.repeat(groups, 5)
    clusters = np.repeat(np.arange(60), 5).tolist()
    whole = bootstrap_mean(groups, seed=7)
    grouped = bootstrap_mean(values, clusters=clusters, seed=7)
    ignored = bootstrap_mean(values, seed=7)
    assert (grouped.low, grouped.high) == pytest.approx((whole.low, whole.high))
    assert grouped.n == 300
    assert (grouped.high - grouped.low) > 1.8 * (ignored.high - ignored.low)


def test_ignoring_clusters_loses_the_coverage_and_drawing_clusters_keeps_it() -> None:
    random = np.random.default_rng(6)
    hits = {"grouped": 0, "ignored": 0}
    rounds = 150
    clusters = np.repeat(np.arange(40), 5).tolist()
    for turn in range(rounds):
        values = np.repeat(random.normal(size=40), 5) + 0.3 * random.normal(size=200)
        for name, groups in (("grouped", clusters), ("ignored", None)):
            found = bootstrap_mean(values, clusters=groups, method="percentile", resamples=400, seed=turn)
            hits[name] += found.low <= 0 <= found.high
    assert hits["grouped"] / rounds > 0.88
    assert hits["ignored"] / rounds < 0.75


def test_a_ratio_of_sums_is_weighted_by_its_denominators() -> None:
    totals = [[10.0, 1.0], [0.0, 99.0]]
    assert bootstrap_statistic(totals, resamples=100).estimate == pytest.approx(0.1)


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_a_figure_that_is_a_mean_has_the_interval_and_the_test_of_a_mean(method: str) -> None:
    random = np.random.default_rng(0)
    a, b = random.random(80), random.random(80)
    figure = bootstrap_figure(lambda rows: float(a[rows].mean()), 80, method=method, seed=3)  # type: ignore[arg-type]
    mean = bootstrap_mean(a, method=method, seed=3)  # type: ignore[arg-type]
    assert (figure.low, figure.high) == pytest.approx((mean.low, mean.high), rel=1e-12)
    assert (figure.estimate, figure.n, figure.method) == (pytest.approx(mean.estimate), 80, method)
    both = np.concatenate((a, b))
    ours = paired_permutation_figure(lambda rows: float(both[rows].mean()), 80, seed=3)
    theirs = paired_permutation(a, b, seed=3)
    assert ours.difference == pytest.approx(theirs.difference)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)
    assert ours.p == pytest.approx(theirs.p, abs=0.03)


def test_the_interval_of_a_median_covers_it() -> None:
    random, covered = np.random.default_rng(4), 0
    for seed in range(200):
        values = random.exponential(size=60)
        found = bootstrap_figure(
            lambda rows, values=values: float(np.median(values[rows])),
            60,
            resamples=300,
            seed=seed,
            method="percentile",
        )
        covered += found.low <= math.log(2) <= found.high
    assert 0.9 < covered / 200 < 0.99


def test_a_figure_of_many_items_leaves_out_parts_of_them() -> None:
    values = np.random.default_rng(5).exponential(size=1700)
    figure = bootstrap_figure(lambda rows: float(values[rows].mean()), len(values), resamples=2000)
    mean = bootstrap_mean(values, resamples=2000)
    assert (figure.low, figure.high) == pytest.approx((mean.low, mean.high), rel=1e-3)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_figure_of_very_few_items_has_an_interval_and_of_none_is_refused(n: int) -> None:
    values = np.arange(n, dtype=float)
    found = bootstrap_figure(lambda rows: float(values[rows].mean()), n, resamples=50)
    assert found.low <= found.estimate <= found.high
    for call in (
        lambda: bootstrap_figure(lambda rows: 0.0, 0),
        lambda: bounded_figure(lambda rows: 0.0, 0),
        lambda: paired_permutation_figure(lambda rows: 0.0, 0),
    ):
        with pytest.raises(ValueError, match="at least one item"):
            call()


def test_equal_systems_have_p_one_and_a_constant_gain_the_smallest_p() -> None:
    a = np.random.default_rng(8).random(50)
    assert paired_permutation(a, a).p == 1.0
    better = paired_permutation(a + 0.1, a, resamples=999)
    assert better.p == pytest.approx(1 / 1000)
    assert better.difference == pytest.approx(0.1)
    assert better.low == pytest.approx(0.1)


def test_a_paired_test_sees_what_unpaired_intervals_hide() -> None:
    random = np.random.default_rng(9)
    hard = random.random(80)
    a, b = hard + 0.05 + 0.05 * random.normal(size=80), hard
    first, second = bootstrap_mean(a), bootstrap_mean(b)
    assert first.low < second.high  # the intervals overlap
    assert paired_permutation(a, b).p < 0.001


def test_the_exact_test_is_the_binomial_for_right_and_wrong_and_scipys_for_scores() -> None:
    from scipy.stats import permutation_test

    a, b = np.array([1, 1, 1, 1, 0, 1, 1, 0, 1.0]), np.array([0, 0, 0, 0, 0, 0, 1, 1, 0.0])
    assert paired_permutation(a, b).p == mcnemar_exact(6, 1)
    random = np.random.default_rng(3)
    for n in (2, 5, 9, 13):
        a, b = random.random(n), random.random(n)
        theirs = permutation_test(
            (a, b), lambda x, y: float(np.mean(x - y)), permutation_type="samples", n_resamples=np.inf
        )
        assert paired_permutation(a, b).p == pytest.approx(theirs.pvalue, rel=1e-9)


def test_many_items_are_exchanged_at_random_and_agree_with_the_normal_test() -> None:
    from scipy.stats import ttest_1samp

    random = np.random.default_rng(4)
    for shift in (0.0, 0.02, 0.05):
        d = random.normal(shift, 0.3, 400)
        theirs = ttest_1samp(d, 0.0)
        ours = paired_permutation(d, np.zeros(400), largest=None)
        assert ours.p == pytest.approx(theirs.pvalue, abs=0.02)
        interval = theirs.confidence_interval(0.95)
        assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), abs=0.003)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_so_few_items_cannot_show_a_difference_and_their_interval_says_so(n: int) -> None:
    found = paired_permutation(np.ones(n), np.zeros(n))
    assert found.p == smallest_p(n) > 0.05
    assert (found.difference, found.low, found.high) == (1.0, -1.0, 1.0)
    figure = paired_permutation_figure(lambda rows: float((rows < n).mean()), n, resamples=200)
    assert figure.p == smallest_p(n)
    assert (figure.low, figure.high) == (-1.0, 1.0)


@pytest.mark.parametrize("n", [6, 9, 14, 15, 30, 60])
def test_the_interval_of_a_difference_excludes_nothing_exactly_where_the_test_finds_one(n: int) -> None:
    random, disagreed = np.random.default_rng(n), 0
    for turn in range(200):
        a, b = random.beta(2, 3, n), random.beta(2.4, 2.6, n)
        found = paired_permutation(a, b, resamples=999, seed=turn)
        disagreed += (found.p <= 0.05) != (found.low > 0 or found.high < 0)
    assert disagreed <= (0 if n <= 14 else 8)  # drawn exchanges differ near the level


def test_clusters_are_exchanged_whole() -> None:
    random = np.random.default_rng(22)
    groups = np.repeat(np.arange(12), 10).tolist()
    shift = np.repeat(random.normal(0.08, 0.2, 12), 10)
    base = random.random(120)
    ignored = paired_permutation(base + shift, base, largest=None)
    held = paired_permutation(base + shift, base, clusters=groups, largest=None)
    assert held.p > 0.2
    assert ignored.p < 0.05
    assert held.high - held.low > 2 * (ignored.high - ignored.low)


def test_the_score_interval_is_wilsons_for_right_and_wrong_and_leans_away_from_the_bound() -> None:
    values = np.repeat([1.0, 0.0], [90, 10])
    ours, theirs = bounded_mean(values), wilson(90, 100)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.002)
    high = bounded_mean(np.repeat([1.0, 0.8], [95, 5]))
    assert high.high - high.estimate < high.estimate - high.low
    assert bounded_mean(np.ones(60)).low < 0.96
    assert bounded_mean(np.ones(60)).high == 1.0


def test_other_bounds_stretch_the_interval_and_scores_outside_are_refused() -> None:
    values = np.random.default_rng(1).random(80)
    plain, stretched = bounded_mean(values), bounded_mean(2 * values - 1, lower=-1)
    assert (stretched.low, stretched.high) == pytest.approx((2 * plain.low - 1, 2 * plain.high - 1))
    assert bounded_mean([0.5, 1 + 1e-12]).n == 2  # rounding is no fault
    with pytest.raises(ValueError, match="between 0 and 1"):
        bounded_mean([0.5, 1.1])


def test_a_figure_of_few_items_has_the_wider_of_two_intervals() -> None:
    values = np.random.default_rng(2).beta(8, 2, FEW - 1)
    found = bounded_figure(lambda rows: float(values[rows].mean()), FEW - 1, resamples=500)
    assert found.method == "conservative"
    assert (found.low, found.high) == pytest.approx((bounded_mean(values).low, bounded_mean(values).high))


def test_the_same_seed_gives_the_same_interval() -> None:
    data = np.random.default_rng(11).random(30)
    assert bootstrap_mean(data, seed=3) == bootstrap_mean(data, seed=3)
    assert bootstrap_mean(data, seed=3) != bootstrap_mean(data, seed=4)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [1.0, math.inf]])
def test_values_that_are_not_finite_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        bootstrap_mean(values)


def test_pairs_of_different_items_are_refused() -> None:
    with pytest.raises(ValueError, match="same items"):
        paired_permutation([1, 0, 1], [1, 0])


def test_the_power_formula_agrees_with_simulated_mcnemar_tests() -> None:
    random = np.random.default_rng(12)
    n, up, down = 400, 0.12, 0.05
    draws = random.multinomial(n, [up, down, 1 - up - down], size=2000)
    simulated = np.mean([mcnemar_exact(int(b), int(c)) < 0.05 for b, c, _ in draws])
    # The exact test is a little conservative; the formula is of the asymptotic one.
    assert paired_power(up - down, n=n, discordant=up + down) == pytest.approx(simulated, abs=0.05)


def test_the_detectable_effect_has_just_the_power_asked_for_and_shrinks_with_the_items() -> None:
    effect = minimum_detectable_effect(400, discordant=0.15)
    assert paired_power(effect, n=400, discordant=0.15) == pytest.approx(0.8, abs=1e-6)
    assert minimum_detectable_effect(1600, discordant=0.15) == pytest.approx(effect / 2, rel=0.05)
    assert minimum_detectable_effect(4, discordant=0.1) == 0.1  # nothing this small can be seen on four items
