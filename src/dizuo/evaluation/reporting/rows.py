"""From answers to rows: scores with intervals, and every row compared with two others item by item.

The interval of a score and the tests between rows are chosen here and computed by `dizuo.significance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dizuo.evaluation.answering.answers import Answers
from dizuo.evaluation.figures import AnsweredSet, Figure
from dizuo.evaluation.options import EvaluateOptions
from dizuo.evaluation.reporting.report import Row
from dizuo.significance import (
    Comparison,
    Interval,
    bootstrap_mean,
    bounded_figure,
    bounded_mean,
    mcnemar_exact,
    paired_permutation,
    paired_permutation_figure,
    proportion,
)

__all__ = ["Entry", "best_cheap", "compare", "interval_of", "make_rows"]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One way to do the task, its answers, and what each of them is worth."""

    name: str
    title: str
    family: str
    """`cheap`, `untuned` or `tuned`."""
    answers: Answers
    values: NDArray[np.float64]
    """[n] what each of the first n items is worth."""
    bounded: bool = True
    """Whether a value is always 0 to 1. Otherwise it has no lower bound."""
    figure: Figure | None = None
    """What the score is, where it is a figure of the whole set; None where it is the mean of the values."""
    answered: AnsweredSet | None = None
    """What the figure is computed of."""

    @property
    def score(self) -> float:
        """The mean over its items, or the figure of all of them."""
        if self.figure is not None and self.answered is not None:
            return self.figure.over_items(self.answered)(np.arange(len(self.values)))
        return float(self.values.mean())


def best_cheap(entries: Sequence[Entry]) -> Entry | None:
    """Return the cheap entry with the highest score; of equal ones the first."""
    return max((entry for entry in entries if entry.family == "cheap"), key=lambda entry: entry.score, default=None)


def make_rows(entries: Sequence[Entry], *, options: EvaluateOptions) -> list[Row]:
    """Return one row per entry.

    A score that is right or wrong per item gets the interval of a proportion and McNemar's test, any other that of a
    bounded mean and a permutation test; a figure of the whole set is computed anew for every sample and exchange. Rows
    of different size are compared on the items that both have.
    """
    cheap = best_cheap(entries)
    named = {entry.name: entry for entry in entries}
    scored = {"served": named.get("tuned")}
    return [_row(entry, cheap, named.get("untuned"), scored.get(entry.name), options) for entry in entries]


def compare(
    a: NDArray[np.float64], b: NDArray[np.float64], *, options: EvaluateOptions, bounded: bool = True
) -> Comparison:
    """Return the difference a − b over the items that both have, with its interval and p.

    Args:
        a: what each item of one row is worth.
        b: the same of another row.
        options: their `confidence` and `seed`.
        bounded: whether an item is always worth 0 to 1.
    """
    n = min(len(a), len(b))
    a, b = a[:n], b[:n]
    comparison = paired_permutation(
        a, b, largest=1.0 if bounded else None, confidence=options.confidence, seed=options.seed
    )
    if _binary(a) and _binary(b):
        return replace(comparison, p=mcnemar_exact(int((a > b).sum()), int((b > a).sum())))
    return comparison


def interval_of(entry: Entry, *, options: EvaluateOptions) -> Interval:
    """Return an entry's score with its interval."""
    n, confidence = len(entry.values), options.confidence
    if entry.figure is not None and entry.answered is not None:
        statistic = entry.figure.over_items(entry.answered)
        return bounded_figure(statistic, n, confidence=confidence, seed=options.seed)
    if not entry.bounded:
        return bootstrap_mean(entry.values, confidence=confidence, seed=options.seed)
    if _binary(entry.values):
        return proportion(int(entry.values.sum()), n, confidence=confidence)
    return bounded_mean(entry.values, confidence=confidence)


def _against(entry: Entry, other: Entry | None, options: EvaluateOptions) -> Comparison | None:
    """Return the test of an entry against another, or None where there is no other."""
    if other is None or other is entry:
        return None
    if entry.figure is None or entry.answered is None or other.answered is None:
        return compare(entry.values, other.values, options=options, bounded=entry.bounded and other.bounded)
    n = min(len(entry.values), len(other.values))
    statistic = entry.figure.over_items(entry.answered.first(n).followed_by(other.answered.first(n)))
    return paired_permutation_figure(statistic, n, confidence=options.confidence, seed=options.seed)


def _row(
    entry: Entry, cheap: Entry | None, untuned: Entry | None, scored: Entry | None, options: EvaluateOptions
) -> Row:
    interval = interval_of(entry, options=options)
    against_cheap = _against(entry, cheap, options)
    against_untuned = _against(entry, untuned, options)
    against_scored = _against(entry, scored, options)
    return Row(
        name=entry.name,
        title=entry.title,
        family=entry.family,
        score=interval.estimate,
        low=interval.low,
        high=interval.high,
        n=len(entry.values),
        interval=interval.method,
        p_vs_best_cheap=against_cheap.p if against_cheap else None,
        vs_best_cheap=_difference(against_cheap),
        p_vs_untuned=against_untuned.p if against_untuned else None,
        vs_untuned=_difference(against_untuned),
        p_vs_scored=against_scored.p if against_scored else None,
        vs_scored=_difference(against_scored),
        seconds_train=entry.answers.seconds_train,
        ms_per_item=entry.answers.ms_per_item,
        mb_on_disk=entry.answers.mb_on_disk,
        metrics=dict(entry.answers.metrics),
        note=entry.answers.note,
    )


def _difference(comparison: Comparison | None) -> tuple[float, float, float] | None:
    return None if comparison is None else (comparison.difference, comparison.low, comparison.high)


def _binary(values: NDArray[np.float64]) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())
