"""From answers to rows: scores with intervals, and every row compared with two others item by item.

The interval of a score and the tests between rows are chosen here and computed by `dizuo.significance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dizuo.evaluation.answering.answers import Answers
from dizuo.evaluation.options import EvaluateOptions
from dizuo.evaluation.reporting.report import Row
from dizuo.significance import (
    Interval,
    Statistic,
    bootstrap_figure,
    bootstrap_mean,
    mcnemar_exact,
    paired_bootstrap,
    paired_bootstrap_figure,
    wilson,
)

__all__ = ["Entry", "best_cheap", "compare", "interval_of", "make_rows"]


_Against: TypeAlias = tuple[float, tuple[float, float, float]]
"""p, and the mean difference with its interval."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One way to do the task, its answers, and what each of them is worth."""

    name: str
    title: str
    family: str
    """`cheap`, `untuned` or `tuned`."""
    answers: Answers
    values: NDArray[np.float64]
    """[n] 0 to 1 per item, of the first n items."""
    statistic: Statistic | None = None
    """The score of drawn items, where it is a figure of the whole set; None where it is the mean of the values."""

    @property
    def score(self) -> float:
        """The mean over its items, or the figure of all of them."""
        if self.statistic is not None:
            return self.statistic(np.arange(len(self.values)))
        return float(self.values.mean())


def best_cheap(entries: Sequence[Entry]) -> Entry | None:
    """Return the cheap entry with the highest score; of equal ones the first."""
    return max((entry for entry in entries if entry.family == "cheap"), key=lambda entry: entry.score, default=None)


def make_rows(entries: Sequence[Entry], *, options: EvaluateOptions) -> list[Row]:
    """Return one row per entry.

    A score that is right or wrong per item gets Wilson's interval and McNemar's test, any other a BCa bootstrap and a
    paired bootstrap; a figure of the whole set is computed anew for every bootstrap sample. Rows of different size are
    compared on the items that both have.
    """
    cheap = best_cheap(entries)
    untuned = next((entry for entry in entries if entry.name == "untuned"), None)
    return [_row(entry, cheap, untuned, options) for entry in entries]


def compare(a: NDArray[np.float64], b: NDArray[np.float64], *, options: EvaluateOptions) -> _Against:
    """Return (p, (mean of a − b, its interval)) over the items that both have."""
    n = min(len(a), len(b))
    a, b = a[:n], b[:n]
    comparison = paired_bootstrap(a, b, confidence=options.confidence, seed=options.seed)
    p = comparison.p
    if _binary(a) and _binary(b):
        p = mcnemar_exact(int((a > b).sum()), int((b > a).sum()))
    return p, (comparison.difference, comparison.low, comparison.high)


def interval_of(entry: Entry, *, options: EvaluateOptions) -> Interval:
    """Return an entry's score with its interval."""
    n = len(entry.values)
    if entry.statistic is not None:
        return bootstrap_figure(entry.statistic, n, confidence=options.confidence, seed=options.seed)
    if _binary(entry.values):
        return wilson(int(entry.values.sum()), n, confidence=options.confidence)
    return bootstrap_mean(entry.values, confidence=options.confidence, seed=options.seed)


def _against(entry: Entry, other: Entry | None, options: EvaluateOptions) -> _Against | None:
    """Return the test of an entry against another, or None where there is no other."""
    if other is None or other is entry:
        return None
    if entry.statistic is None or other.statistic is None:
        return compare(entry.values, other.values, options=options)
    n = min(len(entry.values), len(other.values))
    comparison = paired_bootstrap_figure(
        entry.statistic, other.statistic, n, confidence=options.confidence, seed=options.seed
    )
    return comparison.p, (comparison.difference, comparison.low, comparison.high)


def _row(entry: Entry, cheap: Entry | None, untuned: Entry | None, options: EvaluateOptions) -> Row:
    interval = interval_of(entry, options=options)
    against_cheap = _against(entry, cheap, options)
    against_untuned = _against(entry, untuned, options)
    return Row(
        name=entry.name,
        title=entry.title,
        family=entry.family,
        score=interval.estimate,
        low=interval.low,
        high=interval.high,
        n=len(entry.values),
        interval=interval.method,
        p_vs_best_cheap=against_cheap[0] if against_cheap else None,
        vs_best_cheap=against_cheap[1] if against_cheap else None,
        p_vs_untuned=against_untuned[0] if against_untuned else None,
        vs_untuned=against_untuned[1] if against_untuned else None,
        seconds_train=entry.answers.seconds_train,
        ms_per_item=entry.answers.ms_per_item,
        mb_on_disk=entry.answers.mb_on_disk,
        metrics=dict(entry.answers.metrics),
        note=entry.answers.note,
    )


def _binary(values: NDArray[np.float64]) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())
