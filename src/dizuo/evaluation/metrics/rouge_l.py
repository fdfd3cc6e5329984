"""ROUGE-L: the longest common subsequence of words with the nearest reference (Lin, 2004), as F1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dizuo.evaluation.metrics import Metric
from dizuo.evaluation.normalising import words

__all__ = ["METRIC", "rouge_l"]


def rouge_l(answers: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return [n] the best ROUGE-L F1 of each answer over its references, 0 to 1."""
    return np.array(
        [max(_f1(words(answer), words(text)) for text in right) for answer, right in zip(answers, references)]
    )


def _f1(said: list[str], wanted: list[str]) -> float:
    if not said or not wanted:
        return float(said == wanted)
    row = [0] * (len(wanted) + 1)
    for word in said:
        before = 0  # the entry above and to the left
        for column, other in enumerate(wanted, start=1):
            above = row[column]
            row[column] = before + 1 if word == other else max(above, row[column - 1])
            before = above
    return 2 * row[-1] / (len(said) + len(wanted))


METRIC = Metric(title="ROUGE-L", items=rouge_l, answers=("text",))
