"""The share of items whose answer is the expected label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dizuo.evaluation.calls import same_answer
from dizuo.evaluation.metrics import Metric

__all__ = ["METRIC", "accuracy"]


def accuracy(answers: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return [n] 1 where the answer, without white space around it, is one of the references, else 0."""
    return np.array(
        [
            float(
                answer.strip() in {text.strip() for text in right} or any(same_answer(answer, text) for text in right)
            )
            for answer, right in zip(answers, references)
        ]
    )


METRIC = Metric(title="accuracy", items=accuracy, answers=("label", "text"), binary=True)
