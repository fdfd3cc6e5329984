"""The share of answers that equal a reference up to white space, letter case and Unicode form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dizuo.evaluation.metrics import Metric
from dizuo.evaluation.normalising import normalised

__all__ = ["METRIC", "exact_match"]


def exact_match(answers: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return [n] 1 where the normalised answer is one of the normalised references, else 0."""
    return np.array([float(normalised(answer) in map(normalised, right)) for answer, right in zip(answers, references)])


METRIC = Metric(title="exact match", items=exact_match, answers=("text", "labels"), binary=True)
