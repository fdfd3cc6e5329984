"""From answers to rows: scores with intervals, and every row compared with two others item by item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dizuo.evaluation.answering.answers import Answers
from dizuo.evaluation.options import EvaluateOptions
from dizuo.evaluation.reporting.report import Row
from dizuo.significance import bootstrap_mean, mcnemar_exact, paired_bootstrap, wilson

__all__ = ["Entry", "best_cheap", "compare", "make_rows"]


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

    @property
    def score(self) -> float:
        """The mean over its items."""
        return float(self.values.mean())


def best_cheap(entries: Sequence[Entry]) -> Entry | None:
    """Return the cheap entry with the highest score; of equal ones the first."""
    return max((entry for entry in entries if entry.family == "cheap"), key=lambda entry: entry.score, default=None)


def make_rows(entries: Sequence[Entry], *, options: EvaluateOptions) -> list[Row]:
    """Return one row per entry.

    A score that is right or wrong per item gets Wilson's interval and McNemar's test, any other a BCa bootstrap and a
    paired bootstrap. Rows of different size are compared on the items that both have.
    """
    cheap = best_cheap(entries)
    untuned = next((entry for entry in entries if entry.name == "untuned"), None)
    return [_row(entry, cheap, untuned, options) for entry in entries]


def compare(
    a: NDArray[np.float64], b: NDArray[np.float64], *, options: EvaluateOptions
) -> tuple[float, tuple[float, float, float]]:
    """Return (p, (mean of a − b, its interval)) over the items that both have."""
    n = min(len(a), len(b))
    a, b = a[:n], b[:n]
    found = paired_bootstrap(a, b, confidence=options.confidence, seed=options.seed)
    p = found.p
    if _binary(a) and _binary(b):
        p = mcnemar_exact(int((a > b).sum()), int((b > a).sum()))
    return p, (found.difference, found.low, found.high)


def _row(entry: Entry, cheap: Entry | None, untuned: Entry | None, options: EvaluateOptions) -> Row:
    values, n = entry.values, len(entry.values)
    if _binary(values):
        interval = wilson(int(values.sum()), n, confidence=options.confidence)
    else:
        interval = bootstrap_mean(values, confidence=options.confidence, seed=options.seed)
    against_cheap = None if cheap is None or cheap is entry else compare(values, cheap.values, options=options)
    against_untuned = None if untuned is None or untuned is entry else compare(values, untuned.values, options=options)
    return Row(
        name=entry.name,
        title=entry.title,
        family=entry.family,
        score=interval.estimate,
        low=interval.low,
        high=interval.high,
        n=n,
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
