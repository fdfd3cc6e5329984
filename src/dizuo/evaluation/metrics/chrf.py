"""chrF: overlap of character n-grams with the nearest reference (Popović, 2015), good for every script.

chrF2 as sacrebleu 2.x computes it for one sentence: n-grams of 1 to 6 characters without white space, β = 2, precision
and recall averaged over the orders that both texts have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dizuo.evaluation.metrics import Metric

__all__ = ["METRIC", "chrf"]

ORDER = 6
BETA = 2.0


def chrf(answers: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return [n] the best chrF of each answer over its references, 0 to 1."""
    return np.array([max(_chrf(answer, text) for text in right) for answer, right in zip(answers, references)])


def _chrf(answer: str, reference: str) -> float:
    said, wanted = "".join(answer.split()), "".join(reference.split())
    precision = recall = 0.0
    orders = 0
    for n in range(1, ORDER + 1):
        said_ngrams, wanted_ngrams = _ngrams(said, n), _ngrams(wanted, n)
        if not said_ngrams or not wanted_ngrams:
            continue
        shared = sum((said_ngrams & wanted_ngrams).values())
        precision += shared / said_ngrams.total()
        recall += shared / wanted_ngrams.total()
        orders += 1
    if not orders:
        return 0.0  # one of them has no characters; as sacrebleu, also when both have none
    precision, recall = precision / orders, recall / orders
    if precision + recall == 0:
        return 0.0
    weight = BETA * BETA
    return (1 + weight) * precision * recall / (weight * precision + recall)


def _ngrams(text: str, n: int) -> Counter[str]:
    return Counter(text[i : i + n] for i in range(len(text) - n + 1))


METRIC = Metric(title="chrF", items=chrf, answers=("text",))
