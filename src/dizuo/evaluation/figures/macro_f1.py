"""The mean over the labels of their F1: rare labels count as much as frequent ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dizuo.evaluation.figures import AnsweredSet, Figure
from dizuo.significance import Statistic

__all__ = ["FIGURE", "macro_f1"]


def macro_f1(answers: Sequence[str], expected: Sequence[str]) -> float:
    """Return the mean F1 over the labels that are expected somewhere; an answer that is no label is a miss of one.

    Labels that are only answered and never expected have no recall to speak of and do not enter the mean; answering
    them lowers the recall of the expected ones. White space around a text does not count, as in accuracy.
    """
    answers, expected = [text.strip() for text in answers], [text.strip() for text in expected]
    said, wanted = Counter(answers), Counter(expected)
    hits = Counter(right for answer, right in zip(answers, expected) if answer == right)
    total = 0.0
    for label in sorted(wanted):
        total += 2 * hits[label] / (said[label] + wanted[label])
    return total / len(wanted) if wanted else 0.0


def _statistic(answered: AnsweredSet) -> Statistic:
    """Count labels as numbers: 5,000 draws of 2,000 items take half a second, and eight as texts."""
    labels = sorted({text.strip() for text in answered.expected})
    numbers = {label: number for number, label in enumerate(labels)}
    wanted = np.array([numbers[text.strip()] for text in answered.expected], np.intp)
    said = np.array([numbers.get(text.strip(), len(labels)) for text in answered.answers], np.intp)

    def drawn(rows: NDArray[np.intp]) -> float:
        right, answer = wanted[rows], said[rows]
        size = len(labels) + 1  # the last column is for what is no label
        num_wanted = np.bincount(right, minlength=size)
        total = np.bincount(answer, minlength=size) + num_wanted
        hits = np.bincount(right[right == answer], minlength=size)
        there = num_wanted > 0
        return float((2 * hits[there] / total[there]).mean())

    return drawn


FIGURE = Figure(
    title="macro F1",
    value=lambda answered: macro_f1(answered.answers, answered.expected),
    answers=("label",),
    is_score=True,
    statistic=_statistic,
)
