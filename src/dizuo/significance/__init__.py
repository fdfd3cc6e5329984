"""How sure a score is, and whether two scores differ. numpy, and scipy's distributions.

Two systems on the same items are compared item by item; overlapping intervals are no test. Items that come in groups
(one document, one user) are drawn as groups: pass `clusters`.

    results      what an interval and a comparison are
    intervals    of shares, of bounded scores, of any mean, of figures of a whole set
    paired       tests of two systems on the same items, exact where items are few
    power        how small a difference so many items can show
    resampling   what these draw
"""

from __future__ import annotations

from dizuo.significance.intervals import (
    FEW,
    bootstrap_figure,
    bootstrap_mean,
    bootstrap_statistic,
    bounded_figure,
    bounded_mean,
    proportion,
    wilson,
)
from dizuo.significance.paired import mcnemar_exact, paired_permutation, paired_permutation_figure, smallest_p
from dizuo.significance.power import minimum_detectable_effect, paired_power
from dizuo.significance.results import Comparison, Interval, Statistic

__all__ = [
    "FEW",
    "Comparison",
    "Interval",
    "Statistic",
    "bootstrap_figure",
    "bootstrap_mean",
    "bootstrap_statistic",
    "bounded_figure",
    "bounded_mean",
    "mcnemar_exact",
    "minimum_detectable_effect",
    "paired_permutation",
    "paired_permutation_figure",
    "paired_power",
    "proportion",
    "smallest_p",
    "wilson",
]
